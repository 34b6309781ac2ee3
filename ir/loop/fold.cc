#include "ir/loop/fold.h"

#include "ir/loop/scalar.h"

namespace kiln::loop {

namespace {

bool IsConst(const Expr& expr) { return expr->kind == ExprKind::kConst; }

bool IsArithmetic(BinaryOp op) { return op <= BinaryOp::kDiv; }

std::optional<Expr> FoldConstants(BinaryOp op, const Expr& a, const Expr& b) {
  const ElementType type = a.type();
  if (!IsFloat(type)) {
    const ElementType result = IsComparison(op) ? ElementType::kBool : type;
    return ConstInt(result, EvalInt(op, type, *a.AsInt(), *b.AsInt()));
  }
  const double x = a->float_value, y = b->float_value;
  if (IsComparison(op)) return Bool(CompareFloat(op, x, y));
  // Double rounding (to double, then to the type) is exact for these four.
  if (IsArithmetic(op)) return Const(type, EvalFloat(op, x, y));
  return std::nullopt;
}

/// x op c for an integer (or bool) constant c.
std::optional<Expr> FoldRight(BinaryOp op, const Expr& x, int64_t c) {
  const ElementType type = x.type();
  const bool is_bool = type == ElementType::kBool;
  switch (op) {
    case BinaryOp::kAdd:
    case BinaryOp::kSub:
      if (c == 0) return x;
      break;
    case BinaryOp::kMul:
      if (c == 0) return ConstInt(type, 0);
      if (c == 1) return x;
      break;
    case BinaryOp::kDiv:
    case BinaryOp::kFloorDiv:
      if (c == 1) return x;
      break;
    case BinaryOp::kRem:
    case BinaryOp::kFloorMod:
      if (c == 1) return ConstInt(type, 0);
      break;
    case BinaryOp::kAnd:
      if (c == 0) return ConstInt(type, 0);
      if (is_bool) return x;
      break;
    case BinaryOp::kOr:
      if (c == 0) return x;
      if (is_bool) return Bool(true);
      break;
    default: break;
  }
  return std::nullopt;
}

bool IsCommutative(BinaryOp op) {
  return op == BinaryOp::kAdd || op == BinaryOp::kMul || op == BinaryOp::kAnd ||
         op == BinaryOp::kOr;
}

Expr Negate(const Expr& c) {
  return ConstInt(c.type(), EvalInt(UnaryOp::kNeg, c.type(), *c.AsInt()));
}

/// x - c = x + -c, and (x + c) + d = x + (c + d), for integers.
std::optional<Expr> FoldChain(BinaryOp op, const Expr& a, const Expr& b) {
  if (op == BinaryOp::kSub) return Binary(BinaryOp::kAdd, a, Negate(b));
  if (op != BinaryOp::kAdd || a->kind != ExprKind::kBinary || a->binary != BinaryOp::kAdd ||
      !IsConst(a->args[1])) {
    return std::nullopt;
  }
  const int64_t sum = EvalInt(op, a.type(), *a->args[1].AsInt(), *b.AsInt());
  return Binary(BinaryOp::kAdd, a->args[0], ConstInt(a.type(), sum));
}

std::optional<Expr> FoldFloatRight(BinaryOp op, const Expr& x, double c) {
  if ((op == BinaryOp::kMul || op == BinaryOp::kDiv) && c == 1) return x;
  return std::nullopt;
}

}  // namespace

std::optional<Expr> FoldUnary(UnaryOp op, const Expr& a) {
  if (!IsConst(a)) return std::nullopt;
  if (const auto value = a.AsInt()) {
    const bool to_bool = op == UnaryOp::kNot || op == UnaryOp::kIsNan || op == UnaryOp::kIsInf;
    return ConstInt(to_bool ? ElementType::kBool : a.type(), EvalInt(op, a.type(), *value));
  }
  if (op == UnaryOp::kNeg || op == UnaryOp::kAbs) {
    return Const(a.type(), EvalFloat(op, a->float_value));
  }
  return std::nullopt;
}

std::optional<Expr> FoldBinary(BinaryOp op, const Expr& a, const Expr& b) {
  if (IsConst(a) && IsConst(b)) return FoldConstants(op, a, b);
  if (IsFloat(a.type())) {
    return IsConst(b) ? FoldFloatRight(op, a, b->float_value) : std::nullopt;
  }
  if (IsConst(a) && IsCommutative(op)) return Binary(op, b, a);
  if (const auto c = b.AsInt()) {
    if (auto folded = FoldRight(op, a, *c)) return folded;
    return FoldChain(op, a, b);
  }
  if (op == BinaryOp::kSub && a.get() == b.get()) return ConstInt(a.type(), 0);
  return std::nullopt;
}

std::optional<Expr> FoldCast(ElementType to, const Expr& a) {
  // A constant of a storage-only type would be a value of that type.
  if (!IsConst(a) || to == ElementType::kF16 || to == ElementType::kBF16) return std::nullopt;
  if (!IsFloat(a.type())) {
    const int64_t value = *a.AsInt();
    if (IsFloat(to)) return Const(to, IntToDouble(a.type(), value));
    return ConstInt(to, value);
  }
  if (IsFloat(to)) return Const(to, a->float_value);
  return ConstInt(to, SaturatingInt(to, a->float_value));
}

}  // namespace kiln::loop
