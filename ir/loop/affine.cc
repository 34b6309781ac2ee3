#include "ir/loop/affine.h"

#include <algorithm>
#include <numeric>

#include "ir/loop/scalar.h"

namespace kiln::loop {

namespace {

int64_t Saturate(__int128 value) {
  constexpr __int128 kLimit = Range::kUnbounded;
  return static_cast<int64_t>(std::clamp(value, -kLimit, kLimit));
}

Range Sum(const Range& a, const Range& b) {
  return {Saturate(__int128{a.min} + b.min), Saturate(__int128{a.max} + b.max)};
}

Range Product(const Range& a, const Range& b) {
  const __int128 corners[] = {__int128{a.min} * b.min, __int128{a.min} * b.max,
                              __int128{a.max} * b.min, __int128{a.max} * b.max};
  return {Saturate(*std::min_element(corners, corners + 4)),
          Saturate(*std::max_element(corners, corners + 4))};
}

Range Union(const Range& a, const Range& b) {
  return {std::min(a.min, b.min), std::max(a.max, b.max)};
}

int64_t FloorDivInt(int64_t a, int64_t b) {
  return EvalInt(BinaryOp::kFloorDiv, ElementType::kI64, a, b);
}

/// a + scale * b modulo 2^64, as the arithmetic it stands for.
int64_t WrappingAdd(int64_t a, int64_t scale, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) +
                              static_cast<uint64_t>(scale) * static_cast<uint64_t>(b));
}

/// A positive constant divisor, or 0.
int64_t PositiveConstant(const Expr& expr) {
  return std::max<int64_t>(0, expr.AsInt().value_or(0));
}

Range RangeOfBinary(const ExprNode& node) {
  const Range a = RangeOf(node.args[0]), b = RangeOf(node.args[1]);
  const int64_t divisor = PositiveConstant(node.args[1]);
  switch (node.binary) {
    case BinaryOp::kAdd: return Sum(a, b);
    case BinaryOp::kSub: return Sum(a, {-b.max, -b.min});
    case BinaryOp::kMul: return Product(a, b);
    case BinaryOp::kMin: return {std::min(a.min, b.min), std::min(a.max, b.max)};
    case BinaryOp::kMax: return {std::max(a.min, b.min), std::max(a.max, b.max)};
    case BinaryOp::kFloorDiv:
      if (divisor == 0) break;
      return {a.min == -Range::kUnbounded ? a.min : FloorDivInt(a.min, divisor),
              a.max == Range::kUnbounded ? a.max : FloorDivInt(a.max, divisor)};
    case BinaryOp::kFloorMod:
      if (divisor == 0) break;
      return {0, divisor - 1};
    default: break;
  }
  return {};
}

Range RangeOfType(ElementType type) {
  if (type == ElementType::kBool) return {0, 1};
  const int64_t bits = 8 * ByteSize(type);
  if (IsFloat(type) || bits == 64) return {};
  if (!IsSigned(type)) return {0, (int64_t{1} << bits) - 1};
  return {-(int64_t{1} << (bits - 1)), (int64_t{1} << (bits - 1)) - 1};
}

/// What a division of an affine form by a positive constant can be split into:
/// form = divisor * quotient + unit * inner + rest, with 0 <= rest < unit and unit | divisor.
struct Split {
  Affine quotient;
  Affine inner;  ///< empty when the whole remainder is `rest`
  Affine rest;
  int64_t unit = 1;
};

/// Moves to `multiples` what `unit` divides: form = unit * multiples + (what is left of form).
Affine ExtractMultiples(Affine& form, int64_t unit) {
  Affine multiples;
  multiples.constant = FloorDivInt(form.constant, unit);
  Affine left;
  left.constant = form.constant - unit * multiples.constant;
  for (const Affine::Term& term : form.terms) {
    const bool divides = term.coefficient % unit == 0;
    (divides ? multiples : left)
        .Add(term.atom, divides ? term.coefficient / unit : term.coefficient);
  }
  form = std::move(left);
  return multiples;
}

