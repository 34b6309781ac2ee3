// argmax and argmin: where the largest or smallest element along an axis is.
#include <cmath>

#include "ir/ops/lines.h"
#include "ir/ops/op_table.h"
#include "ir/ops/shape_util.h"

namespace kiln {

using loop::Expr;
using loop::Reduce;
using loop::ReduceOp;
using loop::Stmt;

namespace {

StatusOr<TensorType> InferArgReduce(const Op& op) {
  KILN_RETURN_IF_ERROR(CheckRowMajor(op));
  KILN_RETURN_IF_ERROR(CheckNumeric(op));
  Shape shape = op.operand(0)->shape();
  const int64_t axis = op.Int("axis");
  KILN_RETURN_IF_ERROR(CheckAxis(op, "axis", axis, static_cast<int64_t>(shape.size())));
  if (shape[axis] == 0) return OpError(op, "the axis must not be empty");
  if (op.Bool("keep_dims")) {
    shape[axis] = 1;
  } else {
    shape.erase(shape.begin() + axis);
  }
  return TensorType{ElementType::kI64, std::move(shape)};
}

/// Whether element `a` of x beats element `b`: by value, with NaN above everything in both
/// directions.
bool Beats(const Array& x, ReduceOp reduce, int64_t a, int64_t b) {
  if (x.is_float()) {
    const double p = x.floats[a], q = x.floats[b];
    if (std::isnan(p) || std::isnan(q)) return std::isnan(p) && !std::isnan(q);
    return reduce == ReduceOp::kMax ? p > q : p < q;
  }
  if (reduce == ReduceOp::kMin) std::swap(a, b);
  const int64_t p = x.ints[a], q = x.ints[b];
  return x.element == ElementType::kU64 ? static_cast<uint64_t>(p) > static_cast<uint64_t>(q)
                                        : p > q;
}

Status EvaluateArgReduce(const Op& op, ReduceOp reduce, const Array& x, Array& result) {
  const AxisView view(x.shape, op.Int("axis"));
  const bool last = op.Bool("select_last");
  for (int64_t o = 0; o < view.outer; ++o) {
    for (int64_t i = 0; i < view.inner; ++i) {
      int64_t best = 0;
      for (int64_t j = 1; j < view.extent; ++j) {
        const int64_t a = view.Offset(o, j, i), b = view.Offset(o, best, i);
        if (last ? !Beats(x, reduce, b, a) : Beats(x, reduce, a, b)) best = j;
      }
      result.ints[o * view.inner + i] = best;
    }
  }
  return OkStatus();
}

// Two steps a line: the extreme value, then the first (or last) position that holds it.
Stmt ArgReduceOfLines(const Op& op, ReduceOp reduce, const NestContext& context,
                      const Lines& lines) {
  const int64_t axis = op.Int("axis");
  const int64_t extent = op.operand(0)->shape()[axis];
  const auto x = [&](const Expr& j, const Expr& lane) {
    return context.Load(context.operands[0], lines.At({j}, lane));
  };
  const loop::Buffer best = lines.Local("best", ComputeType(op.operand(0)->element()));
  const Stmt find_best = lines.ForEachLane([&](const Expr& lane) {
    const loop::Var j = loop::MakeVar("j", extent);
    return Store(best, {lane}, Reduce(reduce, {j}, x(j, lane)));
  });
  const Stmt find_position = lines.ForEachLane([&](const Expr& lane) {
    const loop::Var j = loop::MakeVar("j", extent);
    const Expr value = x(j, lane);
    Expr found = Eq(value, Load(best, {lane}));
    if (IsFloat(value.type())) found = Or(found, Unary(loop::UnaryOp::kIsNan, value));
    const bool last = op.Bool("select_last");
    const Expr position = Reduce(last ? ReduceOp::kMax : ReduceOp::kMin, {j},
                                 Select(found, j, last ? Expr(-1) : Expr(extent)));
    std::vector<Expr> at = lines.At({0}, lane);
    if (!op.Bool("keep_dims")) at.erase(at.begin() + axis);
    return context.Store(context.result, at, position);
  });
  return Alloc(best, loop::Block({find_best, find_position}));
}

OpDef ArgReduceDef(std::string name, std::string extreme, ReduceOp reduce) {
  using Kind = Attribute::Kind;
  return {
      .name = std::move(name),
      .doc = StrCat("The position (i64) of the ", extreme,
                    " element along `axis`; a NaN counts as the ", extreme, "."),
      .operands = {{"x"}},
      .attributes = {{"axis", Kind::kInt, {}, "the dimension to search, 0 <= axis < rank"},
                     {"keep_dims", Kind::kBool, Attribute(true), "keep it with extent 1"},
                     {"select_last", Kind::kBool, Attribute(false),
                      "of equal elements take the last, not the first"}},
      .infer = InferArgReduce,
      .evaluate = [reduce](const Op& op, std::span<const Array* const> in,
                           Array& result) { return EvaluateArgReduce(op, reduce, *in[0], result); },
      .nest = [reduce](const Op& op, const NestContext& context) -> StatusOr<Stmt> {
        return ForEachLine(op.operand(0)->shape(), {op.Int("axis")}, [&](const Lines& lines) {
          return ArgReduceOfLines(op, reduce, context, lines);
        });
      },
      .no_gradient = "its result is a position"};
}

}  // namespace

std::vector<OpDef> ArgReduceOps() {
  return {ArgReduceDef("argmax", "largest", ReduceOp::kMax),
          ArgReduceDef("argmin", "smallest", ReduceOp::kMin)};
}

}  // namespace kiln
