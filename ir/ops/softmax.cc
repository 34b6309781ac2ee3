// Softmax and its logarithm along one axis, shifted by the line's maximum so that nothing
// overflows.
#include <algorithm>
#include <cmath>
#include <limits>

#include "ir/ops/gradient.h"
#include "ir/ops/lines.h"
#include "ir/ops/op_table.h"
#include "ir/ops/shape_util.h"

namespace kiln {

using loop::Expr;
using loop::Reduce;
using loop::ReduceOp;
using loop::Stmt;
using loop::Unary;
using loop::UnaryOp;

namespace {

StatusOr<TensorType> InferSoftmax(const Op& op) {
  KILN_RETURN_IF_ERROR(CheckRowMajor(op));
  KILN_RETURN_IF_ERROR(CheckFloat(op));
  const TensorType& x = op.operand(0)->type();
  KILN_RETURN_IF_ERROR(CheckAxis(op, "axis", op.Int("axis"), x.rank()));
  return TensorType{x.element, x.shape};
}

/// Calls `finish(x - max, sum of exp(x - max))` for every element.
template <typename Finish>
Status EvaluateAlongAxis(const Op& op, const Array& x, Array& result, const Finish& finish) {
  const AxisView view(op.shape(), op.Int("axis"));
  for (int64_t o = 0; o < view.outer; ++o) {
    for (int64_t i = 0; i < view.inner; ++i) {
      double peak = -std::numeric_limits<double>::infinity(), sum = 0;
      for (int64_t j = 0; j < view.extent; ++j) {
        peak = std::max(peak, x.floats[view.Offset(o, j, i)]);
      }
      for (int64_t j = 0; j < view.extent; ++j) {
        sum += std::exp(x.floats[view.Offset(o, j, i)] - peak);
      }
      for (int64_t j = 0; j < view.extent; ++j) {
        const int64_t at = view.Offset(o, j, i);
        result.floats[at] = finish(x.floats[at] - peak, sum);
      }
    }
  }
  return OkStatus();
}

Status EvaluateSoftmax(const Op& op, std::span<const Array* const> in, Array& result) {
  return EvaluateAlongAxis(op, *in[0], result,
                           [](double x, double sum) { return std::exp(x) / sum; });
}

Status EvaluateLogSoftmax(const Op& op, std::span<const Array* const> in, Array& result) {
  return EvaluateAlongAxis(op, *in[0], result,
                           [](double x, double sum) { return x - std::log(sum); });
}

/// What both nests read, for the lines at hand.
struct SoftmaxLines {
  const Op& op;
  const NestContext& context;
  const Lines& lines;
  loop::Buffer peak = lines.Local("peak", ComputeType(op.element()));

