// fold-transposes: transposes are pushed towards the outputs, where they meet their inverses, and
// disappear into ops that can read their operand in another order.
//
//   transpose(transpose(x, p), q) = transpose(x, p[q])           an identity is dropped
//   f(transpose(x, p), transpose(y, p), c) = transpose(f(x, y, c'), p)     f elementwise, c static
//   matmul(transpose(a), b) = matmul(a, b) {transpose_a}         of the last two dimensions; b
//   alike reduce(transpose(x, p), axes) = transpose(reduce(x, p[axes]), p) pad, slice, concat,
//   softmax alike
//
// A transpose with other users stays: it would be computed anyway, and the op would run in a second
// order. Pushing down never makes more transposes, so the laws end.
#include <algorithm>
#include <numeric>

#include "ir/graph/op_def.h"
#include "passes/graph/constants.h"
#include "passes/graph/graph_passes.h"
#include "passes/rewrite.h"

namespace kiln {

namespace {

using Permutation = std::vector<int64_t>;

bool IsIdentity(const Permutation& p) { return std::is_sorted(p.begin(), p.end()); }

Permutation Inverse(const Permutation& p) {
  Permutation inverse(p.size());
  for (size_t i = 0; i < p.size(); ++i)
    inverse[static_cast<size_t>(p[i])] = static_cast<int64_t>(i);
  return inverse;
}

// `values`, one a dimension of transpose(x, p), in the order of x's dimensions.
std::vector<int64_t> InOrderOfSource(const std::vector<int64_t>& values, const Permutation& p) {
  std::vector<int64_t> result(values.size());
  for (size_t i = 0; i < p.size(); ++i) result[static_cast<size_t>(p[i])] = values[i];
  return result;
}

// The op's operand `i` when it is a transpose that goes away if the op does without it.
const Op* OwnTranspose(RewriteSite& at, size_t i) {
  const Op* const operand = at.operand(i);
  if (!operand->Is("transpose")) return nullptr;
  for (const Op* const user : operand->users()) {
    if (user != &at.op()) {
      return at.Refuse(
          StrCat("not moved before ", Describe(*operand), ": ", OtherUse(*operand, at.op())));
    }
  }
  return operand->graph()->IsOutput(operand) ? nullptr : operand;
}

StatusOr<Op*> TransposeChain(RewriteSite& at) {
  if (!at.op().Is("transpose")) return kNoMatch;
  const Permutation& outer = at.op().Ints("perm");
  if (IsIdentity(outer)) return at.operand(0);
  if (!at.operand(0)->Is("transpose")) return kNoMatch;
  const Permutation& inner = at.operand(0)->Ints("perm");
  Permutation joint;
  for (const int64_t dim : outer) joint.push_back(inner[static_cast<size_t>(dim)]);
  Op* const x = at.operand(0)->operand(0);
  if (IsIdentity(joint)) return x;
  return at.b().Transpose(x, std::move(joint));
}

// `operand` of an elementwise op as it must be read when the op works in the order before p.
StatusOr<Op*> BeforeTranspose(Builder& b, Op* operand, const Permutation& p) {
  if (operand->Is("transpose") && operand->Ints("perm") == p) return operand->operand(0);
  if (operand->type().count() == 1) return b.Reshape(operand, {});
  Shape shape = operand->shape();
  shape.insert(shape.begin(), p.size() - shape.size(), 1);
  return b.Transpose(b.Reshape(operand, std::move(shape)), Inverse(p));
}

StatusOr<Op*> SinkThroughElementwise(RewriteSite& at) {
  const Op& op = at.op();
  if (!op.HasTrait(kElementwise)) return kNoMatch;
  const Op* transpose = nullptr;
  for (size_t i = 0; i < op.operands().size() && transpose == nullptr; ++i) {
    // Between static operands transposes would be passed back and forth.
    if (!IsStatic(*at.operand(i), at.context())) transpose = OwnTranspose(at, i);
  }
  if (transpose == nullptr || transpose->shape() != op.shape()) return kNoMatch;
  const Permutation p = transpose->Ints("perm");
  for (size_t i = 0; i < op.operands().size(); ++i) {
    const Op& operand = *op.operand(i);
    const bool alike =
        operand.Is("transpose") && operand.Ints("perm") == p && OwnTranspose(at, i) != nullptr;
    if (!alike && operand.type().count() != 1 && !IsStatic(operand, at.context())) return kNoMatch;
  }
  std::vector<Op*> operands;
  for (Op* const operand : op.operands()) {
    KILN_ASSIGN_OR_RETURN(Op* const before, BeforeTranspose(at.b(), operand, p));
    operands.push_back(before);
  }
  return at.b().Transpose(at.b().CloneOp(op, operands), p);
}

StatusOr<Op*> IntoMatmul(RewriteSite& at) {
  if (!at.op().Is("matmul")) return kNoMatch;
  for (const size_t i : {0, 1}) {
    if (!at.operand(i)->Is("transpose")) continue;
    Permutation swap(at.operand(i)->shape().size());
    std::iota(swap.begin(), swap.end(), int64_t{0});
    std::swap(swap[swap.size() - 1], swap[swap.size() - 2]);
    if (at.operand(i)->Ints("perm") != swap) continue;
    const char* const flag = i == 0 ? "transpose_a" : "transpose_b";
    AttributeMap attributes = at.op().attributes();
    attributes.insert_or_assign(flag, !at.op().Bool(flag));
    std::vector<StatusOr<Op*>> operands = {at.operand(0), at.operand(1)};
    operands[i] = at.operand(i)->operand(0);
    return at.b().Make("matmul", operands, std::move(attributes));
  }
  return kNoMatch;
}

// p without the dimensions that a reduction over `axes` (of the transposed tensor) drops.
Permutation Remaining(const Permutation& p, const std::vector<int64_t>& axes) {
  Permutation kept;
  for (size_t i = 0; i < p.size(); ++i) {
    if (!std::binary_search(axes.begin(), axes.end(), static_cast<int64_t>(i)))
      kept.push_back(p[i]);
  }
  Permutation ranks;
  for (const int64_t dim : kept) {
    ranks.push_back(std::count_if(kept.begin(), kept.end(), [dim](int64_t k) { return k < dim; }));
  }
  return ranks;
}

StatusOr<Op*> SinkThroughReduce(RewriteSite& at) {
  const Op& op = at.op();
  if (!op.HasTrait(kReduction) || !op.attributes().contains("axes")) return kNoMatch;
  const Op* const transpose = OwnTranspose(at, 0);
  if (transpose == nullptr) return kNoMatch;
  const Permutation p = transpose->Ints("perm");
  std::vector<int64_t> axes;
  for (const int64_t axis : op.Ints("axes")) axes.push_back(p[static_cast<size_t>(axis)]);
  std::sort(axes.begin(), axes.end());
  const Permutation rest = op.Bool("keep_dims") ? p : Remaining(p, op.Ints("axes"));
  AttributeMap attributes = op.attributes();
  attributes.insert_or_assign("axes", axes);
  const auto reduced = at.b().Make(op.kind(), {transpose->operand(0)}, std::move(attributes));
  return IsIdentity(rest) ? reduced : at.b().Transpose(reduced, rest);
}

// Ops whose attributes speak of dimensions one by one (`lists`) or of one of them (`axis`).
struct DimensionAttributes {
  std::string_view kind;
  std::vector<std::string> lists;
  bool axis;
};

const DimensionAttributes* FindDimensionAttributes(const Op& op) {
  static const auto* const table = new std::vector<DimensionAttributes>{
      {"pad", {"low", "high"}, false},
      {"slice", {"starts", "sizes", "strides"}, false},
      {"concat", {}, true},
      {"softmax", {}, true},
      {"log_softmax", {}, true},
  };
  const auto it = std::find_if(table->begin(), table->end(),
                               [&](const auto& entry) { return op.Is(entry.kind); });
  return it == table->end() ? nullptr : &*it;
}

StatusOr<Op*> SinkThroughDimensions(RewriteSite& at) {
  const Op& op = at.op();
  const DimensionAttributes* const entry = FindDimensionAttributes(op);
  if (entry == nullptr) return kNoMatch;
  std::vector<StatusOr<Op*>> operands;
  Permutation p;
  for (size_t i = 0; i < op.operands().size(); ++i) {
    const Op* const transpose = OwnTranspose(at, i);
    if (transpose == nullptr) return kNoMatch;
    if (i == 0) p = transpose->Ints("perm");
    if (transpose->Ints("perm") != p) return kNoMatch;
    operands.push_back(transpose->operand(0));
  }
  AttributeMap attributes = op.attributes();
  for (const std::string& name : entry->lists) {
    attributes.insert_or_assign(name, InOrderOfSource(op.Ints(name), p));
  }
  if (entry->axis) attributes.insert_or_assign("axis", p[static_cast<size_t>(op.Int("axis"))]);
  return at.b().Transpose(at.b().Make(op.kind(), operands, std::move(attributes)), p);
}

}  // namespace

Pass FoldTransposes() {
  static const auto* const rules = new std::vector<RewriteRule>{
      {"transpose-chain", "transpose(transpose(x, p), q) = transpose(x, p[q])", TransposeChain},
      {"transpose-elementwise", "f(transpose(x)) = transpose(f(x))", SinkThroughElementwise},
      {"transpose-matmul", "matmul(transpose(a), b) = matmul(a, b) {transpose_a}", IntoMatmul},
      {"transpose-reduce", "reduce(transpose(x)) = transpose(reduce(x))", SinkThroughReduce},
      {"transpose-dimensions", "f(transpose(x)) = transpose(f(x))", SinkThroughDimensions},
  };
  return MakeRewritePass("fold-transposes", "cancels transposes and sinks them into their users",
                         *rules);
}

}  // namespace kiln
