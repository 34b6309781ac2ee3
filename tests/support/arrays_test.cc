#include "tests/support/arrays.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "ir/graph/parser.h"

namespace kiln {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

Array Floats(const std::vector<double>& values) {
  return Array::FromTensor(
      Tensor::FromDoubles(ElementType::kF64, {static_cast<int64_t>(values.size())}, values));
}

TEST(ArraysTest, MismatchIsAwareOfNanAndInfinity) {
  EXPECT_EQ(Mismatch(Floats({kNan, kInf, -kInf, 1}), Floats({kNan, kInf, -kInf, 1})), std::nullopt);
  EXPECT_NE(Mismatch(Floats({kNan}), Floats({1})), std::nullopt);
  EXPECT_NE(Mismatch(Floats({1}), Floats({kNan})), std::nullopt);
  EXPECT_NE(Mismatch(Floats({kInf}), Floats({-kInf})), std::nullopt);
  EXPECT_NE(Mismatch(Floats({kInf}), Floats({1e300})), std::nullopt);
}

TEST(ArraysTest, MismatchAppliesBothTolerances) {
  const Tolerance tolerance = {0.1, 0.01};
  EXPECT_EQ(Mismatch(Floats({10, 0}), Floats({11, 0.09}), tolerance), std::nullopt);
  EXPECT_EQ(Mismatch(Floats({10, 0}), Floats({11.2, 0.2}), tolerance),
            "element 0 of f64[2]: expected 10.0, found 11.2 (2 of 2 differ)");
  EXPECT_EQ(Mismatch(Floats({1}), Floats({1, 2})), "expected f64[1], found f64[2]");
}

TEST(ArraysTest, RandomInputsKeepTheirRanges) {
  const auto module = ParseModule(
      "module \"m\" { metadata \"range x\" = \"3 4\" metadata \"range @g x\" = \"-7 -6.5\" "
      "func @f(%x: f32[100], %i: u8[100]) -> () {} func @g(%x: f32[100]) -> () {} }");
  ASSERT_TRUE(module.ok()) << Message(module.status());
  const auto f = RandomInputs(*(*module)->functions()[0], 1);
  const auto g = RandomInputs(*(*module)->functions()[1], 1);
  EXPECT_THAT(f[0].floats, testing::Each(testing::AllOf(testing::Ge(3), testing::Le(4))));
  EXPECT_THAT(f[1].ints, testing::Each(testing::AllOf(testing::Ge(0), testing::Le(2))));
  EXPECT_THAT(g[0].floats, testing::Each(testing::AllOf(testing::Ge(-7), testing::Le(-6.5))));
  EXPECT_EQ(f[0].floats, RandomInputs(*(*module)->functions()[0], 1)[0].floats);
  EXPECT_NE(f[0].floats, RandomInputs(*(*module)->functions()[0], 2)[0].floats);
}

}  // namespace
}  // namespace kiln
