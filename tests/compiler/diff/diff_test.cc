#include "compiler/diff/diff.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiler/import/onnx/onnx_import.h"
#include "tests/compiler/import/onnx/model_builder.h"

namespace kiln {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Tensor F32(Shape shape, const std::vector<double>& values) {
  return Tensor::FromDoubles(ElementType::kF32, std::move(shape), values);
}

CanonicalNetwork Canonical(ModelBuilder b) {
  auto module = ImportOnnx(b.model(), "", {});
  EXPECT_TRUE(module.ok()) << module.status();
  auto network = CanonicalNetwork::Create(*std::move(module));
  EXPECT_TRUE(network.ok()) << network.status();
  return *std::move(network);
}

std::vector<std::string> Lines(const ModelBuilder& a, const ModelBuilder& b) {
  std::vector<std::string> lines;
  for (const Difference& difference : Differences(Canonical(a), Canonical(b))) {
    lines.push_back(ToString(difference));
  }
  return lines;
}

/// y = relu(x W + c), W [2, 3].
ModelBuilder Dense(const std::vector<double>& weights = {1, 2, 3, 4, 5, 6}) {
  ModelBuilder b;
  b.Input("x", {1, 2}).Output("y");
  b.Initializer("W", F32({2, 3}, weights)).Initializer("c", F32({3}, {7, 8, 9}));
  b.Node("MatMul", {"x", "W"}, {"p"}).Node("Add", {"p", "c"}, {"s"}).Node("Relu", {"s"}, {"y"});
  return b;
}

TEST(Diff, NamesAndSpellingsDoNotCount) {
  ModelBuilder b;
  b.Input("data", {1, 2}).Output("prob");
  b.Initializer("w", F32({3, 2}, {1, 4, 2, 5, 3, 6})).Initializer("bias", F32({1, 3}, {7, 8, 9}));
  b.Node("Gemm", {"data", "w"}, {"product"}, {OnnxInt("transB", 1)});
  b.Node("Identity", {"product"}, {"same"});
  b.Node("Add", {"bias", "same"}, {"sum"}).Node("Relu", {"sum"}, {"prob"});
  EXPECT_THAT(Lines(Dense(), b), IsEmpty());
  EXPECT_EQ(Canonical(Dense()).hash(), Canonical(b).hash());
}

TEST(Diff, TheOrderOfInputsInTheFileDoesNotCount) {
  ModelBuilder a, b;
  a.Input("x", {1, 2})
      .Input("y", {1, 3})
      .Output("z")
      .Node("Concat", {"x", "y"}, {"z"}, {OnnxInt("axis", 1)});
  b.Input("y", {1, 3})
      .Input("x", {1, 2})
      .Output("z")
      .Node("Concat", {"x", "y"}, {"z"}, {OnnxInt("axis", 1)});
  EXPECT_THAT(Lines(a, b), IsEmpty());
}

TEST(Diff, OtherWeights) {
  const CanonicalNetwork a = Canonical(Dense()), b = Canonical(Dense({1, 2, 3, 4, 5, 6.5}));
  EXPECT_NE(a.hash(), b.hash());
  EXPECT_EQ(a.structure(), b.structure());
  EXPECT_THAT(
      Lines(Dense(), Dense({1, 2, 3, 4, 5, 6.5})),
      ElementsAre("! matmul 'p': weights f32[2,3] differ in 1 of 6 elements, by up to 0.5"));
}

TEST(Diff, AnOpMore) {
  ModelBuilder b = Dense();
  b.graph().mutable_node(2)->set_output(0, "r");
  b.Node("Tanh", {"r"}, {"y"});
  EXPECT_THAT(Lines(Dense(), b),
              ElementsAre("+ tanh 'y': f32[1,3]", "! output 0: is given by 'y' and 'y'"));
  EXPECT_THAT(Lines(b, Dense()),
              ElementsAre("- tanh 'y': f32[1,3]", "! output 0: is given by 'y' and 'y'"));
}

ModelBuilder Conv(int64_t stride) {
  ModelBuilder b;
  b.Input("x", {1, 1, 5, 5}).Output("y").Initializer("w", F32({1, 1, 1, 1}, {2}));
  b.Node("Conv", {"x", "w"}, {"y"}, {OnnxInts("strides", {stride, stride})});
  return b;
}

TEST(Diff, OtherAttributes) {
  EXPECT_THAT(Lines(Conv(1), Conv(2)),
              ElementsAre("! output 0: is f32[1,1,5,5] and f32[1,1,3,3]",
                          "! conv 'y': attribute 'strides' is [1,1] and [2,2]"));
}

TEST(Diff, OperandsThatAreExchanged) {
  ModelBuilder a, b;
  a.Input("x", {2}).Output("y").Node("Relu", {"x"}, {"r"}).Node("Sub", {"x", "r"}, {"y"});
  b.Input("x", {2}).Output("y").Node("Relu", {"x"}, {"r"}).Node("Sub", {"r", "x"}, {"y"});
  EXPECT_THAT(Lines(a, b), testing::Not(IsEmpty()));
  a.graph().mutable_node(1)->set_op_type("Add");
  b.graph().mutable_node(1)->set_op_type("Add");
  EXPECT_THAT(Lines(a, b), IsEmpty());
}

TEST(Diff, OutputsThatAreKnownAreLeftOut) {
  ModelBuilder b = Dense();
  b.Output("shape").Node("Shape", {"p"}, {"shape"});
  EXPECT_THAT(Lines(Dense(), b), IsEmpty());
}

}  // namespace
}  // namespace kiln
