// Loop IR: construction and folding, substitution, text, verification.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "ir/loop/scalar.h"
#include "ir/loop/stmt.h"

namespace kiln::loop {
namespace {

using ::testing::HasSubstr;

TEST(LoopExpr, FoldsIntegerConstantsAndNeutralElements) {
  const Expr x = MakeVar("x", 10);
  EXPECT_EQ(ToString(x + 0), "x");
  EXPECT_EQ(ToString(0 + x), "x");
  EXPECT_EQ(ToString(x * 1), "x");
  EXPECT_EQ((x * 0).AsInt(), 0);
  EXPECT_EQ((x - x).AsInt(), 0);
  EXPECT_EQ(ToString((x + 3) + 4), "(x + 7)");
  EXPECT_EQ(ToString((x - 3) + 3), "x");
  EXPECT_EQ(FloorDiv(-7, 2).AsInt(), -4);
  EXPECT_EQ(FloorMod(-7, 2).AsInt(), 1);
  EXPECT_EQ((Expr(7) / 0).AsInt(), 0);
  EXPECT_EQ(ToString(And(Lt(x, 5), Bool(true))), "(x < 5)");
  EXPECT_EQ(And(Bool(false), Lt(x, 5)).AsInt(), 0);
}

TEST(LoopExpr, DoesNotFoldFloatIdentitiesThatNanOrZeroBreak) {
  const Buffer a = MakeBuffer("a", ElementType::kF32, {4});
  const Expr load = Load(a, {Expr(0)});
  EXPECT_EQ(ToString(load * Const(ElementType::kF32, 0)), "(a[0] * 0.0)");
  EXPECT_EQ(ToString(load + Const(ElementType::kF32, 0)), "(a[0] + 0.0)");
  EXPECT_EQ(ToString(load - load), "(a[0] - a[0])");
  EXPECT_EQ(ToString(load * Const(ElementType::kF32, 1)), "a[0]");
}

TEST(LoopExpr, WrapsAndSaturates) {
  EXPECT_EQ(ConstInt(ElementType::kI8, 200).AsInt(), -56);
  EXPECT_EQ(Const(ElementType::kU8, 300).AsInt(), 255);
  EXPECT_EQ(Const(ElementType::kI32, std::numeric_limits<double>::quiet_NaN()).AsInt(), 0);
  EXPECT_EQ(NeutralElement(ReduceOp::kMax, ElementType::kI8).AsInt(), -128);
  EXPECT_EQ(NeutralElement(ReduceOp::kMin, ElementType::kU16).AsInt(), 65535);
  EXPECT_EQ(NeutralElement(ReduceOp::kMax, ElementType::kBool).AsInt(), 0);
  EXPECT_EQ(RoundTo(ElementType::kF16, 1.0 + 1.0 / 4096), 1.0);
  EXPECT_EQ(RoundTo(ElementType::kF16, 65520), std::numeric_limits<double>::infinity());
  EXPECT_EQ(RoundTo(ElementType::kF16, 1e-7), 0x1p-23);
  EXPECT_EQ(RoundTo(ElementType::kBF16, 1.0 + 1.0 / 128), 1.0 + 1.0 / 128);
  EXPECT_EQ(RoundTo(ElementType::kBF16, 1.0 + 1.0 / 256), 1.0);
}

TEST(LoopExpr, SubstituteLeavesBoundVariablesAlone) {
  const Var i = MakeVar("i", 4), k = MakeVar("k", 3);
  const Buffer a = MakeBuffer("a", ElementType::kF32, {4, 3});
  const Expr sum = Reduce(ReduceOp::kSum, {k}, Load(a, {Expr(i), Expr(k)}));
  const Expr replaced = Substitute(sum, {{i.get(), Expr(2)}, {k.get(), Expr(1)}});
  EXPECT_EQ(ToString(replaced), "sum<k:3>(a[2, k])");
}

TEST(LoopExpr, SharedSubexpressionsPrintOnceAndStayShared) {
  const Buffer a = MakeBuffer("a", ElementType::kF32, {1});
  Expr value = Load(a, {Expr(0)});
  for (int i = 0; i < 100; ++i) value = value * value;
  EXPECT_LT(ToString(value).size(), 3000u);
  const Expr copy = Transform(value, [](const Expr& e) {
    return e->kind == ExprKind::kLoad ? Const(ElementType::kF32, 2) : e;
  });
  int64_t nodes = 0;
  Walk(copy, [&](const Expr&) { ++nodes; });
  EXPECT_LT(nodes, 300);
}

Kernel Relu(LoopKind kind) {
  const Buffer in = MakeBuffer("x", ElementType::kF32, {2, 8});
  const Buffer out = MakeBuffer("y", ElementType::kF32, {2, 8});
  const Var row = MakeVar("row", 2), column = MakeVar("column", 8);
  const Expr value = Max(Load(in, {row, column}), Const(ElementType::kF32, 0));
  return {"relu",
          {in},
          {out},
          For(row, LoopKind::kParallel, For(column, kind, Store(out, {row, column}, value)))};
}

TEST(LoopKernel, PrintsWithCanonicalNames) {
  EXPECT_EQ(ToString(Relu(LoopKind::kVector)),
            "kernel(in0: f32[2,8]) -> (out0: f32[2,8])\n"
            "  parallel i0:2 {\n"
            "    vector i1:8 {\n"
            "      out0[i0, i1] = max(in0[i0, i1], 0.0)\n"
            "    }\n"
            "  }\n");
}

TEST(LoopKernel, VerifyAccepts) { EXPECT_TRUE(Verify(Relu(LoopKind::kSerial)).ok()); }

TEST(LoopKernel, VerifyNamesWhatIsWrong) {
  const Buffer in = MakeBuffer("x", ElementType::kF32, {8});
  const Buffer out = MakeBuffer("y", ElementType::kF32, {8});
  const Buffer half = MakeBuffer("h", ElementType::kF16, {8});
  const Var i = MakeVar("i", 8), j = MakeVar("j", 8);
  const auto message = [&](Stmt body) {
    return Message(Verify({"k", {in, half}, {out}, std::move(body)}));
  };
  const Expr value = Load(in, {i});
  EXPECT_THAT(message(Store(out, {i}, value)), HasSubstr("outside its loop"));
  EXPECT_THAT(message(For(i, For(i, Store(out, {i}, value)))), HasSubstr("bound twice"));
  EXPECT_THAT(message(For(j, For(i, LoopKind::kParallel, Store(out, {i}, value)))),
              HasSubstr("not outermost"));
  EXPECT_THAT(message(For(i, LoopKind::kVector, For(j, Store(out, {i}, value)))),
              HasSubstr("not innermost"));
  EXPECT_THAT(message(For(i, LoopKind::kUnroll, For(j, Store(out, {i}, value)))),
              HasSubstr("not part of a tile"));
  EXPECT_THAT(message(For(i, LoopKind::kParallel, Store(out, {Expr(0)}, value))),
              HasSubstr("write one element"));
  EXPECT_THAT(message(For(i, Store(out, {i, i}, value))), HasSubstr("2 indices"));
  EXPECT_THAT(message(For(i, Store(out, {i}, Expr(1)))), HasSubstr("value of i64"));
  EXPECT_THAT(message(For(i, Store(out, {i}, value + Cast(ElementType::kF32, i) + value, i))),
              HasSubstr("not bool"));
  EXPECT_THAT(message(For(i, Store(half, {i}, Load(half, {i}) + Load(half, {i})))),
              HasSubstr("arithmetic on f16"));
  EXPECT_THAT(message(For(i, Store(MakeBuffer("z", ElementType::kF32, {8}), {i}, value))),
              HasSubstr("unknown buffer z"));
  const Buffer local = MakeBuffer("l", ElementType::kF32, {8192});
  EXPECT_THAT(message(Alloc(local, For(i, Store(local, {i}, value)))), HasSubstr("too large"));
}

}  // namespace
}  // namespace kiln::loop
