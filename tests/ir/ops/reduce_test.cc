// Reductions, argmax, cumsum and top_k on hand-made values.
#include <limits>

#include "tests/ir/ops/op_test_util.h"

namespace kiln {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::IsNan;
using Dims = std::vector<int64_t>;

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

const Tensor k2x3 = Floats({2, 3}, {1, 5, 3, 4, 2, 6});

StatusOr<Tensor> Reduced(std::string_view kind, const Tensor& x, Dims axes, bool keep_dims = true) {
  return RunOp(kind, {x}, {{"axes", std::move(axes)}, {"keep_dims", keep_dims}});
}

TEST(ReduceTest, EachKind) {
  EXPECT_THAT(Values(Reduced("reduce_sum", k2x3, {1})), ElementsAre(9, 12));
  EXPECT_THAT(Values(Reduced("reduce_mean", k2x3, {1})), ElementsAre(3, 4));
  EXPECT_THAT(Values(Reduced("reduce_max", k2x3, {0})), ElementsAre(4, 5, 6));
  EXPECT_THAT(Values(Reduced("reduce_min", k2x3, {0})), ElementsAre(1, 2, 3));
  EXPECT_THAT(Values(Reduced("reduce_prod", k2x3, {0, 1})), ElementsAre(720));
}

TEST(ReduceTest, Shapes) {
  EXPECT_THAT(ShapeOf(Reduced("reduce_sum", k2x3, {0})), ElementsAre(1, 3));
  EXPECT_THAT(ShapeOf(Reduced("reduce_sum", k2x3, {0}, false)), ElementsAre(3));
  EXPECT_THAT(ShapeOf(Reduced("reduce_sum", k2x3, {0, 1}, false)), IsEmpty());
  EXPECT_THAT(Values(Reduced("reduce_max", k2x3, {})), ElementsAre(1, 5, 3, 4, 2, 6));
}

TEST(ReduceTest, OverNothing) {
  const Tensor none = Floats({2, 0}, {});
  EXPECT_THAT(Values(Reduced("reduce_sum", none, {1})), ElementsAre(0, 0));
  EXPECT_THAT(Values(Reduced("reduce_prod", none, {1})), ElementsAre(1, 1));
  EXPECT_THAT(Values(Reduced("reduce_max", none, {1})), ElementsAre(-kInf, -kInf));
  EXPECT_THAT(Values(Reduced("reduce_min", none, {1})), ElementsAre(kInf, kInf));
  EXPECT_THAT(Values(Reduced("reduce_mean", none, {1})), ElementsAre(IsNan(), IsNan()));
  EXPECT_THAT(Values(Reduced("reduce_max", Ints({1, 0}, {}, ElementType::kI8), {1})),
              ElementsAre(-128));
}

TEST(ReduceTest, NanPassesThrough) {
  const Tensor x = Floats({3}, {1, kNan, 3});
  EXPECT_THAT(Values(Reduced("reduce_max", x, {0})), ElementsAre(IsNan()));
  EXPECT_THAT(Values(Reduced("reduce_min", x, {0})), ElementsAre(IsNan()));
}

TEST(ReduceTest, Integers) {
  EXPECT_THAT(Values(Reduced("reduce_sum", Ints({2}, {200, 100}, ElementType::kU8), {0})),
              ElementsAre(44));
  EXPECT_THAT(Values(Reduced("reduce_mean", Ints({2}, {-3, 0}), {0})), ElementsAre(-1));
  // 2^64 - 1 is the largest u64.
  EXPECT_THAT(Values(Reduced("reduce_min", Ints({2}, {-1, 7}, ElementType::kU64), {0})),
              ElementsAre(7));
}

TEST(ReduceTest, RefusesBadAxes) {
  EXPECT_THAT(ErrorOf(Reduced("reduce_sum", k2x3, {2})), HasSubstr("below the rank 2, found 2"));
  EXPECT_THAT(ErrorOf(Reduced("reduce_sum", k2x3, {-1})), HasSubstr("axes must be at least 0"));
  EXPECT_THAT(ErrorOf(Reduced("reduce_sum", k2x3, {1, 0})), HasSubstr("strictly increasing"));
  EXPECT_THAT(ErrorOf(Reduced("reduce_sum", Bools({2}, {1, 0}), {0})), HasSubstr("a numeric"));
}

TEST(ArgReduceTest, FirstAndLastOfEquals) {
  const Tensor x = Floats({4}, {2, 7, 7, 2});
  EXPECT_THAT(Values(RunOp("argmax", {x}, {{"axis", 0}})), ElementsAre(1));
  EXPECT_THAT(Values(RunOp("argmax", {x}, {{"axis", 0}, {"select_last", true}})), ElementsAre(2));
  EXPECT_THAT(Values(RunOp("argmin", {x}, {{"axis", 0}})), ElementsAre(0));
  EXPECT_THAT(Values(RunOp("argmin", {x}, {{"axis", 0}, {"select_last", true}})), ElementsAre(3));
}

TEST(ArgReduceTest, Shapes) {
  EXPECT_THAT(ShapeOf(RunOp("argmax", {k2x3}, {{"axis", 0}})), ElementsAre(1, 3));
  const auto dropped = RunOp("argmax", {k2x3}, {{"axis", 1}, {"keep_dims", false}});
  EXPECT_THAT(ShapeOf(dropped), ElementsAre(2));
  EXPECT_THAT(Values(dropped), ElementsAre(1, 2));
  EXPECT_EQ(dropped->type().element, ElementType::kI64);
}

TEST(ArgReduceTest, NanCountsAsTheExtreme) {
  const Tensor x = Floats({4}, {9, kNan, kInf, kNan});
  EXPECT_THAT(Values(RunOp("argmax", {x}, {{"axis", 0}})), ElementsAre(1));
  EXPECT_THAT(Values(RunOp("argmin", {x}, {{"axis", 0}, {"select_last", true}})), ElementsAre(3));
}

TEST(ArgReduceTest, RefusesAnEmptyAxis) {
  EXPECT_THAT(ErrorOf(RunOp("argmax", {Floats({2, 0}, {})}, {{"axis", 1}})),
              HasSubstr("the axis must not be empty"));
}

StatusOr<Tensor> Cumsum(bool exclusive, bool reverse) {
  return RunOp("cumsum", {Floats({3}, {1, 2, 3})},
               {{"axis", 0}, {"exclusive", exclusive}, {"reverse", reverse}});
}

TEST(CumsumTest, Variants) {
  EXPECT_THAT(Values(Cumsum(false, false)), ElementsAre(1, 3, 6));
  EXPECT_THAT(Values(Cumsum(true, false)), ElementsAre(0, 1, 3));
  EXPECT_THAT(Values(Cumsum(false, true)), ElementsAre(6, 5, 3));
  EXPECT_THAT(Values(Cumsum(true, true)), ElementsAre(5, 3, 0));
  EXPECT_THAT(Values(RunOp("cumsum", {k2x3}, {{"axis", 0}})), ElementsAre(1, 5, 3, 5, 7, 9));
}

struct TopK {
  std::vector<double> values;
  std::vector<double> indices;
};

TopK FindTopK(const Tensor& x, int64_t axis, int64_t k, bool largest = true) {
  const AttributeMap attributes = {{"axis", axis}, {"k", k}, {"largest", largest}};
  return {Values(RunOp("top_k_values", {x}, attributes)),
          Values(RunOp("top_k_indices", {x}, attributes))};
}

TEST(TopKTest, TiesGoToTheLowerPosition) {
  const Tensor x = Floats({5}, {3, 1, 3, 2, 1});
  const TopK largest = FindTopK(x, 0, 3);
  EXPECT_THAT(largest.values, ElementsAre(3, 3, 2));
  EXPECT_THAT(largest.indices, ElementsAre(0, 2, 3));
  const TopK smallest = FindTopK(x, 0, 3, false);
  EXPECT_THAT(smallest.values, ElementsAre(1, 1, 2));
  EXPECT_THAT(smallest.indices, ElementsAre(1, 4, 3));
}

TEST(TopKTest, OtherAxis) {
  const TopK top = FindTopK(k2x3, 0, 1);
  EXPECT_THAT(top.values, ElementsAre(4, 5, 6));
  EXPECT_THAT(top.indices, ElementsAre(1, 0, 1));
}

TEST(TopKTest, NanIsTheLargest) {
  const Tensor x = Floats({3}, {1, kNan, kInf});
  EXPECT_THAT(FindTopK(x, 0, 3).indices, ElementsAre(1, 2, 0));
  EXPECT_THAT(FindTopK(x, 0, 3, false).indices, ElementsAre(0, 2, 1));
}

TEST(TopKTest, RefusesMoreThanThereAre) {
  EXPECT_THAT(ErrorOf(RunOp("top_k_values", {k2x3}, {{"axis", 1}, {"k", 4}})),
              HasSubstr("k must be from 0 to 3, found 4"));
}

}  // namespace
}  // namespace kiln