Split SplitBy(Affine form, int64_t divisor) {
  Split split;
  split.quotient = ExtractMultiples(form, divisor);
  const Range range = RangeOf(form);
  if (FloorDivInt(range.min, divisor) == FloorDivInt(range.max, divisor)) {
    const int64_t quotient = FloorDivInt(range.min, divisor);
    split.quotient.constant += quotient;
    form.constant -= quotient * divisor;
    split.rest = std::move(form);
    split.unit = divisor;
    return split;
  }
  std::vector<int64_t> units;
  for (const Affine::Term& term : form.terms) {
    units.push_back(std::gcd(term.coefficient, divisor));
  }
  std::sort(units.rbegin(), units.rend());
  for (const int64_t unit : units) {
    Affine rest = form;
    Affine inner = ExtractMultiples(rest, unit);
    const Range rest_range = RangeOf(rest);
    if (rest_range.min < 0 || rest_range.max >= unit) continue;
    split.inner = std::move(inner);
    split.rest = std::move(rest);
    split.unit = unit;
    return split;
  }
  split.inner = std::move(form);
  return split;
}

/// (x // a) as an atom; (y // b) // a = y // (a * b).
Expr QuotientAtom(const Expr& x, int64_t divisor) {
  if (x->kind == ExprKind::kBinary && x->binary == BinaryOp::kFloorDiv) {
    const int64_t inner = PositiveConstant(x->args[1]);
    if (inner != 0 && inner <= Range::kUnbounded / divisor) {
      return FloorDiv(x->args[0], inner * divisor);
    }
  }
  return FloorDiv(x, divisor);
}

/// (x % a) as an atom; (y % b) % a = y % a when a divides b.
Expr RemainderAtom(const Expr& x, int64_t divisor) {
  if (x->kind == ExprKind::kBinary && x->binary == BinaryOp::kFloorMod) {
    const int64_t inner = PositiveConstant(x->args[1]);
    if (inner != 0 && inner % divisor == 0) return FloorMod(x->args[0], divisor);
  }
  return FloorMod(x, divisor);
}

/// k * (c * (x // c) + x % c) = k * x.
void Recombine(Affine& form) {
  for (const Affine::Term& term : form.terms) {
    const ExprNode& mod = *term.atom;
    if (mod.kind != ExprKind::kBinary || mod.binary != BinaryOp::kFloorMod) continue;
    const int64_t divisor = PositiveConstant(mod.args[1]);
    if (divisor == 0) continue;
    const Expr quotient = FloorDiv(mod.args[0], divisor);
    for (const Affine::Term& other : form.terms) {
      if (other.coefficient != divisor * term.coefficient || !Equal(other.atom, quotient)) continue;
      const int64_t scale = term.coefficient;
      const Affine x = ToAffine(mod.args[0]);
      const Affine::Term removed = term;  // Add below invalidates the reference
      form.Add(quotient, -divisor * scale);
      form.Add(removed.atom, -scale);
      form.Add(x, scale);
      return Recombine(form);
    }
  }
}

Affine Atom(const Expr& expr) {
  Affine affine;
  affine.Add(expr, 1);
  return affine;
}

Affine DivideAffine(const Expr& expr, bool want_quotient) {
  const int64_t divisor = PositiveConstant(expr->args[1]);
  if (divisor == 0) return Atom(expr);
  const Affine form = ToAffine(expr->args[0]);
  if (!RangeOf(form).bounded()) return Atom(expr);
  Split split = SplitBy(form, divisor);
  const int64_t inner_divisor = divisor / split.unit;
  const Expr inner = FromAffine(split.inner);
  if (want_quotient) {
    if (inner_divisor != 1) split.quotient.Add(QuotientAtom(inner, inner_divisor), 1);
    return std::move(split.quotient);
  }
  if (inner_divisor != 1) split.rest.Add(RemainderAtom(inner, inner_divisor), split.unit);
  return std::move(split.rest);
}

