// Running sums along an axis.
#include "ir/ops/lines.h"
#include "ir/ops/op_table.h"
#include "ir/ops/shape_util.h"

namespace kiln {

using loop::Expr;
using loop::Stmt;

namespace {

StatusOr<TensorType> InferCumsum(const Op& op) {
  KILN_RETURN_IF_ERROR(CheckRowMajor(op));
  KILN_RETURN_IF_ERROR(CheckNumeric(op));
  const TensorType& x = op.operand(0)->type();
  KILN_RETURN_IF_ERROR(CheckAxis(op, "axis", op.Int("axis"), x.rank()));
  return TensorType{x.element, x.shape};
}

/// `sum` += element i of x, in doubles or in integers that wrap.
void AddElement(const Array& x, int64_t i, double& sum, uint64_t& int_sum) {
  if (x.is_float()) {
    sum += x.floats[i];
  } else {
    int_sum += static_cast<uint64_t>(x.ints[i]);
  }
}

Status EvaluateCumsum(const Op& op, std::span<const Array* const> in, Array& result) {
  const Array& x = *in[0];
  const AxisView view(op.shape(), op.Int("axis"));
  for (int64_t line = 0; line < view.outer * view.inner; ++line) {
    double sum = 0;
    uint64_t int_sum = 0;
    for (int64_t step = 0; step < view.extent; ++step) {
      const int64_t j = op.Bool("reverse") ? view.extent - 1 - step : step;
      const int64_t at = view.Offset(line / view.inner, j, line % view.inner);
      if (!op.Bool("exclusive")) AddElement(x, at, sum, int_sum);
      if (x.is_float()) {
        result.floats[at] = sum;
      } else {
        result.ints[at] = WrapInt(x.element, static_cast<int64_t>(int_sum));
      }
      if (op.Bool("exclusive")) AddElement(x, at, sum, int_sum);
    }
  }
  return OkStatus();
}

// One running sum a lane, kept in a local buffer while the axis is walked.
Stmt CumsumOfLines(const Op& op, const NestContext& context, const Lines& lines) {
  const ElementType type = ComputeType(op.element());
  const int64_t extent = op.shape()[op.Int("axis")];
  const loop::Buffer sum = lines.Local("sum", type);
  const loop::Var step = loop::MakeVar("j", extent);
  const Expr j = op.Bool("reverse") ? Expr(extent - 1) - step : Expr(step);
  const Stmt clear = lines.ForEachLane(
      [&](const Expr& lane) { return Store(sum, {lane}, loop::ConstInt(type, 0)); });
  const Stmt add = lines.ForEachLane([&](const Expr& lane) {
    const Expr x = context.Load(context.operands[0], lines.At({j}, lane));
    return Store(sum, {lane}, Load(sum, {lane}) + x);
  });
  const Stmt emit = lines.ForEachLane([&](const Expr& lane) {
    return context.Store(context.result, lines.At({j}, lane), Load(sum, {lane}));
  });
  const Stmt walk =
      For(step, op.Bool("exclusive") ? loop::Block({emit, add}) : loop::Block({add, emit}));
  return Alloc(sum, loop::Block({clear, walk}));
}

}  // namespace

std::vector<OpDef> ScanOps() {
  using Kind = Attribute::Kind;
  std::vector<OpDef> ops;
  ops.push_back({.name = "cumsum",
                 .doc = "y[j] = the sum of x[0..j] along `axis`; exclusive leaves x[j] itself out, "
                        "reverse sums from j to the end instead. Integers wrap in their own type.",
                 .operands = {{"x"}},
                 .attributes = {{"axis", Kind::kInt, {}, "the dimension summed along"},
                                {"exclusive", Kind::kBool, Attribute(false), "leave x[j] out"},
                                {"reverse", Kind::kBool, Attribute(false), "sum from the end"}},
                 .infer = InferCumsum,
                 .evaluate = EvaluateCumsum,
                 .nest = [](const Op& op, const NestContext& context) -> StatusOr<Stmt> {
                   return ForEachLine(op.shape(), {op.Int("axis")}, [&](const Lines& lines) {
                     return CumsumOfLines(op, context, lines);
                   });
                 },
                 .gradient =
                     [](Builder& b, Op& op, size_t, Op* dy) {
                       AttributeMap attributes = op.attributes();
                       attributes.insert_or_assign("reverse", !op.Bool("reverse"));
                       return b.Make("cumsum", {dy}, std::move(attributes));
                     }});
  return ops;
}

}  // namespace kiln
