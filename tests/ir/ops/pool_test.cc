// Pools: hand-made values, and those of the ONNX backend tests.
#include <limits>
#include <numeric>

#include "tests/ir/ops/op_test_util.h"

namespace kiln {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsNan;
using Dims = std::vector<int64_t>;

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// 1, 2, 3, ... as [1, 1, rows, columns].
Tensor Image(int64_t rows, int64_t columns) {
  std::vector<double> values(static_cast<size_t>(rows * columns));
  std::iota(values.begin(), values.end(), 1);
  return Floats({1, 1, rows, columns}, values);
}

Tensor Line(const std::vector<double>& values) {
  return Floats({1, 1, static_cast<int64_t>(values.size())}, values);
}

StatusOr<Tensor> Pool(std::string_view kind, const Tensor& x, Dims kernel,
                      AttributeMap changed = {}) {
  const size_t rank = kernel.size();
  changed.emplace("kernel", std::move(kernel));
  changed.emplace("strides", Dims(rank, 1));
  changed.emplace("dilations", Dims(rank, 1));
  changed.emplace("pads_low", Dims(rank, 0));
  changed.emplace("pads_high", Dims(rank, 0));
  return RunOp(kind, {x}, std::move(changed));
}

const AttributeMap kTwoAround = {{"pads_low", Dims{2, 2}}, {"pads_high", Dims{2, 2}}};

TEST(MaxPoolTest, PrecomputedPads) {
  EXPECT_THAT(Values(Pool("max_pool", Image(5, 5), {5, 5}, kTwoAround)),
              ElementsAre(13, 14, 15, 15, 15, 18, 19, 20, 20, 20, 23, 24, 25, 25, 25, 23, 24, 25,
                          25, 25, 23, 24, 25, 25, 25));
  EXPECT_THAT(Values(Pool("max_pool_indices", Image(5, 5), {5, 5}, kTwoAround)),
              ElementsAre(12, 13, 14, 14, 14, 17, 18, 19, 19, 19, 22, 23, 24, 24, 24, 22, 23, 24,
                          24, 24, 22, 23, 24, 24, 24));
}

TEST(MaxPoolTest, PaddingNeverWins) {
  EXPECT_THAT(Values(Pool("max_pool", Line({-5, -3}), {2}, {{"pads_low", Dims{1}}})),
              ElementsAre(-5, -3));
  EXPECT_THAT(Values(Pool("max_pool", Ints({1, 1, 2}, {-5, -3}, ElementType::kI8), {2},
                          {{"pads_low", Dims{1}}})),
              ElementsAre(-5, -3));
}

TEST(MaxPoolTest, AWindowWhollyInPadding) {
  const AttributeMap pads = {{"pads_low", Dims{1}}};
  EXPECT_THAT(Values(Pool("max_pool", Line({7}), {1}, pads)), ElementsAre(-kInf, 7));
  EXPECT_THAT(Values(Pool("max_pool_indices", Line({7}), {1}, pads)), ElementsAre(-1, 0));
  EXPECT_THAT(Values(Pool("avg_pool", Line({7}), {1}, pads)), ElementsAre(0, 7));
}

TEST(MaxPoolTest, NanPassesThrough) {
  const Tensor x = Line({1, kNan, 3, 4});
  EXPECT_THAT(Values(Pool("max_pool", x, {2})), ElementsAre(IsNan(), IsNan(), 4));
  EXPECT_THAT(Values(Pool("max_pool_indices", x, {2})), ElementsAre(1, 1, 3));
}

TEST(MaxPoolTest, IndicesCountBatchAndChannels) {
  const Tensor x = Floats({2, 2, 2}, {1, 2, 4, 3, 5, 6, 8, 7});
  EXPECT_THAT(Values(Pool("max_pool_indices", x, {2})), ElementsAre(1, 2, 5, 6));
}

TEST(MaxPoolTest, TheFirstOfEqualsIsTheIndex) {
  EXPECT_THAT(Values(Pool("max_pool_indices", Line({2, 2, 1, 2}), {4})), ElementsAre(0));
}

// Row 1, column 0 of 2 x 3 is position 3 by rows and 1 by columns. Equals are still searched by
// rows.
TEST(MaxPoolTest, ColumnMajorIndices) {
  const Tensor x = Floats({1, 2, 2, 3}, {0, 0, 0, 9, 0, 0, 0, 5, 0, 5, 0, 0});
  EXPECT_THAT(Values(Pool("max_pool_indices", x, {2, 3}, {{"storage_order", 1}})),
              ElementsAre(1, 6 + 2));
  EXPECT_THAT(Values(Pool("max_pool_indices", x, {2, 3})), ElementsAre(3, 6 + 1));
}

TEST(AvgPoolTest, PrecomputedPads) {
  const auto result = Values(Pool("avg_pool", Image(5, 5), {5, 5}, kTwoAround));
  ASSERT_EQ(result.size(), 25u);
  EXPECT_THAT(std::vector<double>(result.begin(), result.begin() + 6),
              ElementsAre(7, 7.5, 8, 8.5, 9, 9.5));
}

TEST(AvgPoolTest, CountIncludePad) {
  AttributeMap attributes = kTwoAround;
  attributes.emplace("count_include_pad", true);
  const auto result = Values(Pool("avg_pool", Image(5, 5), {5, 5}, attributes));
  ASSERT_EQ(result.size(), 25u);
  EXPECT_DOUBLE_EQ(result[0], 2.52);
  EXPECT_DOUBLE_EQ(result[1], 3.6);
  EXPECT_DOUBLE_EQ(result[12], 13);
}

// averagepool_2d_ceil: the extent is rounded up by one row and column that never count.
TEST(AvgPoolTest, RoundedUp) {
  EXPECT_THAT(
      Values(Pool(
          "avg_pool", Image(4, 4), {3, 3},
          {{"strides", Dims{2, 2}}, {"pads_high", Dims{1, 1}}, {"ceil_pads_high", Dims{1, 1}}})),
      ElementsAre(6, 7.5, 12, 13.5));
}

// The first window counts its real pad of 1, the last one not its ceil pad of 1.
TEST(AvgPoolTest, CeilPadsDoNotCountEvenWithCountIncludePad) {
  EXPECT_THAT(Values(Pool("avg_pool", Line({3, 4, 8}), {2},
                          {{"strides", Dims{2}},
                           {"pads_low", Dims{1}},
                           {"pads_high", Dims{2}},
                           {"ceil_pads_high", Dims{2}},
                           {"count_include_pad", true}})),
              ElementsAre(1.5, 6, 0));
}

TEST(AvgPoolTest, DilatedWindowsCountTheirElementsOnly) {
  // Taps at -2, 0, 2: one of three is padding.
  EXPECT_THAT(Values(Pool("avg_pool", Line({3, 100, 5}), {3},
                          {{"dilations", Dims{2}}, {"pads_low", Dims{2}}})),
              ElementsAre(4));
}

TEST(LpPoolTest, Norms) {
  EXPECT_THAT(Values(Pool("lp_pool", Line({3, -4}), {2})), ElementsAre(5));
  EXPECT_THAT(Values(Pool("lp_pool", Line({3, -4}), {2}, {{"p", 1}})), ElementsAre(7));
  EXPECT_THAT(Values(Pool("lp_pool", Line({3, -4, 5}), {3}, {{"p", 3}})),
              ElementsAre(testing::DoubleEq(6)));
}

TEST(PoolTest, RefusesWhatDoesNotFit) {
  const Tensor x = Image(4, 4);
  EXPECT_THAT(ErrorOf(Pool("max_pool", x, {5, 2})), HasSubstr("found 5 over 4"));
  EXPECT_THAT(ErrorOf(Pool("max_pool", x, {2})), HasSubstr("the kernel must have 2 values"));
  EXPECT_THAT(ErrorOf(Pool("max_pool", x, {2, 0})), HasSubstr("the kernel's extent"));
  EXPECT_THAT(ErrorOf(Pool("max_pool", x, {2, 2}, {{"dilations", Dims{4, 1}}})),
              HasSubstr("found 5 over 4 in spatial dimension 0"));
  EXPECT_THAT(ErrorOf(Pool("avg_pool", x, {2, 2}, {{"ceil_pads_high", Dims{1, 0}}})),
              HasSubstr("ceil_pads_high must be from 0 to 0, found 1"));
  EXPECT_THAT(ErrorOf(Pool("avg_pool", Ints({1, 1, 2}, {1, 2}), {2})), HasSubstr("a float"));
  EXPECT_THAT(ErrorOf(Pool("lp_pool", x, {2, 2}, {{"p", 0}})), HasSubstr("p must be from 1"));
  EXPECT_THAT(ErrorOf(Pool("max_pool_indices", x, {2, 2}, {{"storage_order", 2}})),
              HasSubstr("storage_order must be from 0 to 1"));
  EXPECT_THAT(ErrorOf(Pool("max_pool", Floats({2, 2}, {1, 2, 3, 4}), {})),
              HasSubstr("1 to 3 spatial dimensions"));
}

// Evaluation walks the elements in the input, not the kernel.
TEST(PoolTest, AKernelMadeOfPaddingIsNoWork) {
  const int64_t huge = std::numeric_limits<int32_t>::max();
  EXPECT_THAT(
      Values(Pool("max_pool", Image(1, 1), {huge, huge}, {{"pads_low", Dims{huge - 1, huge - 1}}})),
      ElementsAre(1));
}

}  // namespace
}  // namespace kiln
