// The k largest or smallest elements along an axis, sorted: values and positions.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "ir/ops/gradient.h"
#include "ir/ops/lines.h"
#include "ir/ops/op_table.h"
#include "ir/ops/shape_util.h"

namespace kiln {

using loop::Expr;
using loop::Reduce;
using loop::ReduceOp;
using loop::Stmt;

namespace {

StatusOr<TensorType> InferTopK(const Op& op, bool indices) {
  KILN_RETURN_IF_ERROR(CheckRowMajor(op));
  KILN_RETURN_IF_ERROR(CheckNumeric(op));
  Shape shape = op.operand(0)->shape();
  const int64_t axis = op.Int("axis");
  KILN_RETURN_IF_ERROR(CheckAxis(op, "axis", axis, static_cast<int64_t>(shape.size())));
  KILN_RETURN_IF_ERROR(CheckRange(op, "k", op.Int("k"), 0, shape[axis]));
  shape[axis] = op.Int("k");
  return TensorType{indices ? ElementType::kI64 : op.operand(0)->element(), std::move(shape)};
}

/// a < b, with NaN above everything, as numpy sorts.
bool IsLess(const Array& x, int64_t a, int64_t b) {
  if (!x.is_float()) {
    return x.element == ElementType::kU64
               ? static_cast<uint64_t>(x.ints[a]) < static_cast<uint64_t>(x.ints[b])
               : x.ints[a] < x.ints[b];
  }
  if (std::isnan(x.floats[a])) return false;
  return std::isnan(x.floats[b]) || x.floats[a] < x.floats[b];
}

Status EvaluateTopK(const Op& op, bool indices, const Array& x, Array& result) {
  const AxisView view(x.shape, op.Int("axis"));
  const int64_t k = op.Int("k");
  std::vector<int64_t> order(static_cast<size_t>(view.extent));
  for (int64_t o = 0; o < view.outer; ++o) {
    for (int64_t i = 0; i < view.inner; ++i) {
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(), [&](int64_t p, int64_t q) {
        const int64_t a = view.Offset(o, p, i), b = view.Offset(o, q, i);
        return op.Bool("largest") ? IsLess(x, b, a) : IsLess(x, a, b);
      });
      for (int64_t j = 0; j < k; ++j) {
        const int64_t at = (o * k + j) * view.inner + i;
        if (indices) {
          result.ints[at] = order[j];
        } else {
          result.CopyElement(at, x, view.Offset(o, order[j], i));
        }
      }
    }
  }
  return OkStatus();
}

/// a < b in loop IR, with the order of IsLess.
Expr LessExpr(const Expr& a, const Expr& b) {
  if (!IsFloat(a.type())) return Lt(a, b);
  const auto is_nan = [](const Expr& e) { return Unary(loop::UnaryOp::kIsNan, e); };
  return Or(Lt(a, b), And(is_nan(b), Unary(loop::UnaryOp::kNot, is_nan(a))));
}

// The rank of an element is how many others come before it; those of rank below k are stored at
// their rank. Quadratic in the extent, but branchless and stable.
Stmt TopKOfLines(const Op& op, bool indices, const NestContext& context, const Lines& lines) {
  const int64_t extent = op.operand(0)->shape()[op.Int("axis")];
  const bool largest = op.Bool("largest");
  const auto x = [&](const Expr& j, const Expr& lane) {
    return context.Load(context.operands[0], lines.At({j}, lane));
  };
  const auto sorts_before = [&](const Expr& a, const Expr& b) {
    return largest ? LessExpr(b, a) : LessExpr(a, b);
  };
  const loop::Buffer rank = lines.Local("rank", ElementType::kI64);
  const loop::Var i = loop::MakeVar("i", extent);
  const Stmt find_rank = lines.ForEachLane([&](const Expr& lane) {
    const loop::Var j = loop::MakeVar("j", extent);
    const Expr other = x(j, lane), own = x(i, lane);
    const Expr not_after = Unary(loop::UnaryOp::kNot, sorts_before(own, other));
    const Expr before = Or(sorts_before(other, own), And(not_after, Lt(j, i)));
    return Store(rank, {lane}, Reduce(ReduceOp::kSum, {j}, Cast(ElementType::kI64, before)));
  });
  const Stmt place = lines.ForEachLane([&](const Expr& lane) {
    const Expr at = Load(rank, {lane});
    return context.Store(context.result, lines.At({at}, lane), indices ? Expr(i) : x(i, lane),
                         Lt(at, op.Int("k")));
  });
  return Alloc(rank, For(i, loop::Block({find_rank, place})));
}

StatusOr<Op*> TopKGradient(Builder& b, Op& op, size_t k, Op* dy) {
  const GradientSite at{b, op, k, dy};
  const auto positions = b.Make("top_k_indices", {op.operand(0)}, op.attributes());
  return b.Make("scatter_elements", {Zeros(at.dy(), at.x().shape()).op(), positions, dy},
                {{"axis", op.Int("axis")}});
}

OpDef TopKDef(std::string name, std::string doc, bool indices) {
  using Kind = Attribute::Kind;
  OpDef def{
      .name = std::move(name),
      .doc = std::move(doc),
      .operands = {{"x"}},
      .attributes = {{"axis", Kind::kInt, {}, "the dimension to search, 0 <= axis < rank"},
                     {"k", Kind::kInt, {}, "how many to take, at most the axis has"},
                     {"largest", Kind::kBool, Attribute(true),
                      "take the largest, otherwise the smallest"}},
      .infer = [indices](const Op& op) { return InferTopK(op, indices); },
      .evaluate = [indices](const Op& op, std::span<const Array* const> in,
                            Array& result) { return EvaluateTopK(op, indices, *in[0], result); },
      .nest = [indices](const Op& op, const NestContext& context) -> StatusOr<Stmt> {
        return ForEachLine(op.operand(0)->shape(), {op.Int("axis")}, [&](const Lines& lines) {
          return TopKOfLines(op, indices, context, lines);
        });
      }};
  if (indices) {
    def.no_gradient = "its result is a position";
  } else {
    def.gradient = TopKGradient;
  }
  return def;
}

}  // namespace

std::vector<OpDef> TopKOps() {
  return {TopKDef("top_k_values",
                  "The k largest (smallest) elements along `axis`, the best first; of equals the "
                  "one of lower position first. NaN is the largest.",
                  /*indices=*/false),
          TopKDef("top_k_indices", "The positions (i64) along `axis` of what top_k_values gives.",
                  /*indices=*/true)};
}

}  // namespace kiln
