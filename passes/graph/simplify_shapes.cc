// The laws of simplify-algebra about shapes and movement:
//
//   reshape(x), broadcast(x), slice(x), pad(x) = x     when the result is x itself
//   concat(x) = x            concat(a, concat(b, c)) = concat(a, b, c)      along the same axis
//   reshape(reshape(x)) = reshape(x)      broadcast(broadcast(x)) = broadcast(x)
//   transpose(x) = reshape(x)             when only dimensions of extent 1 move
//   reduce_f(x) = reshape(x)              over dimensions of extent 1 (f: sum, mean, max, min,
//   prod) f(broadcast(x), y) = f(x, y)          f elementwise, when y alone gives the result its
//   shape
#include "passes/graph/simplify_shapes.h"

#include <algorithm>

#include "ir/graph/op_def.h"

namespace kiln {

namespace {

bool AllEqual(const std::vector<int64_t>& values, int64_t value) {
  return std::all_of(values.begin(), values.end(), [=](int64_t v) { return v == value; });
}

StatusOr<Op*> NoMovement(RewriteSite& at) {
  const Op& op = at.op();
  if (op.operands().size() != 1 || !op.HasTrait(kMovement) || op.type() != at.operand(0)->type()) {
    return kNoMatch;
  }
  const bool identity =
      op.Is("reshape") || op.Is("broadcast") || op.Is("concat") ||
      (op.Is("slice") && AllEqual(op.Ints("starts"), 0) && AllEqual(op.Ints("strides"), 1)) ||
      (op.Is("pad") && AllEqual(op.Ints("low"), 0) && AllEqual(op.Ints("high"), 0));
  return identity ? at.operand(0) : kNoMatch;
}

// Whether `part` is a concat along `axis` that is read by one other op alone.
bool IsNestedConcat(const Op& part, int64_t axis) {
  return part.Is("concat") && part.Int("axis") == axis && HasOneUse(part);
}

// Flattens all levels at once, from the outermost: level by level a deep nest would be copied again
// and again.
StatusOr<Op*> NestedConcat(RewriteSite& at) {
  if (!at.op().Is("concat")) return kNoMatch;
  const int64_t axis = at.op().Int("axis");
  const Op* const user = HasOneUse(at.op()) ? at.op().users()[0] : nullptr;
  if (user != nullptr && user->Is("concat") && user->Int("axis") == axis) return kNoMatch;
  std::vector<StatusOr<Op*>> parts;
  const auto& operands = at.op().operands();
  std::vector<Op*> work(operands.rbegin(), operands.rend());
  while (!work.empty()) {
    Op* const part = work.back();
    work.pop_back();
    if (IsNestedConcat(*part, axis)) {
      work.insert(work.end(), part->operands().rbegin(), part->operands().rend());
    } else {
      parts.push_back(part);
    }
  }
  if (parts.size() == operands.size()) return kNoMatch;
  return at.b().Make("concat", parts, {{"axis", axis}});
}

StatusOr<Op*> ReshapeChain(RewriteSite& at) {
  if (!at.op().Is("reshape") || !at.operand(0)->Is("reshape")) return kNoMatch;
  return at.b().Reshape(at.operand(0)->operand(0), at.op().shape());
}

StatusOr<Op*> BroadcastChain(RewriteSite& at) {
  if (!at.op().Is("broadcast") || !at.operand(0)->Is("broadcast")) return kNoMatch;
  return at.b().Broadcast(at.operand(0)->operand(0), at.op().shape());
}

// A reshape reads bytes, so what becomes one must lie in row-major order.
bool IsPlain(const Op& op) { return op.type().layout.IsRowMajor(); }

StatusOr<Op*> TransposeOfUnits(RewriteSite& at) {
  if (!at.op().Is("transpose") || !IsPlain(*at.operand(0))) return kNoMatch;
  int64_t last = -1;
  for (const int64_t dim : at.op().Ints("perm")) {
    if (at.operand(0)->shape()[static_cast<size_t>(dim)] == 1) continue;
    if (dim < last) return kNoMatch;
    last = dim;
  }
  return at.b().Reshape(at.operand(0), at.op().shape());
}

StatusOr<Op*> ReduceOfUnits(RewriteSite& at) {
  static constexpr std::string_view kKinds[] = {"reduce_sum", "reduce_mean", "reduce_max",
                                                "reduce_min", "reduce_prod"};
  const Op& op = at.op();
  if (std::find(std::begin(kKinds), std::end(kKinds), op.kind()) == std::end(kKinds)) {
    return kNoMatch;
  }
  if (!IsPlain(*at.operand(0))) return kNoMatch;
  for (const int64_t axis : op.Ints("axes")) {
    if (at.operand(0)->shape()[static_cast<size_t>(axis)] != 1) return kNoMatch;
  }
  return at.b().Reshape(at.operand(0), op.shape());
}

// The shape of an elementwise op whose operand `replaced` has the shape `shape`.
StatusOr<Shape> ShapeWithOperand(const Op& op, size_t replaced, const Shape& shape) {
  Shape result;
  for (size_t i = 0; i < op.operands().size(); ++i) {
    KILN_ASSIGN_OR_RETURN(result,
                          BroadcastShapes(result, i == replaced ? shape : op.operand(i)->shape()));
  }
  return result;
}

StatusOr<Op*> ImplicitBroadcast(RewriteSite& at) {
  const Op& op = at.op();
  if (!op.HasTrait(kElementwise) || op.operands().size() < 2) return kNoMatch;
  for (size_t i = 0; i < op.operands().size(); ++i) {
    if (!op.operand(i)->Is("broadcast")) continue;
    Op* const source = op.operand(i)->operand(0);
    KILN_ASSIGN_OR_RETURN(const Shape shape, ShapeWithOperand(op, i, source->shape()));
    if (shape != op.shape()) continue;
    std::vector<Op*> operands = op.operands();
    operands[i] = source;
    return at.b().CloneOp(op, operands);
  }
  return kNoMatch;
}

}  // namespace

const std::vector<RewriteRule>& ShapeRules() {
  static const auto* const rules = new std::vector<RewriteRule>{
      {"no-movement", "a movement that moves nothing is dropped", NoMovement},
      {"nested-concat", "concat(a, concat(b, c)) = concat(a, b, c)", NestedConcat},
      {"reshape-chain", "reshape(reshape(x)) = reshape(x)", ReshapeChain},
      {"broadcast-chain", "broadcast(broadcast(x)) = broadcast(x)", BroadcastChain},
      {"transpose-of-units", "transpose(x) = reshape(x)", TransposeOfUnits},
      {"reduce-of-units", "reduce(x) = reshape(x)", ReduceOfUnits},
      {"implicit-broadcast", "f(broadcast(x), y) = f(x, y)", ImplicitBroadcast},
  };
  return *rules;
}

}  // namespace kiln
