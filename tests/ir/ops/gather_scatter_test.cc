#include "tests/ir/ops/op_test_util.h"

namespace kiln {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const Tensor k123 = Floats({3}, {1, 2, 3});
const Tensor k2x3 = Floats({2, 3}, {1, 2, 3, 4, 5, 6});

TEST(GatherTest, ReplacesTheAxisByTheShapeOfTheIndices) {
  const auto result = RunOp("gather", {k2x3, Ints({2, 1}, {2, 0})}, {{"axis", 1}});
  EXPECT_THAT(ShapeOf(result), ElementsAre(2, 2, 1));
  EXPECT_THAT(Values(result), ElementsAre(3, 1, 6, 4));
  EXPECT_THAT(ShapeOf(RunOp("gather", {k123, Ints({}, {1})})), ElementsAre());
}

TEST(GatherTest, NegativeIndicesCountFromTheEnd) {
  EXPECT_THAT(Values(RunOp("gather", {k123, Ints({2}, {-1, -3}, ElementType::kI32)})),
              ElementsAre(3, 1));
}

TEST(GatherTest, IndicesOutsideAreErrors) {
  EXPECT_THAT(ErrorOf(RunOp("gather", {k123, Ints({1}, {3})})),
              HasSubstr("gather: index 3 is outside of a dimension of 3"));
  EXPECT_THAT(ErrorOf(RunOp("gather", {k123, Ints({1}, {-4})})), HasSubstr("index -4"));
  EXPECT_THAT(ErrorOf(RunOp("gather", {Floats({0}, {}), Ints({1}, {0})})),
              HasSubstr("the data is empty"));
  EXPECT_THAT(ErrorOf(RunOp("gather", {k123, k123})),
              HasSubstr("indices must be of i32 or i64 type"));
}

TEST(GatherTest, GatherElements) {
  const auto result = RunOp("gather_elements", {k2x3, Ints({2, 2}, {0, -1, 1, 1})}, {{"axis", 1}});
  EXPECT_THAT(Values(result), ElementsAre(1, 3, 5, 5));
  EXPECT_THAT(Values(RunOp("gather_elements", {k2x3, Ints({1, 3}, {1, 0, 1})})),
              ElementsAre(4, 2, 6));
  EXPECT_THAT(ErrorOf(RunOp("gather_elements", {k2x3, Ints({1, 4}, {0, 0, 0, 0})})),
              HasSubstr("larger than the data in dimension 1"));
}

TEST(GatherTest, GatherNd) {
  EXPECT_THAT(Values(RunOp("gather_nd", {k2x3, Ints({2, 2}, {0, 0, 1, -1})})), ElementsAre(1, 6));
  const auto rows = RunOp("gather_nd", {k2x3, Ints({1, 1}, {1})});
  EXPECT_THAT(ShapeOf(rows), ElementsAre(1, 3));
  EXPECT_THAT(Values(rows), ElementsAre(4, 5, 6));
}

TEST(GatherTest, GatherNdWithBatchDimensions) {
  const auto result = RunOp("gather_nd", {k2x3, Ints({2, 1}, {2, 0})}, {{"batch_dims", 1}});
  EXPECT_THAT(Values(result), ElementsAre(3, 4));
  EXPECT_THAT(ErrorOf(RunOp("gather_nd", {k2x3, Ints({1, 1}, {0})}, {{"batch_dims", 1}})),
              HasSubstr("agree in the batch dimension 0"));
  EXPECT_THAT(ErrorOf(RunOp("gather_nd", {k2x3, Ints({1, 3}, {0, 0, 0})})),
              HasSubstr("the last extent of indices must be from 1 to 2, found 3"));
}

StatusOr<Tensor> Scatter(const Tensor& data, std::vector<int64_t> indices,
                         std::vector<double> updates, const char* reduction) {
  const auto n = static_cast<int64_t>(indices.size());
  return RunOp("scatter_elements", {data, Ints({n}, indices), Floats({n}, updates)},
               {{"reduction", reduction}});
}

TEST(ScatterTest, TheLastUpdateStays) {
  EXPECT_THAT(Values(Scatter(k123, {1, -1, 1}, {10, 20, 30}, "none")), ElementsAre(1, 30, 20));
}

TEST(ScatterTest, Reductions) {
  EXPECT_THAT(Values(Scatter(k123, {1, 1}, {10, 30}, "add")), ElementsAre(1, 42, 3));
  EXPECT_THAT(Values(Scatter(k123, {1, 1}, {10, 3}, "mul")), ElementsAre(1, 60, 3));
  EXPECT_THAT(Values(Scatter(k123, {0, 1}, {5, -5}, "max")), ElementsAre(5, 2, 3));
  EXPECT_THAT(Values(Scatter(k123, {0, 1}, {5, -5}, "min")), ElementsAre(1, -5, 3));
  EXPECT_THAT(ErrorOf(Scatter(k123, {0}, {1}, "sum")), HasSubstr("reduction must be one of"));
}

TEST(ScatterTest, PlacesOutsideAreErrors) {
  EXPECT_THAT(ErrorOf(Scatter(k123, {3}, {1}, "none")),
              HasSubstr("index 3 is outside of a dimension of 3"));
}

TEST(ScatterTest, ScatterElementsAlongAnAxis) {
  EXPECT_THAT(Values(RunOp("scatter_elements", {k2x3, Ints({2, 1}, {2, 0}), Floats({2, 1}, {7, 8})},
                           {{"axis", 1}})),
              ElementsAre(1, 2, 7, 8, 5, 6));
  EXPECT_THAT(ErrorOf(RunOp("scatter_elements", {k2x3, Ints({1, 1}, {0}), Floats({1}, {7})})),
              HasSubstr("indices and updates must have the same shape"));
}

TEST(ScatterTest, ScatterNd) {
  EXPECT_THAT(Values(RunOp("scatter_nd", {k2x3, Ints({1, 1}, {1}), Floats({1, 3}, {7, 8, 9})})),
              ElementsAre(1, 2, 3, 7, 8, 9));
  EXPECT_THAT(Values(RunOp("scatter_nd", {k2x3, Ints({2, 2}, {0, 1, 0, -2}), Floats({2}, {10, 20})},
                           {{"reduction", "add"}})),
              ElementsAre(1, 32, 3, 4, 5, 6));
  EXPECT_THAT(ErrorOf(RunOp("scatter_nd", {k2x3, Ints({1, 1}, {1}), Floats({1}, {7})})),
              HasSubstr("updates must have the shape [1,3]"));
}

}  // namespace
}  // namespace kiln
