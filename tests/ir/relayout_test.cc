#include "ir/graph/relayout.h"

#include <gtest/gtest.h>

#include <numeric>

#include "ir/eval/array.h"

namespace kiln {
namespace {

// The interpreter's own mapping is the oracle.
void ExpectSameAsArray(const Shape& shape, const Layout& layout) {
  std::vector<int64_t> values(static_cast<size_t>(ElementCount(shape)));
  std::iota(values.begin(), values.end(), 1);
  for (const ElementType element : {ElementType::kF32, ElementType::kI64, ElementType::kI16}) {
    const Tensor plain = Tensor::FromInts(element, shape, values);
    const Tensor moved = ToLayout(plain, layout);
    EXPECT_EQ(moved, Array::FromTensor(plain).ToTensor(layout)) << layout.ToString();
    EXPECT_EQ(Array::FromTensor(moved).ToTensor(), plain) << layout.ToString();
  }
}

TEST(RelayoutTest, BlocksFullAndPartial) {
  ExpectSameAsArray({2, 32, 3, 5}, {.order = {}, .blocks = {{1, 16}}});
  ExpectSameAsArray({2, 19, 3, 5}, {.order = {}, .blocks = {{1, 16}}});
  ExpectSameAsArray({33, 3, 1, 1}, {.order = {}, .blocks = {{0, 8}}});
  ExpectSameAsArray({7, 50}, {.order = {1, 0}, .blocks = {{1, 16}}});
  ExpectSameAsArray({40, 37}, {.order = {}, .blocks = {{0, 16}}});
}

TEST(RelayoutTest, TwoBlocksAndPermutations) {
  ExpectSameAsArray({24, 20, 3, 3}, {.order = {}, .blocks = {{1, 8}, {0, 16}}});
  ExpectSameAsArray({40, 3}, {.order = {}, .blocks = {{0, 4}, {0, 2}}});
  ExpectSameAsArray({2, 3, 4}, {.order = {2, 0, 1}, .blocks = {}});
  ExpectSameAsArray({0, 3}, {.order = {1, 0}, .blocks = {{0, 4}}});
}

TEST(RelayoutTest, PadsWithZeros) {
  ExpectSameAsArray({2, 3, 4, 5}, {.order = {}, .blocks = {}, .padding = {{2, 1, 0}, {3, 2, 3}}});
  ExpectSameAsArray({2, 19, 3, 5}, {.order = {}, .blocks = {{1, 16}}, .padding = {{3, 1, 1}}});
  ExpectSameAsArray({2, 3, 4}, {.order = {2, 0, 1}, .blocks = {}, .padding = {{0, 0, 2}}});
}

}  // namespace
}  // namespace kiln
