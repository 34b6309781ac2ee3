// Elementwise functions of two and three operands: arithmetic, comparisons, logic, select.
#include "ir/ops/elementwise.h"
#include "ir/ops/op_table.h"
#include "ir/ops/shape_util.h"

namespace kiln {

namespace {

using loop::BinaryOp;
using loop::Expr;

using Site = GradientSite;

// The row of an op that is one operator of the loop IR.
ElementwiseRow Function(std::string name, Accepts accepts, BinaryOp op, std::string doc,
                        Derivative derivative, uint32_t traits = 0) {
  return {.name = std::move(name),
          .doc = std::move(doc),
          .operands = {{"a"}, {"b"}},
          .accepts = accepts,
          .formula = [op](const Op&, std::span<const Expr> x) { return Binary(op, x[0], x[1]); },
          .derivative = std::move(derivative),
          .traits = traits};
}

Term DivDerivative(const Site& at) {
  const Term quotient = at.dy() / at.x(1);
  return at.k == 0 ? quotient : -(quotient * at.y());
}

// y = a - n b with a whole number n, constant between its steps.
Term RemainderDerivative(const Site& at) {
  return at.k == 0 ? at.dy() : at.dy() * ((at.y() - at.x(0)) / at.x(1));
}

// To the operand that is the result; of equals to the first.
Term MinDerivative(const Site& at) {
  const Term zero = at.dy().Scalar(0), second = Less(at.x(1), at.x(0));
  return at.k == 0 ? Where(second, zero, at.dy()) : Where(second, at.dy(), zero);
}
Term MaxDerivative(const Site& at) {
  const Term zero = at.dy().Scalar(0), second = Less(at.x(0), at.x(1));
  return at.k == 0 ? Where(second, zero, at.dy()) : Where(second, at.dy(), zero);
}

// b a^(b-1), which is 0 for b = 0 whatever a is; log(a) a^b, for a > 0.
Term PowDerivative(const Site& at) {
  const Term a = at.x(0), b = at.x(1), zero = at.dy().Scalar(0);
  if (at.k == 1) {
    const Term log = Where(Greater(a, 0), a, 1).Make("log");
    return at.dy() * (at.y() * log);
  }
  const Term power(at.b, at.b.Make("pow", {a.op(), (b - 1).op()}));
  return Where(Equal(b, zero), zero, at.dy() * (b * power));
}

std::vector<ElementwiseRow> Arithmetic() {
  constexpr Accepts kN = Accepts::kNumeric;
  return {
      Function(
          "add", kN, BinaryOp::kAdd, "y = a + b. Integers wrap.",
          [](const Site& at) { return at.dy(); }, kCommutative),
      Function("sub", kN, BinaryOp::kSub, "y = a - b. Integers wrap.",
               [](const Site& at) { return at.k == 0 ? at.dy() : -at.dy(); }),
      Function(
          "mul", kN, BinaryOp::kMul, "y = a b. Integers wrap.",
          [](const Site& at) { return at.dy() * at.x(1 - at.k); }, kCommutative),
      Function("div", kN, BinaryOp::kDiv,
               "y = a / b. Integers truncate towards 0; the quotient by 0 is 0.", DivDerivative),
      Function("rem", kN, BinaryOp::kRem,
               "y = a - trunc(a / b) b: the remainder with the sign of a, as C's % and fmod. The "
               "integer remainder by 0 is 0.",
               RemainderDerivative),
      Function("mod", kN, BinaryOp::kFloorMod,
               "y = a - floor(a / b) b: the remainder with the sign of b, as Python's %. The "
               "integer remainder by 0 is 0.",
               RemainderDerivative),
      Function("min", kN, BinaryOp::kMin, "y = the smaller of a and b; NaN if either is.",
               MinDerivative, kCommutative),
      Function("max", kN, BinaryOp::kMax, "y = the larger of a and b; NaN if either is.",
               MaxDerivative, kCommutative),
      Function("pow", kN, BinaryOp::kPow,
               "y = a^b. Integers wrap; a negative integer exponent gives the truncated value: 0, "
               "but for a of 1 and -1.",
               PowDerivative, kExpensive),
  };
}

std::vector<ElementwiseRow> Comparisons() {
  constexpr Accepts kN = Accepts::kNumeric;
  std::vector<ElementwiseRow> rows = {
      Function("equal", Accepts::kAny, BinaryOp::kEq, "y = true where a = b.", nullptr,
               kCommutative),
      Function("not_equal", Accepts::kAny, BinaryOp::kNe, "y = true where a and b differ.", nullptr,
               kCommutative),
      Function("less", kN, BinaryOp::kLt, "y = true where a < b.", nullptr),
      Function("less_equal", kN, BinaryOp::kLe, "y = true where a <= b.", nullptr),
      Function("greater", kN, BinaryOp::kGt, "y = true where a > b.", nullptr),
      Function("greater_equal", kN, BinaryOp::kGe, "y = true where a >= b.", nullptr),
  };
  for (ElementwiseRow& row : rows) {
    row.result = BoolResult;
    row.no_gradient = "its result is a truth value";
    if (row.accepts == Accepts::kAny) row.check = CheckSameElement;
  }
  return rows;
}

std::vector<ElementwiseRow> Logic() {
  constexpr Accepts kB = Accepts::kBool;
  constexpr Accepts kI = Accepts::kInteger;
  std::vector<ElementwiseRow> rows = {
      Function("and", kB, BinaryOp::kAnd, "y = a and b.", nullptr, kCommutative),
      Function("or", kB, BinaryOp::kOr, "y = a or b.", nullptr, kCommutative),
      Function("xor", kB, BinaryOp::kXor, "y = true where a and b differ.", nullptr, kCommutative),
      Function("bitwise_and", kI, BinaryOp::kAnd, "y = the bits set in both.", nullptr,
               kCommutative),
      Function("bitwise_or", kI, BinaryOp::kOr, "y = the bits set in either.", nullptr,
               kCommutative),
      Function("bitwise_xor", kI, BinaryOp::kXor, "y = the bits set in one.", nullptr,
               kCommutative),
      Function("shift_left", kI, BinaryOp::kShl,
               "y = a 2^b, wrapped. Shifts by less than 0, or by the width or more, give 0.",
               nullptr),
      Function("shift_right", kI, BinaryOp::kShr,
               "y = floor(a / 2^b). Shifts by less than 0, or by the width or more, give 0.",
               nullptr),
  };
  for (ElementwiseRow& row : rows) {
    row.no_gradient =
        row.accepts == kB ? "its operands are truth values" : "its operands are integers";
  }
  return rows;
}

Expr Prelu(const Op&, std::span<const Expr> x) {
  return Select(Lt(x[0], ConstLike(x[0], 0)), x[1] * x[0], x[0]);
}

// Where x is at or above 0 the slope has no part in the result.
Term PreluDerivative(const Site& at) {
  const Term negative = Less(at.x(0), 0), zero = at.dy().Scalar(0);
  return Where(negative, at.dy() * at.x(1 - at.k), at.k == 0 ? at.dy() : zero);
}

Expr WhereFormula(const Op&, std::span<const Expr> x) { return Select(x[0], x[1], x[2]); }

Term WhereDerivative(const Site& at) {
  const Term zero = at.dy().Scalar(0);
  return at.k == 1 ? Where(at.x(0), at.dy(), zero) : Where(at.x(0), zero, at.dy());
}

Status CheckWhere(const Op& op) {
  KILN_RETURN_IF_ERROR(CheckBool(op));
  if (op.operand(1)->element() == op.operand(2)->element()) return OkStatus();
  return OpError(op, "a and b must have the same element type");
}

std::vector<ElementwiseRow> Choices() {
  return {
      {.name = "prelu",
       .doc = "y = x where x >= 0, slope x elsewhere.",
       .operands = {{"x"}, {"slope"}},
       .formula = Prelu,
       .derivative = PreluDerivative},
      {.name = "where",
       .doc = "y = a where the condition is true, b elsewhere.",
       .operands = {{"condition"}, {"a"}, {"b"}},
       .accepts = Accepts::kAny,
       .formula = WhereFormula,
       .derivative = WhereDerivative,
       .result = [](const Op& op) { return op.operand(1)->element(); },
       .check = CheckWhere},
  };
}

}  // namespace

std::vector<OpDef> ElementwiseBinaryOps() {
  std::vector<OpDef> ops;
  for (auto rows : {Arithmetic(), Comparisons(), Logic(), Choices()}) {
    for (ElementwiseRow& row : rows) ops.push_back(MakeElementwise(std::move(row)));
  }
  return ops;
}

}  // namespace kiln
