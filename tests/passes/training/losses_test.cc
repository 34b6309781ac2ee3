// Losses against their formulas in Caffe's documentation, written out in doubles.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "ir/eval/interpreter.h"
#include "ir/graph/builder.h"

namespace kiln {
namespace {

// The value of `kind`(x, targets), through its decomposition.
double Loss(const char* kind, const Shape& shape, const std::vector<double>& x,
            const Tensor& targets, AttributeMap attributes = {}) {
  Module module;
  Graph* const graph = module.AddFunction("f");
  Builder b(graph);
  const auto scores = b.Constant(Tensor::FromDoubles(ElementType::kF64, shape, x));
  const auto loss = b.Make(kind, {scores, b.Constant(targets)}, std::move(attributes));
  EXPECT_TRUE(loss.ok()) << loss.status();
  if (!loss.ok()) return NAN;
  graph->AddOutput("loss", *loss);
  const auto values = Interpret(*graph, {});
  EXPECT_TRUE(values.ok()) << values.status();
  return values.ok() ? (*values)[0].floats[0] : NAN;
}

Tensor Labels(const std::vector<int64_t>& values) {
  return Tensor::FromInts(ElementType::kI64, {static_cast<int64_t>(values.size())}, values);
}

Tensor Targets(const Shape& shape, const std::vector<double>& values) {
  return Tensor::FromDoubles(ElementType::kF64, shape, values);
}

const std::vector<double> kScores = {1, 2, 3, -1, 0, 0.5, 4, -4, 0.25};

// -log of the softmax of row `row` of kScores at `label`.
double Surprise(int row, int label) {
  double sum = 0;
  for (int c = 0; c < 3; ++c) sum += std::exp(kScores[row * 3 + c]);
  return std::log(sum) - kScores[row * 3 + label];
}

TEST(Losses, SoftmaxCrossEntropyNormalisesAsCaffe) {
  const double first = Surprise(0, 2), second = Surprise(1, 0), third = Surprise(2, 1);
  const auto loss = [](std::vector<int64_t> labels, const char* normalization) {
    return Loss("softmax_cross_entropy", {3, 3}, kScores, Labels(labels),
                {{"normalization", normalization}, {"ignore_labels", std::vector<int64_t>{255}}});
  };
  EXPECT_NEAR(loss({2, 0, 1}, "valid"), (first + second + third) / 3, 1e-12);
  EXPECT_NEAR(loss({2, 255, 1}, "valid"), (first + third) / 2, 1e-12);
  EXPECT_NEAR(loss({2, 255, 1}, "full"), (first + third) / 3, 1e-12);
  EXPECT_NEAR(loss({2, 255, 1}, "batch_size"), (first + third) / 3, 1e-12);
  EXPECT_NEAR(loss({2, 255, 1}, "none"), first + third, 1e-12);
  EXPECT_NEAR(loss({255, 255, 255}, "valid"), 0, 1e-12);  // divided by 1, not by 0
}

TEST(Losses, SoftmaxCrossEntropyCountsPositionsByTheAxis) {
  // [1, 3, 3]: the classes run down the columns.
  const Tensor labels = Tensor::FromInts(ElementType::kI64, {1, 3}, {0, 1, 2});
  double sum = 0;
  for (int column = 0; column < 3; ++column) {
    double exps = 0;
    for (int c = 0; c < 3; ++c) exps += std::exp(kScores[c * 3 + column]);
    sum += std::log(exps) - kScores[column * 3 + column];
  }
  EXPECT_NEAR(Loss("softmax_cross_entropy", {1, 3, 3}, kScores, labels), sum / 3, 1e-12);
  EXPECT_NEAR(
      Loss("softmax_cross_entropy", {1, 3, 3}, kScores, labels, {{"normalization", "batch_size"}}),
      sum, 1e-12);
}

TEST(Losses, SigmoidCrossEntropyIsStable) {
  const std::vector<double> x = {800, -800, 0.5, -2}, t = {1, 0, 0.25, 1};
  const auto term = [](double x, double t) {
    const double p = 1 / (1 + std::exp(-x));
    return -t * std::log(p) - (1 - t) * std::log(1 - p);
  };
  EXPECT_NEAR(Loss("sigmoid_cross_entropy", {2, 2}, x, Targets({2, 2}, t)),
              (term(0.5, 0.25) + term(-2, 1)) / 2, 1e-12);
}

TEST(Losses, OfDifferences) {
  const std::vector<double> x = {1, 2, 3, 4}, t = {0, 2.5, 1, 4.25};
  const Tensor targets = Targets({2, 2}, t);
  const double squares = 1 + 0.25 + 4 + 0.0625;
  EXPECT_NEAR(Loss("mean_squared_error", {2, 2}, x, targets), squares / 4, 1e-12);
  EXPECT_NEAR(Loss("euclidean_loss", {2, 2}, x, targets), squares / 4, 1e-12);  // 1/2N, N = 2
  EXPECT_NEAR(Loss("l1_loss", {2, 2}, x, targets), (1 + 0.5 + 2 + 0.25) / 4, 1e-12);
  EXPECT_NEAR(Loss("huber_loss", {2, 2}, x, targets, {{"delta", 0.75}}),
              (0.75 * (1 - 0.375) + 0.125 + 0.75 * (2 - 0.375) + 0.03125) / 4, 1e-12);
}

TEST(Losses, HingeFlipsTheSignOfTheTarget) {
  double sum = 0, squares = 0;
  const std::vector<int> labels = {2, 0, 1};
  for (int row = 0; row < 3; ++row) {
    for (int c = 0; c < 3; ++c) {
      const double x = kScores[row * 3 + c];
      const double margin = std::max(0.0, 1 + (labels[row] == c ? -x : x));
      sum += margin;
      squares += margin * margin;
    }
  }
  EXPECT_NEAR(Loss("hinge_loss", {3, 3}, kScores, Labels({2, 0, 1})), sum / 3, 1e-12);
  EXPECT_NEAR(Loss("hinge_loss", {3, 3}, kScores, Labels({2, 0, 1}), {{"norm", 2}}), squares / 3,
              1e-12);
}

}  // namespace
}  // namespace kiln
