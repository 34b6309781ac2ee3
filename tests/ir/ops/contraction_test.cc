// conv, conv_transpose and matmul: hand-made values, and those of the ONNX backend tests.
#include <numeric>

#include "tests/ir/ops/op_test_util.h"

namespace kiln {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using Dims = std::vector<int64_t>;

/// 0, 1, 2, ...
Tensor Counting(Shape shape) {
  std::vector<double> values(static_cast<size_t>(ElementCount(shape)));
  std::iota(values.begin(), values.end(), 0);
  return Floats(std::move(shape), values);
}

Tensor Ones(Shape shape) { return Tensor::Splat({ElementType::kF64, std::move(shape)}, 1); }

/// The attributes of a window without strides, dilations and pads, but for `changed`.
AttributeMap WindowOf(size_t rank, AttributeMap changed = {}) {
  changed.emplace("strides", Dims(rank, 1));
  changed.emplace("dilations", Dims(rank, 1));
  changed.emplace("pads_low", Dims(rank, 0));
  changed.emplace("pads_high", Dims(rank, 0));
  return changed;
}

StatusOr<Tensor> Conv(const Tensor& x, const Tensor& w, AttributeMap changed = {}) {
  return RunOp("conv", {x, w}, WindowOf(x.shape().size() - 2, std::move(changed)));
}

StatusOr<Tensor> ConvTranspose(const Tensor& x, const Tensor& w, AttributeMap changed = {}) {
  const size_t rank = x.shape().size() - 2;
  changed.emplace("output_padding", Dims(rank, 0));
  return RunOp("conv_transpose", {x, w}, WindowOf(rank, std::move(changed)));
}

TEST(ConvTest, BasicConvWithPadding) {
  EXPECT_THAT(Values(Conv(Counting({1, 1, 5, 5}), Ones({1, 1, 3, 3}),
                          {{"pads_low", Dims{1, 1}}, {"pads_high", Dims{1, 1}}})),
              ElementsAre(12, 21, 27, 33, 24, 33, 54, 63, 72, 51, 63, 99, 108, 117, 81, 93, 144,
                          153, 162, 111, 72, 111, 117, 123, 84));
}

TEST(ConvTest, StridesAndAsymmetricPadding) {
  const auto result =
      Conv(Counting({1, 1, 7, 5}), Ones({1, 1, 3, 3}),
           {{"strides", Dims{2, 2}}, {"pads_low", Dims{1, 0}}, {"pads_high", Dims{1, 0}}});
  EXPECT_THAT(ShapeOf(result), ElementsAre(1, 1, 4, 2));
  EXPECT_THAT(Values(result), ElementsAre(21, 33, 99, 117, 189, 207, 171, 183));
}

TEST(ConvTest, DoesNotFlipTheKernel) {
  EXPECT_THAT(Values(Conv(Floats({1, 1, 3}, {1, 10, 100}), Floats({1, 1, 2}, {1, 2}))),
              ElementsAre(21, 210));
}

TEST(ConvTest, Dilation) {
  EXPECT_THAT(Values(Conv(Floats({1, 1, 4}, {1, 10, 100, 1000}), Floats({1, 1, 2}, {1, 2}),
                          {{"dilations", Dims{2}}})),
              ElementsAre(201, 2010));
}

// Channels 0 and 1 make outputs 0 and 1, channels 2 and 3 make outputs 2 and 3.
TEST(ConvTest, GroupsDoNotMix) {
  const Tensor x = Floats({1, 4, 1}, {1, 10, 100, 1000});
  const Tensor w = Floats({4, 2, 1}, {1, 1, 1, 2, 1, 1, 3, 1});
  EXPECT_THAT(Values(Conv(x, w, {{"groups", 2}})), ElementsAre(11, 21, 1100, 1300));
}

TEST(ConvTest, IntegersWrap) {
  EXPECT_THAT(Values(Conv(Ints({1, 2, 1}, {100, 100}, ElementType::kI8),
                          Ints({1, 2, 1}, {1, 1}, ElementType::kI8))),
              ElementsAre(-56));
}

TEST(ConvTest, RefusesWhatDoesNotFit) {
  const Tensor x = Ones({1, 4, 5, 5}), w = Ones({2, 4, 3, 3});
  EXPECT_THAT(ErrorOf(Conv(x, Ones({2, 3, 3, 3}))),
              AllOf(HasSubstr("weights of 3 channels in groups=1"), HasSubstr("found 4"),
                    HasSubstr("(f64[1,4,5,5], f64[2,3,3,3])")));
  EXPECT_THAT(ErrorOf(Conv(x, Ones({2, 4, 3}))), HasSubstr("same rank"));
  EXPECT_THAT(ErrorOf(Conv(x, Ones({2, 4, 6, 3}))),
              HasSubstr("the window must fit the padded input, found 6 over 5"));
  EXPECT_THAT(ErrorOf(Conv(x, Ones({2, 4, 0, 3}))), HasSubstr("the kernel's extent"));
  EXPECT_THAT(ErrorOf(Conv(x, Ones({0, 4, 3, 3}))), HasSubstr("there must be channels"));
  EXPECT_THAT(ErrorOf(Conv(x, w, {{"strides", Dims{1}}})),
              HasSubstr("strides must have 2 values, found 1"));
  EXPECT_THAT(ErrorOf(Conv(x, w, {{"strides", Dims{1, 0}}})), HasSubstr("strides must be from 1"));
  EXPECT_THAT(ErrorOf(Conv(x, w, {{"dilations", Dims{0, 1}}})), HasSubstr("dilations must be"));
  EXPECT_THAT(ErrorOf(Conv(x, w, {{"pads_low", Dims{-1, 0}}})), HasSubstr("pads_low must be"));
  EXPECT_THAT(ErrorOf(Conv(x, w, {{"pads_high", Dims{0, int64_t{1} << 62}}})),
              HasSubstr("pads_high must be"));
  EXPECT_THAT(ErrorOf(Conv(x, w, {{"groups", 0}})), HasSubstr("groups must be from 1"));
  EXPECT_THAT(ErrorOf(Conv(x, w, {{"groups", 3}})), HasSubstr("must divide into groups=3"));
  EXPECT_THAT(ErrorOf(Conv(Ones({1, 1, 2, 2, 2, 2}), Ones({1, 1, 1, 1, 1, 1}))),
              HasSubstr("1 to 3 spatial dimensions"));
  EXPECT_THAT(ErrorOf(Conv(x, Floats({2, 4, 1, 1}, std::vector<double>(8), ElementType::kF32))),
              HasSubstr("same element type"));
}

/// The loop expression of a conv's result, as text.
std::string ConvExpression(Shape x, Shape w, AttributeMap changed) {
  Module module;
  Builder builder(module.AddFunction("test"));
  const size_t rank = x.size() - 2;
  const auto op = builder.Make("conv",
                               {builder.Input("x", {ElementType::kF32, std::move(x)}),
                                builder.Input("w", {ElementType::kF32, std::move(w)})},
                               WindowOf(rank, std::move(changed)));
  if (!op.ok()) return Message(op.status());
  std::vector<loop::Expr> index;
  for (const int64_t extent : (*op)->shape()) index.push_back(loop::MakeVar("i", extent));
  const Reader read = [&](size_t k, const std::vector<loop::Expr>& at) {
    return Load(loop::MakeBuffer("x", ElementType::kF32, (*op)->operand(k)->shape()), at);
  };
  return ToString((*op)->def().element(**op, read, index));
}

// The contraction engine wants affine accesses: no guard where no tap leaves the input, and no
// division where the groups do not need one.
TEST(ConvTest, GuardsOnlyPaddedDimensions) {
  EXPECT_THAT(ConvExpression({1, 3, 8, 8}, {4, 3, 3, 3}, {}),
              AllOf(Not(HasSubstr("select")), Not(HasSubstr("//"))));
  EXPECT_THAT(ConvExpression({1, 3, 8, 8}, {4, 3, 3, 3}, {{"pads_low", Dims{1, 0}}}),
              AllOf(HasSubstr("select"), HasSubstr(">="), Not(HasSubstr(" < "))));
  // The stride never reaches the high padding.
  EXPECT_THAT(ConvExpression({1, 3, 5, 5}, {4, 3, 2, 2},
                             {{"strides", Dims{3, 3}}, {"pads_high", Dims{1, 1}}}),
              Not(HasSubstr("select")));
  EXPECT_THAT(ConvExpression({1, 4, 8, 8}, {4, 1, 3, 3}, {{"groups", 4}}), Not(HasSubstr("/")));
}

TEST(ConvTransposeTest, Dilations) {
  const Tensor x = Floats({1, 1, 3, 3}, {3, 8, 1, 9, 5, 7, 3, 2, 6});
  const Tensor w = Floats({1, 1, 2, 2}, {7, 2, 1, 9});
  EXPECT_THAT(Values(ConvTranspose(x, w, {{"dilations", Dims{2, 2}}})),
              ElementsAre(21, 56, 13, 16, 2, 63, 35, 67, 10, 14, 24, 22, 76, 76, 21, 9, 5, 88, 45,
                          63, 3, 2, 33, 18, 54));
}

TEST(ConvTransposeTest, StridesAndPads) {
  const auto result =
      ConvTranspose(Counting({1, 1, 3, 3}), Ones({1, 1, 3, 3}),
                    {{"strides", Dims{3, 2}}, {"pads_low", Dims{1, 2}}, {"pads_high", Dims{1, 2}}});
  EXPECT_THAT(ShapeOf(result), ElementsAre(1, 1, 7, 3));
  EXPECT_THAT(Values(result),
              ElementsAre(1, 1, 3, 1, 1, 3, 7, 4, 9, 7, 4, 9, 7, 4, 9, 13, 7, 15, 13, 7, 15));
}

TEST(ConvTransposeTest, OutputPaddingAddsAtTheEnd) {
  EXPECT_THAT(Values(ConvTranspose(Floats({1, 1, 2}, {1, 2}), Floats({1, 1, 1}, {3}),
                                   {{"strides", Dims{2}}, {"output_padding", Dims{1}}})),
              ElementsAre(3, 0, 6, 0));
}

TEST(ConvTransposeTest, Groups) {
  const Tensor x = Floats({1, 4, 1}, {1, 10, 100, 1000});
  const Tensor w = Floats({4, 1, 1}, {1, 2, 3, 4});
  EXPECT_THAT(Values(ConvTranspose(x, w, {{"groups", 2}})), ElementsAre(21, 4300));
}

TEST(ConvTransposeTest, RefusesWhatDoesNotFit) {
  const Tensor x = Ones({1, 4, 5}), w = Ones({4, 2, 3});
  EXPECT_THAT(ErrorOf(ConvTranspose(x, Ones({3, 2, 3}))), HasSubstr("found 4 and 3"));
  EXPECT_THAT(ErrorOf(ConvTranspose(x, w, {{"groups", 3}})), HasSubstr("divisible by groups=3"));
  EXPECT_THAT(ErrorOf(ConvTranspose(x, w, {{"pads_low", Dims{9}}})),
              HasSubstr("the pads leave an extent of -2"));
  EXPECT_THAT(ErrorOf(ConvTranspose(x, w, {{"output_padding", Dims{-1}}})),
              HasSubstr("output_padding must be"));
  EXPECT_THAT(ErrorOf(ConvTranspose(x, w, {{"output_padding", Dims{}}})),
              HasSubstr("output_padding must have 1 values, found 0"));
  EXPECT_THAT(ErrorOf(ConvTranspose(Ones({1, 4, 0}), w)), HasSubstr("must be at least 1"));
}

TEST(MatmulTest, Product) {
  EXPECT_THAT(Values(RunOp("matmul", {Counting({2, 3}), Counting({3, 2})})),
              ElementsAre(10, 13, 28, 40));
}

TEST(MatmulTest, Transposition) {
  const Tensor a = Floats({2, 1}, {1, 2}), b = Floats({1, 2}, {3, 5});
  EXPECT_THAT(Values(RunOp("matmul", {a, b}, {{"transpose_a", true}, {"transpose_b", true}})),
              ElementsAre(13));
  EXPECT_THAT(Values(RunOp("matmul", {a, b})), ElementsAre(3, 5, 6, 10));
}

TEST(MatmulTest, LeadingDimensionsBroadcast) {
  const Tensor a = Floats({2, 1, 1, 1}, {1, 2}), b = Floats({3, 1, 1}, {10, 20, 30});
  const auto result = RunOp("matmul", {a, b});
  EXPECT_THAT(ShapeOf(result), ElementsAre(2, 3, 1, 1));
  EXPECT_THAT(Values(result), ElementsAre(10, 20, 30, 20, 40, 60));
}

TEST(MatmulTest, RefusesWhatDoesNotFit) {
  EXPECT_THAT(ErrorOf(RunOp("matmul", {Ones({2, 3}), Ones({2, 3})})),
              HasSubstr("the columns of a must be the rows of b, found 3 and 2"));
  EXPECT_THAT(ErrorOf(RunOp("matmul", {Ones({3}), Ones({3, 2})})), HasSubstr("rank 2 or more"));
  EXPECT_THAT(ErrorOf(RunOp("matmul", {Ones({2, 1, 1}), Ones({3, 1, 1})})),
              HasSubstr("batch shapes [2] and [3] do not broadcast"));
}

}  // namespace
}  // namespace kiln
