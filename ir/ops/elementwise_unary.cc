// Elementwise functions of one operand: arithmetic, rounding, the elementary functions, tests and
// the cast. Activations are in activations.cc.
#include <cmath>
#include <limits>
#include <optional>

#include "ir/ops/elementwise.h"
#include "ir/ops/op_table.h"
#include "ir/ops/shape_util.h"

namespace kiln {

namespace {

using loop::Expr;
using loop::UnaryOp;

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
  const double infinity = std::numeric_limits<double>::infinity();
  return Eq(x[0], ConstLike(x[0], positive ? infinity : -infinity));
}

Expr Cast(const Op& op, std::span<const Expr> x) {
  const ElementType to = ComputeType(op.Element("to"));
  if (x[0].type() == to) return x[0];
  if (to == ElementType::kBool) return Ne(x[0], ConstLike(x[0], 0));
  return loop::Cast(to, x[0]);
}

// The smallest and the largest value of an integer type.
double Lowest(ElementType type) {
  return IsSigned(type) ? -std::ldexp(1.0, static_cast<int>(8 * ByteSize(type) - 1)) : 0;
}
double Beyond(ElementType type) {
  return std::ldexp(1.0, static_cast<int>(8 * ByteSize(type)) - (IsSigned(type) ? 1 : 0));
}

// The integer constant `bound`, which is at least Lowest(type) and below Beyond(type).
Expr IntegerBound(ElementType type, double bound) {
  const bool high = bound >= 9223372036854775808.0;  // u64: an int64 holds its bits
  return loop::ConstInt(type, high ? static_cast<int64_t>(static_cast<uint64_t>(bound))
                                   : static_cast<int64_t>(bound));
}

// A bound that no value of an integer type reaches is left out; one that is beyond all values on
// the other side is moved to the type's last value.
Expr ClipInteger(const Expr& x, double low, double high) {
  const ElementType type = x.type();
  const bool u64 = type == ElementType::kU64;
  const Expr last = loop::ConstInt(
      type, IsSigned(type) ? static_cast<int64_t>((uint64_t{1} << (8 * ByteSize(type) - 1)) - 1)
            : u64          ? -1
                           : (int64_t{1} << (8 * ByteSize(type))) - 1);
  Expr y = x;
  if (std::ceil(low) >= Beyond(type)) {
    y = last;
  } else if (low > Lowest(type)) {
    y = Max(y, IntegerBound(type, std::ceil(low)));
  }
  if (std::floor(high) < Lowest(type)) return IntegerBound(type, Lowest(type));
  return high < Beyond(type) ? Min(y, IntegerBound(type, std::floor(high))) : y;
}

Expr Clip(const Op& op, std::span<const Expr> x) {
  const double low = op.Double("min");
  const double high = op.Double("max");
  if (!IsFloat(x[0].type())) return ClipInteger(x[0], low, high);
  Expr y = x[0];
  if (low != -std::numeric_limits<double>::infinity()) y = Max(y, ConstLike(y, low));
  if (high != std::numeric_limits<double>::infinity()) y = Min(y, ConstLike(y, high));
  return y;
}

Status CheckClip(const Op& op) {
  if (!std::isnan(op.Double("min")) && !std::isnan(op.Double("max"))) return OkStatus();
  return OpError(op, "min and max must not be NaN");
}

}  // namespace

std::vector<OpDef> ElementwiseUnaryOps() {
  using Kind = Attribute::Kind;
  const double infinity = std::numeric_limits<double>::infinity();
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
                  .attributes = {{"min", Kind::kDouble, -infinity, "the lower bound"},
                                 {"max", Kind::kDouble, infinity, "the upper bound"}},
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
                  .doc = "y = x as a value of type `to`. Floats to integers truncate; to bool is "
                         "x != 0; to narrower floats rounds to nearest even.",
                  .operands = {{"x"}},
                  .accepts = Accepts::kAny,
                  .formula = Cast,
                  .attributes = {{"to", Kind::kElementType, {}, "the result's element type"}},
                  .result = [](const Op& op) { return op.Element("to"); }});
  std::vector<OpDef> ops;
  for (ElementwiseRow& row : rows) ops.push_back(MakeElementwise(std::move(row)));
  return ops;
}

}  // namespace kiln
