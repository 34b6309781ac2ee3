// Normalisations: over neighbouring channels (lrn), by given statistics (batch_norm), by the
// statistics of each line (layer_norm) or of each channel plane (instance_norm).
#include <algorithm>
#include <cmath>
#include <limits>

#include "ir/ops/gradient.h"
#include "ir/ops/lines.h"
#include "ir/ops/op_table.h"
#include "ir/ops/shape_util.h"
#include "ir/ops/window.h"

namespace kiln {

using loop::Binary;
using loop::BinaryOp;
using loop::Const;
using loop::Expr;
using loop::Reduce;
using loop::ReduceOp;
using loop::Stmt;
using loop::Unary;
using loop::UnaryOp;

namespace {

Status CheckFinite(const Op& op, std::string_view name) {
  const double value = op.Double(name);
  if (std::isfinite(value)) return OkStatus();
  return OpError(op, name, " must be finite, found ", value);
}

Status CheckEpsilon(const Op& op) {
  const double epsilon = op.Double("epsilon");
  if (epsilon >= 0 && std::isfinite(epsilon)) return OkStatus();
  return OpError(op, "epsilon must be finite and at least 0, found ", epsilon);
}

AttributeDef Epsilon() {
  return {"epsilon", Attribute::Kind::kDouble, Attribute(1e-5), "added to the variance, >= 0"};
}

// lrn

StatusOr<TensorType> InferLrn(const Op& op) {
  KILN_RETURN_IF_ERROR(CheckFloat(op));
  const TensorType& x = op.operand(0)->type();
  if (x.rank() < 2) return OpError(op, "the input must have rank 2 or more");
  KILN_RETURN_IF_ERROR(
      CheckRange(op, "size", op.Int("size"), 1, std::numeric_limits<int32_t>::max()));
  for (const char* const name : {"alpha", "beta", "bias"}) {
    KILN_RETURN_IF_ERROR(CheckFinite(op, name));
  }
  return x;
}

/// How many channels below and above its own a result looks at, at most all there are.
struct Reach {
  int64_t below;
  int64_t above;
};

Reach LrnReach(const Op& op) {
  const int64_t size = op.Int("size"), others = std::max<int64_t>(0, op.shape()[1] - 1);
  return {std::min((size - 1) / 2, others), std::min(size / 2, others)};
}

Status EvaluateLrn(const Op& op, std::span<const Array* const> in, Array& result) {
  const AxisView view(op.shape(), 1);
  const Reach reach = LrnReach(op);
  const double factor = op.Double("alpha") / static_cast<double>(op.Int("size"));
  const std::vector<double>& x = in[0]->floats;
  for (Index y(op.shape()); y.valid(); y.Next()) {
    const int64_t inner = y.linear() % view.inner;
    const int64_t begin = std::max<int64_t>(0, y[1] - reach.below);
    const int64_t end = std::min(view.extent, y[1] + reach.above + 1);
    double sum = 0;
    for (int64_t c = begin; c < end; ++c) {
      const double value = x[view.Offset(y[0], c, inner)];
      sum += value * value;
    }
    const double base = op.Double("bias") + factor * sum;
    result.floats[y.linear()] = x[y.linear()] / std::pow(base, op.Double("beta"));
  }
  return OkStatus();
}

/// base^beta; the exponents that networks use need roots only, which are much cheaper than pow.
Expr PowBeta(const Expr& base, double beta) {
  const Expr root = Unary(UnaryOp::kSqrt, base);
  if (beta == 1.0) return base;
  if (beta == 0.5) return root;
  if (beta == 0.75) return root * Unary(UnaryOp::kSqrt, root);
  return Binary(BinaryOp::kPow, base, Const(base.type(), beta));
}

Expr LrnElement(const Op& op, const Reader& read, const std::vector<Expr>& index) {
  const Reach reach = LrnReach(op);
  std::vector<loop::Var> vars;
  std::vector<Expr> at = index;
  Expr in_bounds;
  if (reach.below + reach.above > 0) {
    vars.push_back(loop::MakeVar("c", reach.below + reach.above + 1));
    at[1] = index[1] + vars.back() - reach.below;
    in_bounds = And(Ge(at[1], 0), Lt(at[1], op.shape()[1]));
  }
  const Expr x = read(0, index);
  const ElementType type = x.type();
  const Expr neighbour = Guard(in_bounds, read(0, at), Const(type, 0));
  const Expr square = neighbour * neighbour;
  const double factor = op.Double("alpha") / static_cast<double>(op.Int("size"));
  const Expr base =
      Const(type, op.Double("bias")) + Const(type, factor) * Reduce(ReduceOp::kSum, vars, square);
  return x / PowBeta(base, op.Double("beta"));
}

// With s = bias + alpha/size * (sum of x^2) and y = x s^-beta:
// dx = dy s^-beta - 2 alpha beta / size * x * (sum of dy y / s over the windows that x is in).
StatusOr<Op*> LrnGradient(Builder& b, Op& op, size_t k, Op* dy_op) {
  const GradientSite at{b, op, k, dy_op};
  const Reach reach = LrnReach(op);
  const double factor = op.Double("alpha") / static_cast<double>(op.Int("size"));
  const double beta = op.Double("beta");
  const auto sum = [](const Term& x, int64_t below, int64_t above) {
    return x.Make("window_sum", {{"axis", 1}, {"below", below}, {"above", above}});
  };
  const Term x = at.x(), dy = at.dy();
  const Term base = factor * sum(x * x, reach.below, reach.above) + op.Double("bias");
  const Term shared = sum(dy * at.y() / base, reach.above, reach.below);
  return (dy * Power(base, -beta) - 2 * factor * beta * (x * shared)).op();
}

// window_sum

Status CheckWindowSum(const Op& op) {
  KILN_RETURN_IF_ERROR(CheckFloat(op));
  KILN_RETURN_IF_ERROR(CheckAxis(op, "axis", op.Int("axis"), op.operand(0)->type().rank()));
  for (const char* const name : {"below", "above"}) {
    KILN_RETURN_IF_ERROR(
        CheckRange(op, name, op.Int(name), 0, std::numeric_limits<int32_t>::max()));
  }
  return OkStatus();
}

StatusOr<TensorType> InferWindowSum(const Op& op) {
  KILN_RETURN_IF_ERROR(CheckWindowSum(op));
  return op.operand(0)->type();
}

Status EvaluateWindowSum(const Op& op, std::span<const Array* const> in, Array& result) {
  const AxisView view(op.shape(), op.Int("axis"));
  for (int64_t line = 0; line < view.outer * view.inner; ++line) {
    const int64_t o = line / view.inner, inner = line % view.inner;
    for (int64_t j = 0; j < view.extent; ++j) {
      const int64_t end = std::min(view.extent, j + op.Int("above") + 1);
      double& sum = result.floats[view.Offset(o, j, inner)];
      for (int64_t i = std::max<int64_t>(0, j - op.Int("below")); i < end; ++i) {
        sum += in[0]->floats[view.Offset(o, i, inner)];
      }
    }
  }
  return OkStatus();
}

Expr WindowSumElement(const Op& op, const Reader& read, const std::vector<Expr>& index) {
  const int64_t axis = op.Int("axis"), extent = op.shape()[axis];
  const int64_t others = std::max<int64_t>(0, extent - 1);
  const int64_t below = std::min(op.Int("below"), others);
  const int64_t above = std::min(op.Int("above"), others);
  if (below + above == 0) return read(0, index);
  const loop::Var step = loop::MakeVar("j", below + above + 1);
  std::vector<Expr> at = index;
  at[axis] = index[axis] + step - below;
  const Expr value = read(0, at);
  const Expr inside = And(Ge(at[axis], 0), Lt(at[axis], extent));
  return Reduce(ReduceOp::kSum, {step}, Select(inside, value, Const(value.type(), 0)));
}

StatusOr<Op*> WindowSumGradient(Builder& b, Op& op, size_t, Op* dy) {
  return b.Make("window_sum", {dy},
                {{"axis", op.Int("axis")}, {"below", op.Int("above")}, {"above", op.Int("below")}});
}

// standardize

/// For y = (x - mean) / deviation, with both taken over `axes`:
/// dx = (dy - mean of dy - y * mean of (dy y)) / deviation.
StatusOr<Op*> StandardizeGradient(const GradientSite& at, const std::vector<int64_t>& axes) {
  const Term x = at.x(), y = at.y(), dy = at.dy();
  const Term centred = x - x.Mean(axes);
  const Term variance = (centred * centred).Mean(axes);
  const Term scale = 1 / (variance + at.op.Double("epsilon")).Make("sqrt");
  return ((dy - dy.Mean(axes) - y * (dy * y).Mean(axes)) * scale).op();
}

StatusOr<TensorType> InferStandardize(const Op& op) {
  KILN_RETURN_IF_ERROR(CheckRowMajor(op));
  KILN_RETURN_IF_ERROR(CheckFloat(op));
  KILN_RETURN_IF_ERROR(CheckEpsilon(op));
  KILN_RETURN_IF_ERROR(CheckAxes(op, "axes", op.Ints("axes"), op.operand(0)->type().rank()));
  return TensorType{op.operand(0)->element(), op.operand(0)->shape()};
}

StatusOr<Op*> DecomposeStandardize(Builder& b, const Op& op) {
  const std::vector<int64_t>& axes = op.Ints("axes");
  const Term x(b, op.operand(0));
  const Term centred = x - x.Mean(axes);
  const Term variance = (centred * centred).Mean(axes);
  return (centred * (1 / (variance + op.Double("epsilon")).Make("sqrt"))).op();
}

// batch_norm

StatusOr<TensorType> InferBatchNorm(const Op& op) {
  KILN_RETURN_IF_ERROR(CheckFloat(op));
  KILN_RETURN_IF_ERROR(CheckSameElement(op));
  KILN_RETURN_IF_ERROR(CheckEpsilon(op));
  const TensorType& x = op.operand(0)->type();
  if (x.rank() < 2) return OpError(op, "the input must have rank 2 or more");
  for (size_t k = 1; k < op.operands().size(); ++k) {
    if (op.operand(k)->shape() != Shape{x.shape[1]}) {
      return OpError(op, op.def().operands[k].name, " must have one value for each of the ",
                     x.shape[1], " channels");
    }
  }
  return x;
}

StatusOr<Op*> DecomposeBatchNorm(Builder& b, const Op& op) {
  Op* const x = op.operand(0);
  const StatusOr<Op*> scale = op.operand(1), bias = op.operand(2), mean = op.operand(3),
                      variance = op.operand(4);
  Shape per_channel(x->shape().size() - 1, 1);
  per_channel[0] = x->shape()[1];
  const auto factor = b.Div(scale, b.Make("sqrt", {b.AddScalar(variance, op.Double("epsilon"))}));
  const auto offset = b.Sub(bias, b.Mul(mean, factor));
  return b.Add(b.Mul(x, b.Reshape(factor, per_channel)), b.Reshape(offset, per_channel));
}

// layer_norm

StatusOr<TensorType> InferLayerNorm(const Op& op) {
  KILN_RETURN_IF_ERROR(CheckRowMajor(op));
  KILN_RETURN_IF_ERROR(CheckFloat(op));
  KILN_RETURN_IF_ERROR(CheckEpsilon(op));
  const TensorType& x = op.operand(0)->type();
  KILN_RETURN_IF_ERROR(CheckAxis(op, "axis", op.Int("axis"), x.rank()));
  return TensorType{x.element, x.shape};
}

Shape NormalizedShape(const Op& op) {
  return {op.shape().begin() + op.Int("axis"), op.shape().end()};
}

Status EvaluateLayerNorm(const Op& op, std::span<const Array* const> in, Array& result) {
  const int64_t count = ElementCount(NormalizedShape(op));
  const std::vector<double>& x = in[0]->floats;
  for (int64_t start = 0; start < result.count(); start += count) {
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < count; ++i) sum += x[start + i];
    const double mean = sum / static_cast<double>(count);
    for (int64_t i = 0; i < count; ++i) squares += (x[start + i] - mean) * (x[start + i] - mean);
    const double variance = squares / static_cast<double>(count);
    const double deviation = std::sqrt(variance + op.Double("epsilon"));
    for (int64_t i = 0; i < count; ++i)
      result.floats[start + i] = (x[start + i] - mean) / deviation;
  }
  return OkStatus();
}

/// The statements for one line: mean, then 1/deviation from the centred squares (the two-pass form
/// does not cancel), then the result.
Stmt LayerNormOfLine(const Op& op, const NestContext& context, const Lines& lines) {
  const ElementType type = ComputeType(op.element());
  const Shape normalized = NormalizedShape(op);
  const auto vars = [&] {
    std::vector<loop::Var> fresh;
    for (const int64_t extent : normalized) fresh.push_back(loop::MakeVar("j", extent));
    return fresh;
  };
  const auto x = [&](const std::vector<loop::Var>& along) {
    return context.Load(context.operands[0], lines.At({along.begin(), along.end()}, 0));
  };
  const loop::Buffer mean = lines.Local("mean", type), scale = lines.Local("scale", type);
  const Expr inverse_count = Const(type, 1.0 / static_cast<double>(ElementCount(normalized)));

  const auto j = vars(), k = vars(), l = vars();
  const Expr centred = x(k) - Load(mean, {0});
  const Expr variance = Reduce(ReduceOp::kSum, k, centred * centred) * inverse_count;
  const Expr deviation = Unary(UnaryOp::kSqrt, variance + Const(type, op.Double("epsilon")));
  const Expr normal = (x(l) - Load(mean, {0})) * Load(scale, {0});
  const std::vector<Expr> at = lines.At({l.begin(), l.end()}, 0);
  return Alloc(mean,
               Alloc(scale, loop::Block({
                                Store(mean, {0}, Reduce(ReduceOp::kSum, j, x(j)) * inverse_count),
                                Store(scale, {0}, Const(type, 1) / deviation),
                                ForAll(l, context.Store(context.result, at, normal)),
                            })));
}

StatusOr<Stmt> LayerNormNest(const Op& op, const NestContext& context) {
  std::vector<int64_t> axes;
  for (int64_t axis = op.Int("axis"); axis < op.type().rank(); ++axis) axes.push_back(axis);
  return ForEachLine(op.shape(), axes,
                     [&](const Lines& lines) { return LayerNormOfLine(op, context, lines); });
}

StatusOr<Op*> LayerNormGradient(Builder& b, Op& op, size_t k, Op* dy) {
  std::vector<int64_t> axes;
  for (int64_t axis = op.Int("axis"); axis < op.type().rank(); ++axis) axes.push_back(axis);
  return StandardizeGradient({b, op, k, dy}, axes);
}

// instance_norm

StatusOr<TensorType> InferInstanceNorm(const Op& op) {
  KILN_RETURN_IF_ERROR(CheckFloat(op));
  KILN_RETURN_IF_ERROR(CheckEpsilon(op));
  if (op.operand(0)->type().rank() < 3) return OpError(op, "the input must have rank 3 or more");
  return TensorType{op.operand(0)->element(), op.operand(0)->shape()};
}

StatusOr<Op*> DecomposeInstanceNorm(Builder& b, const Op& op) {
  const Shape& shape = op.shape();
  const int64_t plane = ElementCount({shape.begin() + 2, shape.end()});
  const auto planes = b.Reshape(op.operand(0), {shape[0], shape[1], plane});
  const auto normal =
      b.Make("layer_norm", {planes}, {{"axis", 2}, {"epsilon", op.Double("epsilon")}});
  return b.Reshape(normal, shape);
}

}  // namespace

