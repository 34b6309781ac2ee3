// Expected values are those of the ONNX backend tests of the same name, unless a comment says more.
#include "tests/ir/ops/op_test_util.h"

namespace kiln {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pointwise;
using Dims = std::vector<int64_t>;

MATCHER(Near, "") { return std::abs(std::get<0>(arg) - std::get<1>(arg)) < 2e-5; }

Tensor OneTo(int64_t count, Shape shape) {
  std::vector<double> values;
  for (int64_t i = 1; i <= count; ++i) values.push_back(static_cast<double>(i));
  return Floats(std::move(shape), values);
}

const Tensor k4x4 = OneTo(16, {1, 1, 4, 4});
const Tensor k2x4 = OneTo(8, {1, 1, 2, 4});

StatusOr<Tensor> Resize(const Tensor& x, std::vector<double> scales, Dims sizes,
                        AttributeMap attributes) {
  attributes.emplace("scales", std::move(scales));
  attributes.emplace("sizes", std::move(sizes));
  attributes.emplace("mode", "nearest");
  attributes.emplace("coordinate_mode", "half_pixel");
  return RunOp("resize", {x}, std::move(attributes));
}

/// A scale as an ONNX model holds it.
constexpr double k0p8 = 0.8f;
constexpr double k0p6 = 0.6f;

TEST(ResizeTest, DownsampleScalesCubic) {
  EXPECT_THAT(Values(Resize(k4x4, {1, 1, k0p8, k0p8}, {1, 1, 3, 3}, {{"mode", "cubic"}})),
              Pointwise(Near(), {1.47119140625, 2.78125, 4.08251953125, 6.71142578125, 8.021484375,
                                 9.32275390625, 11.91650390625, 13.2265625, 14.52783203125}));
}

TEST(ResizeTest, DownsampleScalesCubicExcludeOutside) {
  EXPECT_THAT(Values(Resize(k4x4, {1, 1, k0p8, k0p8}, {1, 1, 3, 3},
                            {{"mode", "cubic"}, {"cubic_coeff", -0.5}, {"exclude_outside", true}})),
              Pointwise(Near(), {1.36812675, 2.6695013, 4.01333666, 6.57362509, 7.875, 9.21883487,
                                 11.94896603, 13.25034142, 14.59417629}));
}

TEST(ResizeTest, DownsampleScalesCubicAlignCorners) {
  EXPECT_THAT(Values(Resize(k4x4, {1, 1, k0p8, k0p8}, {1, 1, 3, 3},
                            {{"mode", "cubic"}, {"coordinate_mode", "align_corners"}})),
              Pointwise(Near(), {1.0, 2.39519167, 3.7903831, 6.58076620, 7.97595787, 9.37114906,
                                 12.16153240, 13.55672359, 14.95191574}));
}

TEST(ResizeTest, DownsampleScalesLinear) {
  EXPECT_THAT(Values(Resize(k2x4, {1, 1, k0p6, k0p6}, {1, 1, 1, 2}, {{"mode", "linear"}})),
              Pointwise(Near(), {2.6666665, 4.3333330}));
}

// The fractional length 2.4 goes into the mapping, not the extent 2.
TEST(ResizeTest, DownsampleScalesLinearAlignCorners) {
  EXPECT_THAT(Values(Resize(k2x4, {1, 1, k0p6, k0p6}, {1, 1, 1, 2},
                            {{"mode", "linear"}, {"coordinate_mode", "align_corners"}})),
              Pointwise(Near(), {1.0, 3.142857}));
}

TEST(ResizeTest, DownsampleNearest) {
  EXPECT_THAT(Values(Resize(k2x4, {1, 1, k0p6, k0p6}, {1, 1, 1, 2}, {})), ElementsAre(1, 3));
  // downsample_sizes_nearest: 1.5 rounds down.
  EXPECT_THAT(Values(Resize(k2x4, {1, 1, 0.5, 0.75}, {1, 1, 1, 3}, {})), ElementsAre(1, 2, 4));
}

TEST(ResizeTest, DownsampleSizesLinearPytorchHalfPixel) {
  EXPECT_THAT(Values(Resize(k4x4, {1, 1, 0.75, 0.25}, {1, 1, 3, 1},
                            {{"mode", "linear"}, {"coordinate_mode", "pytorch_half_pixel"}})),
              Pointwise(Near(), {1.6666666, 7.0, 12.333333}));
}

TEST(ResizeTest, DownsampleSizesNearestTfHalfPixelForNn) {
  EXPECT_THAT(Values(Resize(k4x4, {1, 1, 0.75, 0.5}, {1, 1, 3, 2},
                            {{"coordinate_mode", "tf_half_pixel_for_nn"}})),
              ElementsAre(6, 8, 10, 12, 14, 16));
}

TEST(ResizeTest, TfCropAndResize) {
  EXPECT_THAT(Values(Resize(k4x4, {1, 1, 0.75, 0.75}, {1, 1, 3, 3},
                            {{"mode", "linear"},
                             {"coordinate_mode", "tf_crop_and_resize"},
                             {"roi", std::vector<double>{0, 0, 0.4f, 0.6f, 1, 1, 1.2f, 1.7f}},
                             {"extrapolation_value", 10.0}})),
              Pointwise(Near(), {7.6, 10.0, 10.0, 12.4, 10.0, 10.0, 10.0, 10.0, 10.0}));
}

TEST(ResizeTest, UpsampleScalesLinear) {
  const Tensor x = OneTo(4, {1, 1, 2, 2});
  EXPECT_THAT(
      Values(Resize(x, {1, 1, 2, 2}, {1, 1, 4, 4}, {{"mode", "linear"}})),
      ElementsAre(1, 1.25, 1.75, 2, 1.5, 1.75, 2.25, 2.5, 2.5, 2.75, 3.25, 3.5, 3, 3.25, 3.75, 4));
}

TEST(ResizeTest, UpsampleScalesNearest) {
  const Tensor x = OneTo(4, {1, 1, 2, 2});
  EXPECT_THAT(Values(Resize(x, {1, 1, 1, 3}, {1, 1, 2, 6}, {})),
              ElementsAre(1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4));
}

// One row of the ONNX tests with 8 columns made of 4.
std::vector<double> UpsampledRow(AttributeMap attributes) {
  return Values(Resize(OneTo(4, {1, 1, 1, 4}), {1, 1, 1, 2}, {1, 1, 1, 8}, std::move(attributes)));
}

TEST(ResizeTest, UpsampleSizesNearestWithOtherRoundings) {
  EXPECT_THAT(UpsampledRow({{"nearest_mode", "ceil"}}), ElementsAre(1, 2, 2, 3, 3, 4, 4, 4));
  EXPECT_THAT(UpsampledRow({{"nearest_mode", "floor"}, {"coordinate_mode", "align_corners"}}),
              ElementsAre(1, 1, 1, 2, 2, 3, 3, 4));
  EXPECT_THAT(
      UpsampledRow({{"nearest_mode", "round_prefer_ceil"}, {"coordinate_mode", "asymmetric"}}),
      ElementsAre(1, 2, 2, 3, 3, 4, 4, 4));
}

TEST(ResizeTest, UpsampleScalesCubicAsymmetric) {
  EXPECT_THAT(UpsampledRow({{"mode", "cubic"}, {"coordinate_mode", "asymmetric"}}),
              ElementsAre(1, 1.40625, 2, 2.5, 3, 3.59375, 4, 4.09375));
}

// By the formula: size 2 of 3 * 0.8 = 2.4 moves the half-pixel grid by 1.5 * (1 - 2/2.4) = 0.25,
// so that the coordinates are 0.375 and 1.625, symmetric about the centre 1.
TEST(ResizeTest, HalfPixelSymmetricKeepsTheCentre) {
  EXPECT_THAT(Values(Resize(OneTo(3, {1, 1, 3}), {1, 1, 0.8}, {1, 1, 2},
                            {{"mode", "linear"}, {"coordinate_mode", "half_pixel_symmetric"}})),
              ElementsAre(DoubleNear(1.375, 1e-12), DoubleNear(2.625, 1e-12)));
}

TEST(ResizeTest, RefusesWhatItCannotCompute) {
  const Tensor x = OneTo(4, {1, 1, 4});
  EXPECT_THAT(ErrorOf(Resize(x, {1, 2}, {1, 1, 8}, {})),
              HasSubstr("resize: scales must have 3 values, found 2; operands are (f64[1,1,4])"));
  EXPECT_THAT(ErrorOf(Resize(x, {1, 1, 2}, {8}, {})), HasSubstr("sizes must have 3 values"));
  EXPECT_THAT(ErrorOf(Resize(x, {1, 1, 0}, {1, 1, 0}, {})), HasSubstr("scales must be from"));
  EXPECT_THAT(ErrorOf(Resize(x, {1, 1, std::nan("")}, {1, 1, 1}, {})),
              HasSubstr("scales must be from"));
  EXPECT_THAT(ErrorOf(Resize(x, {1, 1, 2}, {1, 1, 10}, {})),
              HasSubstr("sizes must be about scale * extent, found 10"));
  EXPECT_THAT(ErrorOf(Resize(x, {1, 1, 0.1}, {1, 1, 0}, {})), HasSubstr("extent of 0"));
  EXPECT_THAT(ErrorOf(Resize(x, {1, 1, 1}, {1, 1, -4}, {})), HasSubstr("negative"));
  EXPECT_THAT(ErrorOf(Resize(x, {1, 1, 2}, {1, 1, 8}, {{"mode", "area"}})),
              HasSubstr("mode must be one of nearest, linear, cubic, found \"area\""));
  EXPECT_THAT(ErrorOf(Resize(x, {1, 1, 2}, {1, 1, 8}, {{"coordinate_mode", "tf_crop_and_resize"}})),
              HasSubstr("roi must have 6 values, found 0"));
  EXPECT_THAT(
      ErrorOf(Resize(Ints({1, 1, 4}, {1, 2, 3, 4}), {1, 1, 2}, {1, 1, 8}, {{"mode", "linear"}})),
      HasSubstr("must be of a float type"));
  EXPECT_THAT(ErrorOf(Resize(OneTo(32, {2, 2, 2, 2, 2}), std::vector<double>(5, 2.0),
                             {4, 4, 4, 4, 4}, {{"mode", "cubic"}})),
              HasSubstr("at most 256 others"));
}

}  // namespace
}  // namespace kiln
