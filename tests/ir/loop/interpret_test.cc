#include "ir/loop/interpret.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace kiln::loop {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Interpret, SumsRowsAndSkipsWhereThePredicateIsFalse) {
  const Buffer in = MakeBuffer("x", ElementType::kF32, {3, 2});
  const Buffer out = MakeBuffer("y", ElementType::kF32, {3});
  const Var i = MakeVar("i", 3), k = MakeVar("k", 2);
  const Expr sum = Reduce(ReduceOp::kSum, {k}, Load(in, {i, k}));
  const Kernel kernel{"k", {in}, {out}, For(i, Store(out, {i}, sum, Ne(i, 1)))};
  ASSERT_TRUE(Verify(kernel).ok());
  std::vector<float> x = {1, 2, 3, 4, 5, 6}, y = {-1, -1, -1};
  ASSERT_TRUE(Interpret(kernel, {x.data(), y.data()}).ok());
  EXPECT_THAT(y, ElementsAre(3, -1, 11));
}

TEST(Interpret, ReadsPaddingLazily) {
  const Buffer in = MakeBuffer("x", ElementType::kI32, {3});
  const Buffer out = MakeBuffer("y", ElementType::kI32, {5});
  const Var i = MakeVar("i", 5);
  const Expr inside = And(Ge(i, 1), Lt(i, 4));
  const Expr value = Select(inside, Load(in, {Expr(i) - 1}), ConstInt(ElementType::kI32, -7));
  std::vector<int32_t> x = {1, 2, 3}, y(5);
  ASSERT_TRUE(
      Interpret({"k", {in}, {out}, For(i, Store(out, {i}, value))}, {x.data(), y.data()}).ok());
  EXPECT_THAT(y, ElementsAre(-7, 1, 2, 3, -7));
}

TEST(Interpret, NamesTheBufferOfAnIndexOutOfBounds) {
  const Buffer in = MakeBuffer("x", ElementType::kF32, {3});
  const Buffer out = MakeBuffer("y", ElementType::kF32, {4});
  const Var i = MakeVar("i", 4);
  std::vector<float> x(3), y(4);
  const Status status =
      Interpret({"k", {in}, {out}, For(i, Store(out, {i}, Load(in, {i})))}, {x.data(), y.data()});
  EXPECT_THAT(Message(status), HasSubstr("index 3 of dimension 0 of x[3]"));
}

TEST(Interpret, RoundsHalfFloats) {
  const Buffer in = MakeBuffer("x", ElementType::kF32, {6});
  const Buffer half = MakeBuffer("h", ElementType::kF16, {6});
  const Buffer out = MakeBuffer("y", ElementType::kF32, {6});
  const Var i = MakeVar("i", 6), j = MakeVar("j", 6);
  const Kernel kernel{"k",
                      {in},
                      {half, out},
                      Block({For(i, Store(half, {i}, Cast(ElementType::kF16, Load(in, {i})))),
                             For(j, Store(out, {j}, Cast(ElementType::kF32, Load(half, {j}))))})};
  ASSERT_TRUE(Verify(kernel).ok());
  const float inf = std::numeric_limits<float>::infinity();
  std::vector<float> x = {1.0f + 1.0f / 2048, 65504, 65520, -0x1p-24f, 0x1p-26f, -inf}, y(6);
  std::vector<uint16_t> h(6);
  ASSERT_TRUE(Interpret(kernel, {x.data(), h.data(), y.data()}).ok());
  EXPECT_THAT(y, ElementsAre(1, 65504, inf, -0x1p-24f, 0, -inf));
  EXPECT_THAT(h, ElementsAre(0x3c00, 0x7bff, 0x7c00, 0x8001, 0, 0xfc00));
}

}  // namespace
}  // namespace kiln::loop