  loop::Var AxisVar() const {
    return loop::MakeVar("j", op.shape()[static_cast<size_t>(op.Int("axis"))]);
  }
  /// x - max of its line.
  Expr Shifted(const Expr& j, const Expr& lane) const {
    return context.Load(context.operands[0], lines.At({j}, lane)) - Load(peak, {lane});
  }
  Expr Result(const Expr& j, const Expr& lane) const {
    return context.Load(context.result, lines.At({j}, lane));
  }
  Stmt FindPeak() const {
    return lines.ForEachLane([&](const Expr& lane) {
      const loop::Var j = AxisVar();
      const Expr x = context.Load(context.operands[0], lines.At({j}, lane));
      return Store(peak, {lane}, Reduce(ReduceOp::kMax, {j}, x));
    });
  }
  /// result = value(j, lane) over the line.
  Stmt ForEachElement(const std::function<Expr(const Expr& j, const Expr& lane)>& value) const {
    const loop::Var j = AxisVar();
    return For(j, lines.ForEachLane([&](const Expr& lane) {
      return context.Store(context.result, lines.At({j}, lane), value(j, lane));
    }));
  }
};

// The exponentials are stored in the result and then scaled in place.
Stmt SoftmaxOfLines(const SoftmaxLines& line) {
  const loop::Buffer scale = line.lines.Local("scale", line.peak->element);
  const Stmt exponentials = line.ForEachElement(
      [&](const Expr& j, const Expr& lane) { return Unary(UnaryOp::kExp, line.Shifted(j, lane)); });
  const Stmt find_scale = line.lines.ForEachLane([&](const Expr& lane) {
    const loop::Var j = line.AxisVar();
    const Expr sum = Reduce(ReduceOp::kSum, {j}, line.Result(j, lane));
    return Store(scale, {lane}, loop::Const(scale->element, 1) / sum);
  });
  const Stmt scaled = line.ForEachElement(
      [&](const Expr& j, const Expr& lane) { return line.Result(j, lane) * Load(scale, {lane}); });
  return Alloc(line.peak,
               Alloc(scale, loop::Block({line.FindPeak(), exponentials, find_scale, scaled})));
}

Stmt LogSoftmaxOfLines(const SoftmaxLines& line) {
  const loop::Buffer log_sum = line.lines.Local("log_sum", line.peak->element);
  const Stmt find_log_sum = line.lines.ForEachLane([&](const Expr& lane) {
    const loop::Var j = line.AxisVar();
    const Expr sum = Reduce(ReduceOp::kSum, {j}, Unary(UnaryOp::kExp, line.Shifted(j, lane)));
    return Store(log_sum, {lane}, Unary(UnaryOp::kLog, sum));
  });
  const Stmt shifted = line.ForEachElement([&](const Expr& j, const Expr& lane) {
    return line.Shifted(j, lane) - Load(log_sum, {lane});
  });
  return Alloc(line.peak, Alloc(log_sum, loop::Block({line.FindPeak(), find_log_sum, shifted})));
}

template <Stmt (*kBody)(const SoftmaxLines&)>
StatusOr<Stmt> SoftmaxNest(const Op& op, const NestContext& context) {
  return ForEachLine(op.shape(), {op.Int("axis")},
                     [&](const Lines& lines) { return kBody(SoftmaxLines{op, context, lines}); });
}

// dx = y (dy - sum of dy y)
StatusOr<Op*> SoftmaxGradient(Builder& b, Op& op, size_t k, Op* dy) {
  const GradientSite at{b, op, k, dy};
  return (at.y() * (at.dy() - (at.dy() * at.y()).Sum({op.Int("axis")}))).op();
}

// dx = dy - e^y sum of dy
StatusOr<Op*> LogSoftmaxGradient(Builder& b, Op& op, size_t k, Op* dy) {
  const GradientSite at{b, op, k, dy};
  return (at.dy() - at.y().Make("exp") * at.dy().Sum({op.Int("axis")})).op();
}

const std::vector<AttributeDef>& SoftmaxAttributes() {
  static const auto* const attributes = new std::vector<AttributeDef>{
      {"axis", Attribute::Kind::kInt, {}, "the dimension that sums to one, 0 <= axis < rank"}};
  return *attributes;
}

}  // namespace

std::vector<OpDef> SoftmaxOps() {
  std::vector<OpDef> ops;
  ops.push_back({.name = "softmax",
                 .doc = "y = exp(x) / sum of exp(x) along `axis`, with x shifted by its maximum "
                        "along the axis.",
                 .operands = {{"x"}},
                 .attributes = SoftmaxAttributes(),
                 .infer = InferSoftmax,
                 .evaluate = EvaluateSoftmax,
                 .nest = SoftmaxNest<SoftmaxOfLines>,
                 .gradient = SoftmaxGradient});
  ops.push_back({.name = "log_softmax",
                 .doc = "y = x - log(sum of exp(x) along `axis`), with x shifted by its maximum "
                        "along the axis.",
                 .operands = {{"x"}},
                 .attributes = SoftmaxAttributes(),
                 .infer = InferSoftmax,
                 .evaluate = EvaluateLogSoftmax,
                 .nest = SoftmaxNest<LogSoftmaxOfLines>,
                 .gradient = LogSoftmaxGradient});
  return ops;
}

}  // namespace kiln