std::vector<OpDef> NormalizationOps() {
  using Kind = Attribute::Kind;
  std::vector<OpDef> ops;
  ops.push_back({.name = "lrn",
                 .doc = "Local response normalisation over dimension 1: y[n,c] = x[n,c] / (bias + "
                        "alpha/size * s)^beta, with s the sum of x[n,i]^2 over the channels i from "
                        "c - floor((size-1)/2) to c + ceil((size-1)/2) that exist.",
                 .operands = {{"x"}},
                 .attributes = {{"size", Kind::kInt, {}, "channels in the sum, >= 1"},
                                {"alpha", Kind::kDouble, Attribute(0.0001), "scale of the sum"},
                                {"beta", Kind::kDouble, Attribute(0.75), "exponent"},
                                {"bias", Kind::kDouble, Attribute(1.0), "added to the sum"}},
                 .infer = InferLrn,
                 .evaluate = EvaluateLrn,
                 .element = LrnElement,
                 .gradient = LrnGradient});
  ops.push_back({.name = "window_sum",
                 .doc = "y[i] = the sum of x[j] along `axis`, for j from i - below to i + above "
                        "as far as they exist.",
                 .operands = {{"x"}},
                 .attributes = {{"axis", Kind::kInt, {}, "the dimension summed along"},
                                {"below", Kind::kInt, {}, "elements before its own, >= 0"},
                                {"above", Kind::kInt, {}, "elements behind its own, >= 0"}},
                 .infer = InferWindowSum,
                 .evaluate = EvaluateWindowSum,
                 .element = WindowSumElement,
                 .gradient = WindowSumGradient});
  ops.push_back(
      {.name = "standardize",
       .doc = "y = (x - mean) / sqrt(variance + epsilon), with mean and variance taken "
              "over `axes`: batch normalisation by the statistics of the batch.",
       .operands = {{"x"}},
       .attributes = {{"axes", Kind::kInts, {}, "the dimensions of the statistics"}, Epsilon()},
       .infer = InferStandardize,
       .decompose = DecomposeStandardize,
       .gradient = [](Builder& b, Op& op, size_t k, Op* dy) {
         return StandardizeGradient({b, op, k, dy}, op.Ints("axes"));
       }});
  ops.push_back({.name = "batch_norm",
                 .doc = "y = (x - mean) / sqrt(variance + epsilon) * scale + bias, with one value "
                        "of mean, variance, scale and bias per channel (dimension 1).",
                 .operands = {{"x"}, {"scale"}, {"bias"}, {"mean"}, {"variance"}},
                 .attributes = {Epsilon()},
                 .infer = InferBatchNorm,
                 .decompose = DecomposeBatchNorm});
  ops.push_back(
      {.name = "layer_norm",
       .doc = "y = (x - mean) / sqrt(variance + epsilon), with mean and variance taken "
              "over the dimensions from `axis` on.",
       .operands = {{"x"}},
       .attributes = {{"axis", Kind::kInt, {}, "the first dimension of those normalised over"},
                      Epsilon()},
       .infer = InferLayerNorm,
       .evaluate = EvaluateLayerNorm,
       .nest = LayerNormNest,
       .gradient = LayerNormGradient});
  ops.push_back({.name = "instance_norm",
                 .doc = "y = (x - mean) / sqrt(variance + epsilon), with mean and variance taken "
                        "over the spatial dimensions of each channel of each batch element.",
                 .operands = {{"x"}},
                 .attributes = {Epsilon()},
                 .infer = InferInstanceNorm,
                 .decompose = DecomposeInstanceNorm});
  return ops;
}

}  // namespace kiln
