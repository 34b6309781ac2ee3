// Elementwise functions of two and three operands: arithmetic, comparisons, logic, select.
#include "ir/ops/elementwise.h"
#include "ir/ops/op_table.h"
#include "ir/ops/shape_util.h"

namespace kiln {

namespace {

using loop::BinaryOp;
using loop::Expr;

// The row of an op that is one operator of the loop IR.
ElementwiseRow Function(std::string name, Accepts accepts, BinaryOp op, std::string doc,
                        uint32_t traits = 0) {
  return {.name = std::move(name),
          .doc = std::move(doc),
          .operands = {{"a"}, {"b"}},
          .accepts = accepts,
          .formula = [op](const Op&, std::span<const Expr> x) { return Binary(op, x[0], x[1]); },
          .traits = traits};
}

std::vector<ElementwiseRow> Arithmetic() {
  constexpr Accepts kN = Accepts::kNumeric;
  return {
      Function("add", kN, BinaryOp::kAdd, "y = a + b. Integers wrap.", kCommutative),
      Function("sub", kN, BinaryOp::kSub, "y = a - b. Integers wrap."),
      Function("mul", kN, BinaryOp::kMul, "y = a b. Integers wrap.", kCommutative),
      Function("div", kN, BinaryOp::kDiv,
               "y = a / b. Integers truncate towards 0; the quotient by 0 is 0."),
      Function("rem", kN, BinaryOp::kRem,
               "y = a - trunc(a / b) b: the remainder with the sign of a, as C's % and fmod. The "
               "integer remainder by 0 is 0."),
      Function("mod", kN, BinaryOp::kFloorMod,
               "y = a - floor(a / b) b: the remainder with the sign of b, as Python's %. The "
               "integer remainder by 0 is 0."),
      Function("min", kN, BinaryOp::kMin, "y = the smaller of a and b; NaN if either is.",
               kCommutative),
      Function("max", kN, BinaryOp::kMax, "y = the larger of a and b; NaN if either is.",
               kCommutative),
      Function("pow", kN, BinaryOp::kPow,
               "y = a^b. Integers wrap; a negative integer exponent gives the truncated value: 0, "
               "but for a of 1 and -1.",
               kExpensive),
  };
}

std::vector<ElementwiseRow> Comparisons() {
  constexpr Accepts kN = Accepts::kNumeric;
  std::vector<ElementwiseRow> rows = {
      Function("equal", Accepts::kAny, BinaryOp::kEq, "y = true where a = b.", kCommutative),
      Function("not_equal", Accepts::kAny, BinaryOp::kNe, "y = true where a and b differ.",
               kCommutative),
      Function("less", kN, BinaryOp::kLt, "y = true where a < b."),
      Function("less_equal", kN, BinaryOp::kLe, "y = true where a <= b."),
      Function("greater", kN, BinaryOp::kGt, "y = true where a > b."),
      Function("greater_equal", kN, BinaryOp::kGe, "y = true where a >= b."),
  };
  for (ElementwiseRow& row : rows) {
    row.result = BoolResult;
    if (row.accepts == Accepts::kAny) row.check = CheckSameElement;
  }
  return rows;
}

std::vector<ElementwiseRow> Logic() {
  constexpr Accepts kB = Accepts::kBool;
  constexpr Accepts kI = Accepts::kInteger;
  return {
      Function("and", kB, BinaryOp::kAnd, "y = a and b.", kCommutative),
      Function("or", kB, BinaryOp::kOr, "y = a or b.", kCommutative),
      Function("xor", kB, BinaryOp::kXor, "y = true where a and b differ.", kCommutative),
      Function("bitwise_and", kI, BinaryOp::kAnd, "y = the bits set in both.", kCommutative),
      Function("bitwise_or", kI, BinaryOp::kOr, "y = the bits set in either.", kCommutative),
      Function("bitwise_xor", kI, BinaryOp::kXor, "y = the bits set in one.", kCommutative),
      Function("shift_left", kI, BinaryOp::kShl,
               "y = a 2^b, wrapped. Shifts by less than 0, or by the width or more, give 0."),
      Function("shift_right", kI, BinaryOp::kShr,
               "y = floor(a / 2^b). Shifts by less than 0, or by the width or more, give 0."),
  };
}

Expr Prelu(const Op&, std::span<const Expr> x) {
  return Select(Lt(x[0], ConstLike(x[0], 0)), x[1] * x[0], x[0]);
}

Expr Where(const Op&, std::span<const Expr> x) { return Select(x[0], x[1], x[2]); }

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
       .formula = Prelu},
      {.name = "where",
       .doc = "y = a where the condition is true, b elsewhere.",
       .operands = {{"condition"}, {"a"}, {"b"}},
       .accepts = Accepts::kAny,
       .formula = Where,
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
