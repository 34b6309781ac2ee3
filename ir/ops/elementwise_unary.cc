// Elementwise functions of one operand: arithmetic, rounding, the elementary functions, tests and
// the cast. Activations are in activations.cc.
#include <cmath>
#include <limits>

#include "ir/eval/scalar.h"
#include "ir/ops/elementwise.h"
#include "ir/ops/op_table.h"
#include "ir/ops/shape_util.h"

namespace kiln {

namespace {

using loop::Expr;
using loop::UnaryOp;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// The row of an op that is one operator of the loop IR.
ElementwiseRow Function(std::string name, Accepts accepts, UnaryOp op, std::string doc,
                        uint32_t traits = 0) {
  return {.name = std::move(name),
          .doc = std::move(doc),
          .operands = {{"x"}},
          .accepts = accepts,
          .formula = [op](const Op&, std::span<const Expr> x) { return Unary(op, x[0]); },
          .traits = traits};
}

std::vector<ElementwiseRow> Functions() {
  constexpr Accepts kF = Accepts::kFloat;
  constexpr Accepts kN = Accepts::kNumeric;
  return {
      Function("neg", kN, UnaryOp::kNeg, "y = -x. Integers wrap."),
      Function("abs", kN, UnaryOp::kAbs, "y = |x|. The smallest integer wraps to itself."),
      Function("sign", kN, UnaryOp::kSign, "y = 1, 0 or -1 as x is above, at or below 0."),
      Function("floor", kF, UnaryOp::kFloor, "y = the largest integer <= x."),
      Function("ceil", kF, UnaryOp::kCeil, "y = the smallest integer >= x."),
      Function("round", kF, UnaryOp::kRound, "y = the nearest integer, ties to even."),
      Function("sqrt", kF, UnaryOp::kSqrt, "y = the square root of x.", kExpensive),
      Function("exp", kF, UnaryOp::kExp, "y = e^x.", kExpensive),
      Function("expm1", kF, UnaryOp::kExpm1, "y = e^x - 1, accurate near 0.", kExpensive),
      Function("log", kF, UnaryOp::kLog, "y = the natural logarithm of x.", kExpensive),
      Function("log1p", kF, UnaryOp::kLog1p, "y = log(1 + x), accurate near 0.", kExpensive),
      Function("sin", kF, UnaryOp::kSin, "y = sin x.", kExpensive),
      Function("cos", kF, UnaryOp::kCos, "y = cos x.", kExpensive),
      Function("tan", kF, UnaryOp::kTan, "y = tan x.", kExpensive),
      Function("asin", kF, UnaryOp::kAsin, "y = arcsin x.", kExpensive),
      Function("acos", kF, UnaryOp::kAcos, "y = arccos x.", kExpensive),
      Function("atan", kF, UnaryOp::kAtan, "y = arctan x.", kExpensive),
      Function("sinh", kF, UnaryOp::kSinh, "y = sinh x.", kExpensive),
      Function("cosh", kF, UnaryOp::kCosh, "y = cosh x.", kExpensive),
      Function("tanh", kF, UnaryOp::kTanh, "y = tanh x.", kExpensive),
      Function("asinh", kF, UnaryOp::kAsinh, "y = arsinh x.", kExpensive),
      Function("acosh", kF, UnaryOp::kAcosh, "y = arcosh x.", kExpensive),
      Function("atanh", kF, UnaryOp::kAtanh, "y = artanh x.", kExpensive),
      Function("erf", kF, UnaryOp::kErf, "y = the error function of x.", kExpensive),
      Function("sigmoid", kF, UnaryOp::kSigmoid, "y = 1 / (1 + e^-x).", kExpensive),
      Function("not", Accepts::kBool, UnaryOp::kNot, "y = true where x is false."),
      Function("bitwise_not", Accepts::kInteger, UnaryOp::kBitNot, "y = every bit of x flipped."),
  };
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

Status CheckClip(const Op& op) {
  if (!std::isnan(op.Double("min")) && !std::isnan(op.Double("max"))) return OkStatus();
  return OpError(op, "min and max must not be NaN");
}

}  // namespace

std::vector<OpDef> ElementwiseUnaryOps() {
  using Kind = Attribute::Kind;
  std::vector<ElementwiseRow> rows = Functions();
  rows.push_back({.name = "reciprocal",
                  .doc = "y = 1 / x.",
                  .operands = {{"x"}},
                  .accepts = Accepts::kFloat,
                  .formula = Reciprocal});
  rows.push_back({.name = "clip",
                  .doc = "y = min(max(x, min), max). On integers the bounds are rounded inwards "
                         "and limited to the type's range.",
                  .operands = {{"x"}},
                  .formula = Clip,
                  .attributes = {{"min", Kind::kDouble, -kInfinity, "the lower bound"},
                                 {"max", Kind::kDouble, kInfinity, "the upper bound"}},
                  .check = CheckClip});
  rows.push_back({.name = "is_nan",
                  .doc = "y = true where x is not a number.",
                  .operands = {{"x"}},
                  .accepts = Accepts::kFloat,
                  .formula = IsNan,
                  .result = BoolResult});
  rows.push_back({.name = "is_inf",
                  .doc = "y = true where x is infinite.",
                  .operands = {{"x"}},
                  .accepts = Accepts::kFloat,
                  .formula = IsInf,
                  .attributes = {{"detect_negative", Kind::kBool, true, "whether -inf counts"},
                                 {"detect_positive", Kind::kBool, true, "whether +inf counts"}},
                  .result = BoolResult});
  rows.push_back({.name = "cast",
                  .doc = "y = x as a value of type `to`. Floats to integers truncate and "
                         "saturate; to bool is x != 0; to narrower floats rounds to nearest even; "
                         "integers wrap.",
                  .operands = {{"x"}},
                  .accepts = Accepts::kAny,
                  .formula = Cast,
                  .attributes = {{"to", Kind::kElementType, {}, "the result's element type"}},
                  .result = [](const Op& op) { return op.Element("to"); }});
  std::vector<OpDef> ops;
  for (ElementwiseRow& row : rows) ops.push_back(MakeElementwise(std::move(row)));
  ops.back().evaluate = EvaluateCast;
  return ops;
}

}  // namespace kiln
