// Softmax and the normalisations: hand-made values, and those of the ONNX backend tests.
#include <limits>

#include "ir/eval/interpreter.h"
#include "tests/ir/ops/op_test_util.h"

namespace kiln {
namespace {

using testing::DoubleEq;
using testing::DoubleNear;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsNan;

constexpr double kInf = std::numeric_limits<double>::infinity();

/// A composite by its decomposition.
StatusOr<Tensor> RunComposite(std::string_view kind, const std::vector<Tensor>& operands,
                              AttributeMap attributes = {}) {
  Module module;
  Graph* const graph = module.AddFunction("test");
  Builder builder(graph);
  std::vector<StatusOr<Op*>> values;
  for (const Tensor& tensor : operands) values.push_back(builder.Constant(tensor));
  KILN_ASSIGN_OR_RETURN(Op* const op, builder.Make(kind, values, std::move(attributes)));
  graph->AddOutput("y", op);
  KILN_ASSIGN_OR_RETURN(const std::vector<Array> outputs, Interpret(*graph, {}));
  return outputs[0].ToTensor();
}

TEST(SoftmaxTest, Examples) {
  const Tensor x = Floats({1, 3}, {-1, 0, 1});
  EXPECT_THAT(Values(RunOp("softmax", {x}, {{"axis", 1}})),
              ElementsAre(DoubleNear(0.09003057, 1e-8), DoubleNear(0.24472847, 1e-8),
                          DoubleNear(0.66524096, 1e-8)));
  EXPECT_THAT(Values(RunOp("log_softmax", {x}, {{"axis", 1}})),
              ElementsAre(DoubleNear(-2.40760596, 1e-8), DoubleNear(-1.40760596, 1e-8),
                          DoubleNear(-0.40760596, 1e-8)));
  EXPECT_THAT(Values(RunOp("softmax", {x}, {{"axis", 0}})), ElementsAre(1, 1, 1));
}

TEST(SoftmaxTest, LargeValuesDoNotOverflow) {
  const Tensor x = Floats({2}, {10000, 10000});
  EXPECT_THAT(Values(RunOp("softmax", {x}, {{"axis", 0}})), ElementsAre(0.5, 0.5));
  EXPECT_THAT(Values(RunOp("softmax", {Floats({2}, {-kInf, 0})}, {{"axis", 0}})),
              ElementsAre(0, 1));
  EXPECT_THAT(Values(RunOp("softmax", {Floats({2}, {-kInf, -kInf})}, {{"axis", 0}})),
              Each(IsNan()));
}

TEST(SoftmaxTest, RefusesBadAxes) {
  EXPECT_THAT(ErrorOf(RunOp("softmax", {Floats({2}, {1, 2})}, {{"axis", 1}})),
              HasSubstr("axis must be at least 0 and below the rank 1, found 1"));
  EXPECT_THAT(ErrorOf(RunOp("softmax", {Ints({2}, {1, 2})}, {{"axis", 0}})),
              HasSubstr("a float type"));
}

// Ops that are whole nests address plain memory.
TEST(SoftmaxTest, NeedsARowMajorOperand) {
  Module module;
  Builder builder(module.AddFunction("test"));
  const auto x = builder.Input("x", {ElementType::kF32, {2, 3}, {{1, 0}, {}}});
  for (const char* const kind : {"softmax", "layer_norm", "cumsum", "argmax"}) {
    EXPECT_THAT(Message(builder.Make(kind, {x}, {{"axis", 1}}).status()),
                HasSubstr("operands must be row-major"))
        << kind;
  }
}

// size 3 sums the channels c-1 .. c+1; with alpha 3 and beta 1 the divisor is 1 + their squares.
TEST(LrnTest, WindowsAreCutAtTheEnds) {
  EXPECT_THAT(Values(RunOp("lrn", {Floats({1, 3}, {1, 2, 3})},
                           {{"size", 3}, {"alpha", 3.0}, {"beta", 1.0}})),
              ElementsAre(DoubleEq(1.0 / 6), DoubleEq(2.0 / 15), DoubleEq(3.0 / 14)));
}

// An even size reaches one channel further up than down.
TEST(LrnTest, EvenSizes) {
  EXPECT_THAT(Values(RunOp("lrn", {Floats({1, 3}, {1, 2, 3})},
                           {{"size", 2}, {"alpha", 2.0}, {"beta", 1.0}})),
              ElementsAre(DoubleEq(1.0 / 6), DoubleEq(2.0 / 14), DoubleEq(3.0 / 10)));
}

TEST(LrnTest, RefusesBadAttributes) {
  const Tensor x = Floats({1, 3}, {1, 2, 3});
  EXPECT_THAT(ErrorOf(RunOp("lrn", {x}, {{"size", 0}})), HasSubstr("size must be from 1"));
  EXPECT_THAT(ErrorOf(RunOp("lrn", {x}, {{"size", 1}, {"beta", kInf}})),
              HasSubstr("beta must be finite"));
  EXPECT_THAT(ErrorOf(RunOp("lrn", {Floats({3}, {1, 2, 3})}, {{"size", 1}})),
              HasSubstr("rank 2 or more"));
}

TEST(LayerNormTest, NormalisesFromTheAxisOn) {
  const Tensor x = Floats({2, 2}, {1, 3, 10, 30});
  EXPECT_THAT(Values(RunOp("layer_norm", {x}, {{"axis", 1}, {"epsilon", 0.0}})),
              ElementsAre(-1, 1, -1, 1));
  // Mean 11, variance 131.5.
  EXPECT_THAT(Values(RunOp("layer_norm", {x}, {{"axis", 0}, {"epsilon", 0.0}}))[3],
              DoubleEq(19 / std::sqrt(131.5)));
}

TEST(LayerNormTest, EpsilonIsAddedToTheVariance) {
  EXPECT_THAT(Values(RunOp("layer_norm", {Floats({2}, {-1, 1})}, {{"axis", 0}, {"epsilon", 3.0}})),
              ElementsAre(-0.5, 0.5));
  EXPECT_THAT(
      ErrorOf(RunOp("layer_norm", {Floats({2}, {-1, 1})}, {{"axis", 0}, {"epsilon", -1.0}})),
      HasSubstr("epsilon must be finite and at least 0, found -1"));
}

TEST(InstanceNormTest, Example) {
  const Tensor x = Floats({1, 2, 1, 3}, {-1, 0, 1, 2, 3, 4});
  EXPECT_THAT(
      Values(RunComposite("instance_norm", {x})),
      ElementsAre(DoubleNear(-1.2247356, 1e-6), DoubleNear(0, 1e-6), DoubleNear(1.2247356, 1e-6),
                  DoubleNear(-1.2247356, 1e-6), DoubleNear(0, 1e-6), DoubleNear(1.2247356, 1e-6)));
}

TEST(BatchNormTest, UsesTheGivenStatistics) {
  const Tensor x = Floats({1, 2, 2}, {1, 2, 3, 4});
  const Tensor scale = Floats({2}, {1, 10}), bias = Floats({2}, {0, 5});
  const Tensor mean = Floats({2}, {1, 3}), variance = Floats({2}, {4, 0});
  EXPECT_THAT(
      Values(RunComposite("batch_norm", {x, scale, bias, mean, variance}, {{"epsilon", 0.25}})),
      ElementsAre(0, DoubleEq(1 / std::sqrt(4.25)), 5, 25));
}

TEST(BatchNormTest, RefusesStatisticsOfTheWrongLength) {
  const Tensor x = Floats({1, 2}, {1, 2}), one = Floats({1}, {1}), two = Floats({2}, {1, 1});
  EXPECT_THAT(ErrorOf(RunComposite("batch_norm", {x, two, two, one, two})),
              HasSubstr("mean must have one value for each of the 2 channels"));
}

}  // namespace
}  // namespace kiln
