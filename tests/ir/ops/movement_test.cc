#include <limits>

#include "tests/ir/ops/op_test_util.h"

namespace kiln {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Dims = std::vector<int64_t>;

const Tensor k123 = Floats({3}, {1, 2, 3});
const Tensor k2x3 = Floats({2, 3}, {1, 2, 3, 4, 5, 6});

TEST(MovementTest, Reshape) {
  const auto result = RunOp("reshape", {k2x3}, {{"shape", Dims{3, 1, 2}}});
  EXPECT_THAT(ShapeOf(result), ElementsAre(3, 1, 2));
  EXPECT_THAT(Values(result), ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(ErrorOf(RunOp("reshape", {k2x3}, {{"shape", Dims{4, 2}}})),
              HasSubstr("cannot reshape 6 elements to [4,2]; operands are (f64[2,3])"));
  EXPECT_THAT(ErrorOf(RunOp("reshape", {k2x3}, {{"shape", Dims{-2, -3}}})),
              HasSubstr("negative dimension"));
  const int64_t huge = int64_t{1} << 62;
  EXPECT_THAT(ErrorOf(RunOp("reshape", {k2x3}, {{"shape", Dims{huge, 4, 6}}})),
              HasSubstr("too large"));
}

TEST(MovementTest, ReshapeNeedsARowMajorOperand) {
  Module module;
  Builder builder(module.AddFunction("test"));
  const auto x = builder.Input("x", {ElementType::kF32, {2, 3}, {{1, 0}, {}}});
  EXPECT_THAT(Message(builder.Make("reshape", {x}, {{"shape", Dims{6}}}).status()),
              HasSubstr("operands must be row-major"));
}

TEST(MovementTest, Transpose) {
  EXPECT_THAT(Values(RunOp("transpose", {k2x3}, {{"perm", Dims{1, 0}}})),
              ElementsAre(1, 4, 2, 5, 3, 6));
  EXPECT_THAT(ErrorOf(RunOp("transpose", {k2x3}, {{"perm", Dims{1, 1}}})),
              HasSubstr("perm must be a permutation of the 2 dimensions, found [1,1]"));
  EXPECT_THAT(ErrorOf(RunOp("transpose", {k2x3}, {{"perm", Dims{0}}})), HasSubstr("permutation"));
}

TEST(MovementTest, TransposeTakesThePermutationAsSourceDimensions) {
  const Tensor x = Floats({2, 3, 1}, {1, 2, 3, 4, 5, 6});
  const auto result = RunOp("transpose", {x}, {{"perm", Dims{2, 0, 1}}});
  EXPECT_THAT(ShapeOf(result), ElementsAre(1, 2, 3));
  EXPECT_THAT(Values(result), ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST(MovementTest, Broadcast) {
  EXPECT_THAT(Values(RunOp("broadcast", {Floats({2, 1}, {1, 2})}, {{"shape", Dims{2, 2, 2}}})),
              ElementsAre(1, 1, 2, 2, 1, 1, 2, 2));
  EXPECT_THAT(ErrorOf(RunOp("broadcast", {k123}, {{"shape", Dims{1}}})),
              HasSubstr("does not broadcast to [1]"));
}

TEST(MovementTest, RelayoutKeepsTheLogicalTensor) {
  const Layout blocked{{}, {{0, 2}}};
  EXPECT_THAT(Values(RunOp("relayout", {k123}, {{"layout", blocked}})), ElementsAre(1, 2, 3));
  for (const Layout& wrong : {Layout{{0, 1}, {}}, Layout{{}, {{1, 2}}}, Layout{{}, {{0, 0}}}}) {
    EXPECT_FALSE(RunOp("relayout", {k123}, {{"layout", wrong}}).ok()) << wrong.ToString();
  }
}

TEST(MovementTest, Iota) {
  EXPECT_THAT(Values(RunOp("iota", {},
                           {{"shape", Dims{2, 3}}, {"axis", 1}, {"element", ElementType::kF32}})),
              ElementsAre(0, 1, 2, 0, 1, 2));
  const auto wrapped =
      RunOp("iota", {}, {{"shape", Dims{258}}, {"axis", 0}, {"element", ElementType::kU8}});
  EXPECT_EQ(Values(wrapped)[257], 1);
  EXPECT_THAT(
      ErrorOf(RunOp("iota", {}, {{"shape", Dims{}}, {"axis", 0}, {"element", ElementType::kF32}})),
      HasSubstr("axis must be at least 0 and below the rank 0, found 0"));
}

StatusOr<Tensor> Slice(const Tensor& x, Dims starts, Dims sizes, Dims strides) {
  return RunOp("slice", {x}, {{"starts", starts}, {"sizes", sizes}, {"strides", strides}});
}

TEST(MovementTest, SliceWithNegativeStrides) {
  EXPECT_THAT(Values(Slice(k2x3, {1, 2}, {2, 2}, {-1, -2})), ElementsAre(6, 4, 3, 1));
  EXPECT_THAT(ShapeOf(Slice(k2x3, {0, 0}, {2, 0}, {1, 1})), ElementsAre(2, 0));
}

TEST(MovementTest, SliceStaysInside) {
  EXPECT_THAT(ErrorOf(Slice(k123, {1}, {3}, {1})),
              HasSubstr("elements 1 to 3 are outside of a dimension of 3"));
  EXPECT_THAT(ErrorOf(Slice(k123, {1}, {3}, {-1})), HasSubstr("outside"));
  EXPECT_THAT(ErrorOf(Slice(k123, {0}, {1}, {0})), HasSubstr("strides must not be 0"));
  EXPECT_THAT(ErrorOf(Slice(k123, {0}, {-1}, {1})), HasSubstr("sizes must not be negative"));
  EXPECT_THAT(ErrorOf(Slice(k123, {0, 0}, {1}, {1})), HasSubstr("starts must have 1 values"));
  const int64_t huge = std::numeric_limits<int64_t>::max();
  EXPECT_THAT(ErrorOf(Slice(k123, {0}, {huge}, {huge})), HasSubstr("overflows"));
  EXPECT_THAT(ErrorOf(Slice(k123, {huge}, {2}, {1})), HasSubstr("overflows"));
}

TEST(MovementTest, Concat) {
  const Tensor empty = Floats({2, 0}, {});
  const Tensor column = Floats({2, 1}, {7, 8});
  const auto result = RunOp("concat", {k2x3, empty, column}, {{"axis", 1}});
  EXPECT_THAT(ShapeOf(result), ElementsAre(2, 4));
  EXPECT_THAT(Values(result), ElementsAre(1, 2, 3, 7, 4, 5, 6, 8));
  EXPECT_THAT(ErrorOf(RunOp("concat", {k2x3, column}, {{"axis", 0}})),
              HasSubstr("operands must be alike but for axis 0"));
  EXPECT_THAT(ErrorOf(RunOp("concat", {k2x3, k123}, {{"axis", 0}})), HasSubstr("same rank"));
  EXPECT_THAT(ErrorOf(RunOp("concat", {}, {{"axis", 0}})), HasSubstr("at least 1 operand"));
}

StatusOr<Tensor> Pad(const Tensor& x, int64_t low, int64_t high, const char* mode) {
  return RunOp("pad", {x},
               {{"low", Dims{low}}, {"high", Dims{high}}, {"mode", mode}, {"value", 9.0}});
}

TEST(MovementTest, PadModes) {
  EXPECT_THAT(Values(Pad(k123, 1, 2, "constant")), ElementsAre(9, 1, 2, 3, 9, 9));
  EXPECT_THAT(Values(Pad(k123, 2, 2, "reflect")), ElementsAre(3, 2, 1, 2, 3, 2, 1));
  EXPECT_THAT(Values(Pad(k123, 1, 2, "edge")), ElementsAre(1, 1, 2, 3, 3, 3));
  EXPECT_THAT(Values(Pad(k123, 2, 1, "wrap")), ElementsAre(2, 3, 1, 2, 3, 1));
}

TEST(MovementTest, PadRepeatsMoreThanOnce) {
  EXPECT_THAT(Values(Pad(k123, 5, 0, "reflect")), ElementsAre(2, 1, 2, 3, 2, 1, 2, 3));
  EXPECT_THAT(Values(Pad(k123, 0, 4, "wrap")), ElementsAre(1, 2, 3, 1, 2, 3, 1));
  EXPECT_THAT(Values(Pad(Floats({1}, {5}), 2, 1, "reflect")), ElementsAre(5, 5, 5, 5));
}

TEST(MovementTest, PadCropsWhereNegative) {
  EXPECT_THAT(Values(Pad(k123, -1, 1, "constant")), ElementsAre(2, 3, 9));
  EXPECT_THAT(Values(Pad(k123, -1, -1, "edge")), ElementsAre(2));
  EXPECT_THAT(ErrorOf(Pad(k123, -2, -2, "constant")), HasSubstr("negative extent -1"));
}

TEST(MovementTest, PadOfAnEmptyDimension) {
  EXPECT_THAT(Values(Pad(Floats({0}, {}), 1, 1, "constant")), ElementsAre(9, 9));
  EXPECT_THAT(ErrorOf(Pad(Floats({0}, {}), 1, 1, "edge")), HasSubstr("nothing to repeat"));
  const int64_t lowest = std::numeric_limits<int64_t>::min();
  EXPECT_THAT(ErrorOf(Pad(k123, lowest, 1, "constant")), HasSubstr("low must be from"));
  EXPECT_THAT(ErrorOf(Pad(k123, 1, 1, "symmetric")), HasSubstr("mode must be one of"));
}

TEST(MovementTest, PadValueIsCastToTheElementType) {
  EXPECT_THAT(Values(RunOp("pad", {Ints({1}, {1}, ElementType::kU8)},
                           {{"low", Dims{1}}, {"high", Dims{0}}, {"value", -4.5}})),
              ElementsAre(0, 1));
}

}  // namespace
}  // namespace kiln
