// Affine forms: each line of SimplifiesTo is one law; every law is also checked by evaluation.
#include "ir/loop/affine.h"

#include <gtest/gtest.h>

#include <random>

#include "ir/loop/scalar.h"

namespace kiln::loop {
namespace {

const Var a = MakeVar("a", 10);
const Var b = MakeVar("b", 7);
const Var r = MakeVar("r", 16);

/// The value of an integer expression under an assignment of a, b and r.
int64_t Evaluate(const Expr& expr, const std::map<const Variable*, int64_t>& values) {
  switch (expr->kind) {
    case ExprKind::kConst: return expr->int_value;
    case ExprKind::kVar: return values.at(expr->var.get());
    case ExprKind::kUnary:
      return EvalInt(expr->unary, expr->args[0].type(), Evaluate(expr->args[0], values));
    case ExprKind::kBinary:
      return EvalInt(expr->binary, expr->args[0].type(), Evaluate(expr->args[0], values),
                     Evaluate(expr->args[1], values));
    default: return Evaluate(expr->args[Evaluate(expr->args[0], values) != 0 ? 1 : 2], values);
  }
}

void ExpectSameValues(const Expr& before, const Expr& after) {
  for (int64_t i = 0; i < a->extent; ++i) {
    for (int64_t j = 0; j < b->extent; ++j) {
      for (int64_t k = 0; k < r->extent; ++k) {
        const std::map<const Variable*, int64_t> values = {
            {a.get(), i}, {b.get(), j}, {r.get(), k}};
        ASSERT_EQ(Evaluate(before, values), Evaluate(after, values))
            << ToString(before) << " became " << ToString(after) << " at " << i << " " << j << " "
            << k;
      }
    }
  }
}

void SimplifiesTo(const Expr& expr, const std::string& expected) {
  const Expr simple = Simplify(expr);
  EXPECT_EQ(ToString(simple), expected) << "from " << ToString(expr);
  ExpectSameValues(expr, simple);
}

TEST(Affine, CollectsTerms) {
  SimplifiesTo(Expr(a) + b + a, "((a * 2) + b)");
  SimplifiesTo((Expr(a) + 3) * 4 - 12, "(a * 4)");
  SimplifiesTo(Expr(a) * 2 - Expr(b) * 3 + 1, "(((a * 2) - (b * 3)) + 1)");
  SimplifiesTo(-Expr(a) + a, "0");
}

TEST(Affine, ResolvesQuotientsAndRemainders) {
  SimplifiesTo(FloorDiv(Expr(a) * 16 + r, 16), "a");
  SimplifiesTo(FloorMod(Expr(a) * 16 + r, 16), "r");
  SimplifiesTo((Expr(a) * 16 + r) / 16, "a");
  SimplifiesTo(FloorDiv(Expr(a) * 16 + r, 64), "(a // 4)");
  SimplifiesTo(FloorMod(Expr(a) * 16 + r, 64), "(r + ((a % 4) * 16))");
  SimplifiesTo(FloorDiv(Expr(a) * 16 + r + 40, 64), "((((a * 16) + r) + 40) // 64)");
  SimplifiesTo(FloorDiv(Expr(a) * 32 + Expr(b) * 64 + 5, 64), "(b + (a // 2))");
  SimplifiesTo(FloorDiv(FloorDiv(Expr(a) * 7 + b, 2), 3), "(((a * 7) + b) // 6)");
  SimplifiesTo(FloorMod(FloorMod(Expr(a) * 7 + b, 12), 4), "(((a * 7) + b) % 4)");
  SimplifiesTo(FloorDiv(Expr(r) - 20, 32), "-1");
  SimplifiesTo(FloorMod(Expr(r) - 20, 32), "(r + 12)");
}

TEST(Affine, PutsQuotientAndRemainderTogether) {
  const Expr flat = Expr(a) * 7 + b;
  SimplifiesTo(FloorDiv(flat, 5) * 5 + FloorMod(flat, 5), "((a * 7) + b)");
  SimplifiesTo(FloorDiv(flat, 5) * 15 + FloorMod(flat, 5) * 3 + r, "(((a * 21) + (b * 3)) + r)");
}

TEST(Affine, DecidesComparisonsByRange) {
  SimplifiesTo(Lt(a, 10), "true");
  SimplifiesTo(Lt(Expr(a) * 16 + r, 160), "true");
  SimplifiesTo(Lt(Expr(a) * 16 + r, 159), "(((a * 16) + r) < 159)");
  SimplifiesTo(Ge(Expr(a) - 20, 0), "false");
  SimplifiesTo(Le(Expr(a) + b, Expr(a) + 6), "true");
  SimplifiesTo(Gt(Expr(a) + 1, a), "true");
  SimplifiesTo(Eq(Expr(a) + 1, a), "false");
  SimplifiesTo(Ne(Expr(a), a), "false");
  SimplifiesTo(Min(Expr(a), 9), "a");
  SimplifiesTo(Max(Expr(a), 12), "12");
  SimplifiesTo(Select(And(Ge(a, 0), Lt(b, 7)), a, b), "a");
}

TEST(Affine, LeavesUnboundedValuesAlone) {
  const Buffer x = MakeBuffer("x", ElementType::kI64, {10});
  const Expr load = Load(x, {Expr(a)});
  // The product may wrap.
  EXPECT_EQ(ToString(Simplify(FloorDiv(load * 2, 2))), "((x[a] * 2) // 2)");
  EXPECT_EQ(ToString(Simplify(Lt(load, load + 1))), "(x[a] < (x[a] + 1))");
}

Expr RandomIndex(std::mt19937& random, int depth) {
  const auto pick = [&](int n) { return static_cast<int>(random() % n); };
  if (depth == 0) {
    const Expr leaves[] = {Expr(a), Expr(b), Expr(r), Expr(pick(40) - 10)};
    return leaves[pick(4)];
  }
  const Expr x = RandomIndex(random, depth - 1);
  const int64_t divisors[] = {1, 2, 3, 4, 7, 8, 16, 32, 60};
  switch (pick(8)) {
    case 0: return FloorDiv(x, divisors[pick(9)]);
    case 1: return FloorMod(x, divisors[pick(9)]);
    case 2: return x * (pick(20) - 4);
    case 3: return Max(x, RandomIndex(random, depth - 1));
    case 4: return Select(Lt(x, RandomIndex(random, depth - 1)), x, a);
    case 5: return x - RandomIndex(random, depth - 1);
    default: return x + RandomIndex(random, depth - 1);
  }
}

TEST(Affine, RandomExpressionsKeepTheirValues) {
  std::mt19937 random(7);
  for (int i = 0; i < 2000; ++i) {
    const Expr expr = RandomIndex(random, 1 + i % 5);
    const Expr simple = Simplify(expr);
    ExpectSameValues(expr, simple);
    const Range range = RangeOf(simple);
    for (int64_t k = 0; k < 16; ++k) {
      const int64_t value = Evaluate(simple, {{a.get(), k % 10}, {b.get(), k % 7}, {r.get(), k}});
      ASSERT_TRUE(range.min <= value && value <= range.max) << ToString(simple);
    }
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace kiln::loop
