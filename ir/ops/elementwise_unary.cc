// Elementwise functions of one operand: arithmetic, rounding, the elementary functions, tests and
// the cast. Activations are in activations.cc.
#include <bit>
#include <cmath>
#include <limits>
#include <utility>

#include "ir/eval/scalar.h"
#include "ir/ops/elementwise.h"
#include "ir/ops/op_table.h"
#include "ir/ops/shape_util.h"

namespace kiln {

namespace {

using loop::Expr;
using loop::UnaryOp;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

using Site = GradientSite;

// The row of an op that is one operator of the loop IR.
ElementwiseRow Function(std::string name, Accepts accepts, UnaryOp op, std::string doc,
                        Derivative derivative, uint32_t traits = 0) {
  return {.name = std::move(name),
          .doc = std::move(doc),
          .operands = {{"x"}},
          .accepts = accepts,
          .formula = [op](const Op&, std::span<const Expr> x) { return Unary(op, x[0]); },
          .derivative = std::move(derivative),
          .traits = traits};
}

// Steps: the derivative is 0 wherever there is one.
Term Flat(const Site& at) { return Term::Zero(at.b); }

Term Square(const Term& x) { return x * x; }

std::vector<ElementwiseRow> Arithmetic() {
  constexpr Accepts kF = Accepts::kFloat;
  constexpr Accepts kN = Accepts::kNumeric;
  return {
      Function("neg", kN, UnaryOp::kNeg, "y = -x. Integers wrap.",
               [](const Site& at) { return -at.dy(); }),
      Function("abs", kN, UnaryOp::kAbs, "y = |x|. The smallest integer wraps to itself.",
               [](const Site& at) { return at.dy() * at.x().Make("sign"); }),
      Function("sign", kN, UnaryOp::kSign, "y = 1, 0 or -1 as x is above, at or below 0.", Flat),
      Function("floor", kF, UnaryOp::kFloor, "y = the largest integer <= x.", Flat),
      Function("ceil", kF, UnaryOp::kCeil, "y = the smallest integer >= x.", Flat),
      Function("round", kF, UnaryOp::kRound, "y = the nearest integer, ties to even.", Flat),
  };
}

std::vector<ElementwiseRow> Elementary() {
  constexpr Accepts kF = Accepts::kFloat;
  return {
      Function(
          "sqrt", kF, UnaryOp::kSqrt, "y = the square root of x.",
          [](const Site& at) { return at.dy() * 0.5 / at.y(); }, kExpensive),
      Function(
          "exp", kF, UnaryOp::kExp, "y = e^x.", [](const Site& at) { return at.dy() * at.y(); },
          kExpensive),
      Function(
          "expm1", kF, UnaryOp::kExpm1, "y = e^x - 1, accurate near 0.",
          [](const Site& at) { return at.dy() * (at.y() + 1); }, kExpensive),
      Function(
          "log", kF, UnaryOp::kLog, "y = the natural logarithm of x.",
          [](const Site& at) { return at.dy() / at.x(); }, kExpensive),
      Function(
          "log1p", kF, UnaryOp::kLog1p, "y = log(1 + x), accurate near 0.",
          [](const Site& at) { return at.dy() / (at.x() + 1); }, kExpensive),
      Function(
          "sin", kF, UnaryOp::kSin, "y = sin x.",
          [](const Site& at) { return at.dy() * at.x().Make("cos"); }, kExpensive),
      Function(
          "cos", kF, UnaryOp::kCos, "y = cos x.",
          [](const Site& at) { return -(at.dy() * at.x().Make("sin")); }, kExpensive),
      Function(
          "tan", kF, UnaryOp::kTan, "y = tan x.",
          [](const Site& at) { return at.dy() * (1 + Square(at.y())); }, kExpensive),
      Function(
          "asin", kF, UnaryOp::kAsin, "y = arcsin x.",
          [](const Site& at) { return at.dy() / (1 - Square(at.x())).Make("sqrt"); }, kExpensive),
      Function(
          "acos", kF, UnaryOp::kAcos, "y = arccos x.",
          [](const Site& at) { return -(at.dy() / (1 - Square(at.x())).Make("sqrt")); },
          kExpensive),
      Function(
          "atan", kF, UnaryOp::kAtan, "y = arctan x.",
          [](const Site& at) { return at.dy() / (1 + Square(at.x())); }, kExpensive),
      Function(
          "sinh", kF, UnaryOp::kSinh, "y = sinh x.",
          [](const Site& at) { return at.dy() * at.x().Make("cosh"); }, kExpensive),
      Function(
          "cosh", kF, UnaryOp::kCosh, "y = cosh x.",
          [](const Site& at) { return at.dy() * at.x().Make("sinh"); }, kExpensive),
      Function(
          "tanh", kF, UnaryOp::kTanh, "y = tanh x.",
          [](const Site& at) { return at.dy() * (1 - Square(at.y())); }, kExpensive),
      Function(
          "asinh", kF, UnaryOp::kAsinh, "y = arsinh x.",
          [](const Site& at) { return at.dy() / (Square(at.x()) + 1).Make("sqrt"); }, kExpensive),
      Function(
          "acosh", kF, UnaryOp::kAcosh, "y = arcosh x.",
          [](const Site& at) { return at.dy() / (Square(at.x()) - 1).Make("sqrt"); }, kExpensive),
      Function(
          "atanh", kF, UnaryOp::kAtanh, "y = artanh x.",
          [](const Site& at) { return at.dy() / (1 - Square(at.x())); }, kExpensive),
      Function(
          "erf", kF, UnaryOp::kErf, "y = the error function of x.",
          [](const Site& at) { return at.dy() * (M_2_SQRTPI * (-Square(at.x())).Make("exp")); },
          kExpensive),
      Function(
          "sigmoid", kF, UnaryOp::kSigmoid, "y = 1 / (1 + e^-x).",
          [](const Site& at) { return at.dy() * (at.y() * (1 - at.y())); }, kExpensive),
  };
}

std::vector<ElementwiseRow> Bits() {
  std::vector<ElementwiseRow> rows = {
      Function("not", Accepts::kBool, UnaryOp::kNot, "y = true where x is false.", nullptr),
      Function("bitwise_not", Accepts::kInteger, UnaryOp::kBitNot, "y = every bit of x flipped.",
               nullptr),
  };
  rows[0].no_gradient = "its operand is a truth value";
  rows[1].no_gradient = "its operand is an integer";
  return rows;
}

Expr Reciprocal(const Op&, std::span<const Expr> x) { return ConstLike(x[0], 1) / x[0]; }

Expr IsNan(const Op&, std::span<const Expr> x) { return Unary(UnaryOp::kIsNan, x[0]); }

Expr IsInf(const Op& op, std::span<const Expr> x) {
  const bool negative = op.Bool("detect_negative");
  const bool positive = op.Bool("detect_positive");
  if (negative && positive) return Unary(UnaryOp::kIsInf, x[0]);
  if (!negative && !positive) return loop::Bool(false);
  return Eq(x[0], ConstLike(x[0], positive ? kInfinity : -kInfinity));
}

Expr Cast(const Op& op, std::span<const Expr> x) {
  const ElementType to = ComputeType(op.Element("to"));
  if (x[0].type() == to) return x[0];
  if (to == ElementType::kBool) return Ne(x[0], ConstLike(x[0], 0));
  return loop::Cast(to, x[0]);
}

// The formula computes in f32 for f16 and bf16; the reference rounds to them.
Status EvaluateCast(const Op&, std::span<const Array* const> operands, Array& result) {
  const Array& x = *operands[0];
  for (int64_t i = 0; i < result.count(); ++i) {
    SetElement(result, i, ApplyCast(x.element, result.element, GetElement(x, i)));
  }
  return OkStatus();
}

// The largest power of two that is <= |x|, among 2^low .. 2^high, by bisection.
Expr PowerBelow(const Expr& x, int64_t low, int64_t high) {
  const Expr size = Unary(UnaryOp::kAbs, x);
  const auto power_of_two = [&x](int64_t exponent) {
    return ConstLike(x, std::ldexp(1.0, static_cast<int>(exponent)));
  };
  Expr power = power_of_two(low);
  for (int64_t step = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(high - low)));
       step > 0; step /= 2) {
    const Expr larger = Min(power * power_of_two(step), power_of_two(high));
    power = Select(Ge(size, larger), larger, power);
  }
  return power;
}