Affine BinaryToAffine(const Expr& expr) {
  const Expr& a = expr->args[0];
  const Expr& b = expr->args[1];
  Affine affine;
  switch (expr->binary) {
    case BinaryOp::kAdd:
    case BinaryOp::kSub:
      affine = ToAffine(a);
      affine.Add(ToAffine(b), expr->binary == BinaryOp::kAdd ? 1 : -1);
      Recombine(affine);
      return affine;
    case BinaryOp::kMul: {
      const Affine left = ToAffine(a), right = ToAffine(b);
      if (!left.IsConstant() && !right.IsConstant()) return Atom(expr);
      affine.Add(left.IsConstant() ? right : left,
                 left.IsConstant() ? left.constant : right.constant);
      return affine;
    }
    case BinaryOp::kDiv:  // truncates: the same for what is never negative
    case BinaryOp::kRem:
      if (RangeOf(a).min < 0) return Atom(expr);
      return DivideAffine(expr, expr->binary == BinaryOp::kDiv);
    case BinaryOp::kFloorDiv: return DivideAffine(expr, true);
    case BinaryOp::kFloorMod: return DivideAffine(expr, false);
    default: return Atom(expr);
  }
}

/// Whether `expr` is term + ... as FromAffine writes it, for the first `count` terms of `affine`.
bool IsSumOf(const Affine& affine, size_t count, const Expr& expr) {
  const Affine::Term& term = affine.terms[count - 1];
  const auto is_product = [&](const Expr& product, int64_t factor) {
    if (factor == 1) return product.get() == term.atom.get();
    return product->kind == ExprKind::kBinary && product->binary == BinaryOp::kMul &&
           product->args[0].get() == term.atom.get() && product->args[1].AsInt() == factor;
  };
  if (count == 1) return is_product(expr, term.coefficient);
  const bool negative = term.coefficient < 0;
  return expr->kind == ExprKind::kBinary &&
         expr->binary == (negative ? BinaryOp::kSub : BinaryOp::kAdd) &&
         is_product(expr->args[1], negative ? -term.coefficient : term.coefficient) &&
         IsSumOf(affine, count - 1, expr->args[0]);
}

/// Whether `expr` is what FromAffine makes of its form: most index arithmetic that is simplified
/// has been before.
bool IsWritten(const Affine& affine, const Expr& expr) {
  if (affine.terms.empty()) return false;
  if (affine.constant == 0) return IsSumOf(affine, affine.terms.size(), expr);
  return expr->kind == ExprKind::kBinary && expr->binary == BinaryOp::kAdd &&
         expr->args[1].AsInt() == affine.constant &&
         IsSumOf(affine, affine.terms.size(), expr->args[0]);
}

/// The range of a - b; unbounded unless both are bounded.
Range RangeOfDifference(const Expr& a, const Expr& b) {
  if (!RangeOf(a).bounded() || !RangeOf(b).bounded()) return {};
  Affine difference = ToAffine(a);
  difference.Add(ToAffine(b), -1);
  return RangeOf(difference);
}

std::optional<bool> Decide(BinaryOp op, const Range& difference) {
  const auto less = [](int64_t a, int64_t b) -> std::optional<bool> {
    return a < 0 ? std::optional(true) : b >= 0 ? std::optional(false) : std::nullopt;
  };
  const auto negate = [](std::optional<bool> value) {
    return value ? std::optional(!*value) : std::nullopt;
  };
  switch (op) {
    case BinaryOp::kLt: return less(difference.max, difference.min);
    case BinaryOp::kGe: return negate(less(difference.max, difference.min));
    case BinaryOp::kGt: return less(-difference.min, -difference.max);
    case BinaryOp::kLe: return negate(less(-difference.min, -difference.max));
    case BinaryOp::kEq:
    case BinaryOp::kNe:
      if (difference.min > 0 || difference.max < 0) return op == BinaryOp::kNe;
      if (difference == Range{0, 0}) return op == BinaryOp::kEq;
      return std::nullopt;
    default: return std::nullopt;
  }
}

