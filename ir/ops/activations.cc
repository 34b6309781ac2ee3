// Activation functions: elementwise formulas with parameters. Each is written so that no
// intermediate overflows or cancels where the result does not: exp takes only arguments <= 0.
#include <cmath>

#include "ir/ops/elementwise.h"
#include "ir/ops/op_table.h"
#include "ir/ops/shape_util.h"

namespace kiln {

namespace {

using loop::Expr;
using loop::UnaryOp;
using Args = std::span<const Expr>;
using Site = GradientSite;

Expr C(const Expr& like, double value) { return ConstLike(like, value); }

Expr Softplus(const Expr& x) {
  return Max(x, C(x, 0)) + Unary(UnaryOp::kLog1p, Unary(UnaryOp::kExp, -Unary(UnaryOp::kAbs, x)));
}

// max(0, min(1, alpha x + beta))
Expr HardSigmoid(const Expr& x, double alpha, double beta) {
  return Max(Min(C(x, alpha) * x + C(x, beta), C(x, 1)), C(x, 0));
}

// The positive part, and `scale` (e^(negative part / divisor) - 1): one of the two is always 0.
Expr Elu(const Expr& x, double scale, double divisor = 1) {
  const Expr negative = Min(x, C(x, 0));
  const Expr argument = divisor == 1 ? negative : negative / C(x, divisor);
  return Max(x, C(x, 0)) + C(x, scale) * Unary(UnaryOp::kExpm1, argument);
}

Expr Gelu(const Op& op, Args args) {
  const Expr& x = args[0];
  Expr bell;
  if (op.String("approximate") == "tanh") {
    const Expr cubic = x + C(x, 0.044715) * x * x * x;
    bell = Unary(UnaryOp::kTanh, C(x, std::sqrt(2 / M_PI)) * cubic);
  } else {
    bell = Unary(UnaryOp::kErf, x * C(x, M_SQRT1_2));
  }
  return C(x, 0.5) * x * (C(x, 1) + bell);
}

Expr Shrink(const Op& op, Args args) {
  const Expr& x = args[0];
  const Expr lambd = C(x, op.Double("lambd"));
  const Expr bias = C(x, op.Double("bias"));
  return Select(Lt(x, -lambd), x + bias, Select(Gt(x, lambd), x - bias, C(x, 0)));
}

Expr LeakyRelu(const Op& op, Args x) {
  return Select(Lt(x[0], C(x[0], 0)), C(x[0], op.Double("alpha")) * x[0], x[0]);
}

Expr ThresholdedRelu(const Op& op, Args x) {
  return Select(Gt(x[0], C(x[0], op.Double("alpha"))), x[0], C(x[0], 0));
}

// Derivatives: dL/dx from dy, x and y.

Term Sigmoid(const Term& x) { return x.Make("sigmoid"); }

Term MishDerivative(const Site& at) {
  const Term x = at.x(), t = x.Make("softplus").Make("tanh");
  return at.dy() * (t + x * Sigmoid(x) * (1 - t * t));
}

Term SiluDerivative(const Site& at) {
  const Term s = Sigmoid(at.x());
  return at.dy() * (s * (1 + at.x() * (1 - s)));
}

// Below 0, where y = scale (e^(x/divisor) - 1), the slope is (y + scale) / divisor.
Term EluDerivative(const Site& at, double gain, double scale, double divisor = 1) {
  const Term slope = (at.y() + scale) * (1 / divisor);
  return at.dy() * Where(Greater(at.x(), 0), at.dy().Scalar(gain), slope);
}

Term GeluDerivative(const Site& at) {
  const Term x = at.x();
  if (at.op.String("approximate") == "tanh") {
    const double scale = std::sqrt(2 / M_PI);
    const Term square = x * x;
    const Term t = (scale * (x + 0.044715 * (square * x))).Make("tanh");
    const Term inner = scale * (1 + 3 * 0.044715 * square);
    return at.dy() * (0.5 * (1 + t) + 0.5 * (x * (1 - t * t) * inner));
  }
  const Term cumulative = 0.5 * (1 + (x * M_SQRT1_2).Make("erf"));
  const Term density = std::sqrt(0.5 / M_PI) * (x * x * -0.5).Make("exp");
  return at.dy() * (cumulative + x * density);
}

Term HardSigmoidDerivative(const Site& at) {
  const Term inside = And(Greater(at.y(), 0), Less(at.y(), 1));
  return Where(inside, at.op.Double("alpha") * at.dy(), 0);
}

// y = x (x + 3) / 6 between -3 and 3.
Term HardSwishDerivative(const Site& at) {
  const Term x = at.x();
  const Term slope = Where(Less(x, 3), x * (1.0 / 3) + 0.5, 1);
  return at.dy() * Where(Greater(x, -3), slope, 0);
}

Term ShrinkDerivative(const Site& at) {
  const Term zero = at.dy().Scalar(0);
  const double lambd = at.op.Double("lambd");
  const Term above = Where(Greater(at.x(), lambd), at.dy(), zero);
  return Where(Less(at.x(), -lambd), at.dy(), above);
}

AttributeDef Parameter(std::string name, double value, std::string doc) {
  return {std::move(name), Attribute::Kind::kDouble, value, std::move(doc)};
}

ElementwiseRow Activation(std::string name, std::string doc, Formula formula, Derivative derivative,
                          uint32_t traits = 0, std::vector<AttributeDef> attributes = {}) {
  return {.name = std::move(name),
          .doc = std::move(doc),
          .operands = {{"x"}},
          .accepts = Accepts::kFloat,
          .formula = std::move(formula),
          .derivative = std::move(derivative),
          .traits = traits,
          .attributes = std::move(attributes)};
}

std::vector<ElementwiseRow> SmoothActivations() {
  const AttributeDef alpha = Parameter("alpha", 1.0, "the scale of the negative part");
  std::vector<ElementwiseRow> rows = {
      Activation(
          "softplus", "y = log(1 + e^x) = max(x, 0) + log1p(e^-|x|).",
          [](const Op&, Args x) { return Softplus(x[0]); },
          [](const Site& at) { return at.dy() * Sigmoid(at.x()); }, kExpensive),
      Activation(
          "softsign", "y = x / (1 + |x|).",
          [](const Op&, Args x) { return x[0] / (C(x[0], 1) + Unary(UnaryOp::kAbs, x[0])); },
          [](const Site& at) {
            const Term slope = 1 - at.y().Make("abs");
            return at.dy() * (slope * slope);
          }),
      Activation(
          "mish", "y = x tanh(softplus(x)).",
          [](const Op&, Args x) { return x[0] * Unary(UnaryOp::kTanh, Softplus(x[0])); },
          MishDerivative, kExpensive),
      Activation(
          "silu", "y = x sigmoid(x).",
          [](const Op&, Args x) { return x[0] * Unary(UnaryOp::kSigmoid, x[0]); }, SiluDerivative,
          kExpensive),
      Activation(
          "elu", "y = max(x, 0) + alpha (e^min(x, 0) - 1).",
          [](const Op& op, Args x) { return Elu(x[0], op.Double("alpha")); },
          [](const Site& at) { return EluDerivative(at, 1, at.op.Double("alpha")); }, kExpensive,
          {alpha}),
      Activation(
          "selu", "y = gamma (max(x, 0) + alpha (e^min(x, 0) - 1)).",
          [](const Op& op, Args x) {
            return C(x[0], op.Double("gamma")) * Elu(x[0], op.Double("alpha"));
          },
          [](const Site& at) {
            const double gamma = at.op.Double("gamma");
            return EluDerivative(at, gamma, gamma * at.op.Double("alpha"));
          },
          kExpensive,
          {Parameter("alpha", 1.67326319217681884765625, "the scale of the negative part"),
           Parameter("gamma", 1.05070102214813232421875, "the scale of the whole")}),
      Activation(
          "celu", "y = max(x, 0) + alpha (e^(min(x, 0) / alpha) - 1).",
          [](const Op& op, Args x) { return Elu(x[0], op.Double("alpha"), op.Double("alpha")); },
          [](const Site& at) {
            const double scale = at.op.Double("alpha");
            return EluDerivative(at, 1, scale, scale);
          },
          kExpensive, {alpha}),
      Activation("gelu",
                 "y = x/2 (1 + erf(x / sqrt 2)); with `approximate` \"tanh\", "
                 "y = x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).",
                 Gelu, GeluDerivative, kExpensive,
                 {{"approximate", Attribute::Kind::kString, "none", "\"none\" or \"tanh\""}}),
  };
  for (ElementwiseRow& row : rows) {
    if (row.name == "celu") {
      row.check = [](const Op& op) {
        return op.Double("alpha") != 0 ? OkStatus() : OpError(op, "alpha must not be 0");
      };
    }
    if (row.name == "gelu") {
      row.check = [](const Op& op) { return CheckChoice(op, "approximate", {"none", "tanh"}); };
    }
  }
  return rows;
}

std::vector<ElementwiseRow> PiecewiseActivations() {
  // By y, so that x need not be kept.
  ElementwiseRow relu = Activation(
      "relu", "y = max(x, 0).", [](const Op&, Args x) { return Max(x[0], C(x[0], 0)); },
      [](const Site& at) { return Where(Greater(at.y(), 0), at.dy(), 0); });
  relu.accepts = Accepts::kNumeric;
  return {
      std::move(relu),
      Activation("leaky_relu", "y = x where x >= 0, alpha x elsewhere.", LeakyRelu,
                 [](const Site& at) {
                   const Term scaled = at.op.Double("alpha") * at.dy();
                   return Where(Less(at.x(), 0), scaled, at.dy());
                 },
                 0, {Parameter("alpha", 0.01, "the slope below 0")}),
      Activation(
          "thresholded_relu", "y = x where x > alpha, 0 elsewhere.", ThresholdedRelu,
          [](const Site& at) { return Where(Greater(at.x(), at.op.Double("alpha")), at.dy(), 0); },
          0, {Parameter("alpha", 1.0, "the threshold")}),
      Activation("hard_sigmoid", "y = max(0, min(1, alpha x + beta)).",
                 [](const Op& op, Args x) {
                   return HardSigmoid(x[0], op.Double("alpha"), op.Double("beta"));
                 },
                 HardSigmoidDerivative, 0,
                 {Parameter("alpha", 0.2, "the slope"), Parameter("beta", 0.5, "the value at 0")}),
      Activation(
          "hard_swish", "y = x max(0, min(1, x/6 + 1/2)).",
          [](const Op&, Args x) { return x[0] * HardSigmoid(x[0], 1.0 / 6, 0.5); },
          HardSwishDerivative),
      Activation("shrink", "y = x + bias where x < -lambd, x - bias where x > lambd, 0 between.",
                 Shrink, ShrinkDerivative, 0,
                 {Parameter("lambd", 0.5, "the half width of the dead zone"),
                  Parameter("bias", 0.0, "what is taken off outside of it")}),
  };
}

}  // namespace

std::vector<OpDef> ActivationOps() {
  std::vector<OpDef> ops;
  for (ElementwiseRow& row : SmoothActivations()) ops.push_back(MakeElementwise(std::move(row)));
  for (ElementwiseRow& row : PiecewiseActivations()) ops.push_back(MakeElementwise(std::move(row)));
  return ops;
}

}  // namespace kiln