Expr RoundToFloat(const Op& op, std::span<const Expr> x) {
  const double last_bit = std::ldexp(1.0, static_cast<int>(-op.Int("mantissa_bits")));
  const Expr quantum =
      PowerBelow(x[0], op.Int("min_exponent"), op.Int("max_exponent")) * ConstLike(x[0], last_bit);
  return Unary(UnaryOp::kRound, x[0] / quantum) * quantum;
}

// The quantum, and its product with 2^max_exponent, must be normal numbers of the compute type.
Status CheckRoundToFloat(const Op& op) {
  const int64_t bits = op.Int("mantissa_bits");
  const int64_t low = op.Int("min_exponent"), high = op.Int("max_exponent");
  const bool wide = op.operand(0)->element() == ElementType::kF64;
  const int64_t reach = wide ? 1000 : 126, most = wide ? 52 : 23;
  if (bits < 0 || bits > most) return OpError(op, "mantissa_bits must be 0 to ", most);
  if (low > high || high > reach || low - bits < -reach) {
    return OpError(op, "exponents from ", low, " to ", high, " with ", bits,
                   " mantissa bits do not fit ", Name(op.operand(0)->element()));
  }
  return OkStatus();
}

// Integer bounds are rounded inwards; making them constants of the type moves those beyond its
// range to its ends.
Expr Clip(const Op& op, std::span<const Expr> x) {
  const bool integer = !IsFloat(x[0].type());
  const double low = op.Double("min");
  const double high = op.Double("max");
  Expr y = x[0];
  if (low != -kInfinity) y = Max(y, ConstLike(y, integer ? std::ceil(low) : low));
  if (high != kInfinity) y = Min(y, ConstLike(y, integer ? std::floor(high) : high));
  return y;
}