Expr SimplifyBinary(const Expr& expr) {
  const Expr& a = expr->args[0];
  const Expr& b = expr->args[1];
  if (a.type() != ElementType::kI64) return expr;
  if (IsComparison(expr->binary)) {
    const auto value = Decide(expr->binary, RangeOfDifference(a, b));
    return value ? Bool(*value) : expr;
  }
  if (expr->binary == BinaryOp::kMin || expr->binary == BinaryOp::kMax) {
    const auto less = Decide(BinaryOp::kLe, RangeOfDifference(a, b));
    if (!less) return expr;
    return *less == (expr->binary == BinaryOp::kMin) ? a : b;
  }
  const Affine affine = ToAffine(expr);
  return IsWritten(affine, expr) ? expr : FromAffine(affine);
}

}  // namespace

void Affine::Add(const Expr& atom, int64_t coefficient) {
  if (coefficient == 0) return;
  for (auto term = terms.begin(); term != terms.end(); ++term) {
    if (!Equal(term->atom, atom)) continue;
    term->coefficient = WrappingAdd(term->coefficient, 1, coefficient);
    if (term->coefficient == 0) terms.erase(term);
    return;
  }
  terms.push_back({atom, coefficient});
}

void Affine::Add(const Affine& other, int64_t scale) {
  constant = WrappingAdd(constant, scale, other.constant);
  for (const Term& term : other.terms) Add(term.atom, WrappingAdd(0, scale, term.coefficient));
}

int64_t Affine::CoefficientOf(const Variable* var) const {
  for (const Term& term : terms) {
    if (term.atom->kind == ExprKind::kVar && term.atom->var.get() == var) return term.coefficient;
  }
  return 0;
}

Affine ToAffine(const Expr& expr) {
  if (const auto value = expr.AsInt()) return {.constant = *value};
  if (expr->kind == ExprKind::kBinary) return BinaryToAffine(expr);
  if (expr->kind == ExprKind::kUnary && expr->unary == UnaryOp::kNeg) {
    Affine affine;
    affine.Add(ToAffine(expr->args[0]), -1);
    return affine;
  }
  return Atom(expr);
}

Expr FromAffine(const Affine& affine) {
  Expr sum = 0;
  for (const Affine::Term& term : affine.terms) {
    sum = term.coefficient < 0 && !sum.AsInt() ? sum - term.atom * -term.coefficient
                                               : sum + term.atom * term.coefficient;
  }
  return sum + affine.constant;
}

Range RangeOf(const Affine& affine) {
  Range sum{Saturate(affine.constant), Saturate(affine.constant)};
  for (const Affine::Term& term : affine.terms) {
    sum = Sum(sum, Product(RangeOf(term.atom), {term.coefficient, term.coefficient}));
  }
  return sum;
}

Range RangeOf(const Expr& expr) {
  if (const auto value = expr.AsInt()) return {Saturate(*value), Saturate(*value)};
  switch (expr->kind) {
    case ExprKind::kVar: return {0, std::max<int64_t>(0, expr->var->extent - 1)};
    case ExprKind::kBinary: return RangeOfBinary(*expr);
    case ExprKind::kSelect: return Union(RangeOf(expr->args[1]), RangeOf(expr->args[2]));
    case ExprKind::kCast: return RangeOfType(expr->args[0].type());
    default: return {};
  }
}

Expr Simplify(const Expr& expr) {
  return Transform(
      expr, [](const Expr& e) { return e->kind == ExprKind::kBinary ? SimplifyBinary(e) : e; });
}

}  // namespace kiln::loop