// Of the bounds themselves x counts as inside.
Term ClipDerivative(const Site& at) {
  Term dy = at.dy();
  const double low = at.op.Double("min"), high = at.op.Double("max");
  const Term zero = dy.Scalar(0);
  if (low != -kInfinity) dy = Where(Less(at.x(), low), zero, dy);
  if (high != kInfinity) dy = Where(Greater(at.x(), high), zero, dy);
  return dy;
}

Status CheckClip(const Op& op) {
  if (!std::isnan(op.Double("min")) && !std::isnan(op.Double("max"))) return OkStatus();
  return OpError(op, "min and max must not be NaN");
}

}  // namespace

std::vector<OpDef> ElementwiseUnaryOps() {
  using Kind = Attribute::Kind;
  std::vector<ElementwiseRow> rows = Arithmetic();
  for (auto more : {Elementary(), Bits()}) {
    for (ElementwiseRow& row : more) rows.push_back(std::move(row));
  }
  rows.push_back({.name = "reciprocal",
                  .doc = "y = 1 / x.",
                  .operands = {{"x"}},
                  .accepts = Accepts::kFloat,
                  .formula = Reciprocal,
                  .derivative = [](const Site& at) { return -(at.dy() * Square(at.y())); }});
  rows.push_back({.name = "clip",
                  .doc = "y = min(max(x, min), max). On integers the bounds are rounded inwards "
                         "and limited to the type's range.",
                  .operands = {{"x"}},
                  .formula = Clip,
                  .derivative = ClipDerivative,
                  .attributes = {{"min", Kind::kDouble, -kInfinity, "the lower bound"},
                                 {"max", Kind::kDouble, kInfinity, "the upper bound"}},
                  .check = CheckClip});
  rows.push_back(
      {.name = "round_to_float",
       .doc = "y = q round(x / q), ties to even, where q = 2^(e - mantissa_bits) and 2^e is the "
              "largest power of two <= |x|, but e is no less than min_exponent and no more than "
              "max_exponent: x as a float with so many bits behind the point, subnormal ones "
              "included. It may be larger than that float's largest.",
       .operands = {{"x"}},
       .accepts = Accepts::kFloat,
       .formula = RoundToFloat,
       .derivative = Flat,
       .traits = kExpensive,
       .attributes = {{"mantissa_bits", Kind::kInt, {}, "bits behind the point"},
                      {"min_exponent", Kind::kInt, {}, "of the smallest normal number"},
                      {"max_exponent", Kind::kInt, {}, "of the largest number"}},
       .check = CheckRoundToFloat});
  rows.push_back({.name = "is_nan",
                  .doc = "y = true where x is not a number.",
                  .operands = {{"x"}},
                  .accepts = Accepts::kFloat,
                  .formula = IsNan,
                  .result = BoolResult,
                  .no_gradient = "its result is a truth value"});
  rows.push_back({.name = "is_inf",
                  .doc = "y = true where x is infinite.",
                  .operands = {{"x"}},
                  .accepts = Accepts::kFloat,
                  .formula = IsInf,
                  .attributes = {{"detect_negative", Kind::kBool, true, "whether -inf counts"},
                                 {"detect_positive", Kind::kBool, true, "whether +inf counts"}},
                  .result = BoolResult,
                  .no_gradient = "its result is a truth value"});
  rows.push_back(
      {.name = "cast",
       .doc = "y = x as a value of type `to`. Floats to integers truncate and "
              "saturate; to bool is x != 0; to narrower floats rounds to nearest even; "
              "integers wrap.",
       .operands = {{"x"}},
       .accepts = Accepts::kAny,
       .formula = Cast,
       .derivative =
           [](const Site& at) { return at.dy().Make("cast", {{"to", at.x().element()}}); },
       .attributes = {{"to", Kind::kElementType, {}, "the result's element type"}},
       .result = [](const Op& op) { return op.Element("to"); }});
  std::vector<OpDef> ops;
  for (ElementwiseRow& row : rows) ops.push_back(MakeElementwise(std::move(row)));
  ops.back().evaluate = EvaluateCast;
  return ops;
}

}  // namespace kiln
