// What training changes in a function, and what the functions of training look like.
#include "passes/training/train_step.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "ir/eval/interpreter.h"
#include "ir/graph/parser.h"
#include "ir/graph/verifier.h"
#include "tests/support/round_trip.h"

namespace kiln {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::unique_ptr<Module> Parse(const std::string& text) {
  auto module = ParseModule(text);
  EXPECT_TRUE(module.ok()) << Message(module.status());
  return module.ok() ? *std::move(module) : nullptr;
}

Array Floats(Shape shape, std::vector<double> values) {
  Array array(ElementType::kF32, std::move(shape));
  array.floats = std::move(values);
  return array;
}

Array Ints(Shape shape, std::vector<int64_t> values) {
  Array array(ElementType::kI64, std::move(shape));
  array.ints = std::move(values);
  return array;
}

// The outputs and updates of a function by name; "update NAME" for the latter.
std::map<std::string, Array> RunFunction(const Module& module, const char* name,
                                         const std::vector<Array>& inputs) {
  const Graph& graph = *module.FindFunction(name);
  const auto values = Interpret(graph, inputs);
  EXPECT_TRUE(values.ok()) << values.status();
  std::map<std::string, Array> results;
  for (size_t i = 0; values.ok() && i < values->size(); ++i) {
    const Graph::Output& output = graph.outputs()[i];
    results[(output.update ? "update " : "") + output.name] = (*values)[i];
  }
  return results;
}

constexpr char kNormalized[] = R"(module "m" {
  parameter "bias" : f32[1] = dense([0.5])
  parameter "mean" : f32[1] = dense([2.0]) frozen
  parameter "scale" : f32[1] = dense([2.0])
  parameter "variance" : f32[1] = dense([4.0]) frozen
  func @forward(%x: f32[2,1,2]) -> ("y": %y) {
    %scale = parameter() {name="scale"} : f32[1]
    %bias = parameter() {name="bias"} : f32[1]
    %mean = parameter() {name="mean"} : f32[1]
    %variance = parameter() {name="variance"} : f32[1]
    %y = batch_norm(%x, %scale, %bias, %mean, %variance) {epsilon=0.0} : f32[2,1,2]
  }
})";

// Of 1, 2, 3, 6: mean 3, variance 3.5, unbiased 14/3.
TEST(TrainingMode, NormalizesByTheBatchAndFollowsItsStatistics) {
  const auto module = Parse(kNormalized);
  ASSERT_TRUE(AddLoss(*module, {{.kind = "mean_squared_error"}}).ok());
  TrainingOptions options;
  options.solver.momentum = 0;
  options.mode.statistics_momentum = 0.75;
  Status status = AddTrainStep(*module, options);
  ASSERT_TRUE(status.ok()) << status;
  status = CheckTextRoundTrip(*module);
  ASSERT_TRUE(status.ok()) << status;
  const Array x = Floats({2, 1, 2}, {1, 2, 3, 6}), target = Floats({2, 1, 2}, {0, 0, 0, 0});
  auto results = RunFunction(*module, kTrainStep, {x, target, Floats({}, {0.5})});
  // y = 2 (x - 3) / sqrt(3.5) + 0.5: its mean square is 4 + 0.25.
  EXPECT_NEAR(results["loss"].floats[0], 4.25, 1e-6);
  EXPECT_NEAR(results["update mean"].floats[0], 0.75 * 2 + 0.25 * 3, 1e-6);
  EXPECT_NEAR(results["update variance"].floats[0], 0.75 * 4 + 0.25 * 14 / 3, 1e-6);
  EXPECT_NEAR(results["update bias"].floats[0], 0.5 - 0.5 * 2 * 0.5, 1e-6);
  EXPECT_NEAR(results["update scale"].floats[0], 2 - 0.5 * 2 * 2, 1e-6);
  // The loss by itself still goes by the running statistics.
  auto inference = RunFunction(*module, kLoss, {x, target});
  double expected = 0;
  for (const double value : x.floats) expected += std::pow((value - 2) + 0.5, 2) / 4;
  EXPECT_NEAR(inference["loss"].floats[0], expected, 1e-6);
}

TEST(TrainingMode, CaffesStatisticsAreTheBatchsOwnAtFirst) {
  const auto module = Parse(kNormalized);
  ASSERT_TRUE(AddLoss(*module, {{.kind = "mean_squared_error"}}).ok());
  TrainingOptions options;
  options.mode = {.statistics_momentum = 0.999, .weigh_by_steps = true};
  ASSERT_TRUE(AddTrainStep(*module, options).ok());
  const std::vector<Array> inputs = {Floats({2, 1, 2}, {1, 2, 3, 6}),
                                     Floats({2, 1, 2}, {0, 0, 0, 0}), Floats({}, {0.5})};
  auto first = RunFunction(*module, kTrainStep, inputs);
  EXPECT_NEAR(first["update mean"].floats[0], 3, 1e-6);
  EXPECT_NEAR(first["update statistics_weight"].floats[0], 1, 1e-6);
  for (const char* const name : {"mean", "statistics_weight"}) {
    module->SetParameter({name, first[StrCat("update ", name)].ToTensor(), false});
  }
  auto second =
      RunFunction(*module, kTrainStep, {Floats({2, 1, 2}, {5, 5, 5, 5}), inputs[1], inputs[2]});
  EXPECT_NEAR(second["update mean"].floats[0], (0.999 * 3 + 5) / 1.999, 1e-6);
}

TEST(TrainingMode, DropoutIsAFunctionOfSeedAndStep) {
  const auto module = Parse(R"(module "m" {
    parameter "w" : f32[1] = dense([1.0])
    func @forward(%x: f32[400]) -> ("y": %y) {
      %w = parameter() {name="w"} : f32[1]
      %z = mul(%x, %w) : f32[400]
      %y = dropout(%z) {ratio=0.25} : f32[400]
    }
  })");
  ASSERT_TRUE(AddLoss(*module, {{.kind = "l1_loss"}}).ok());
  ASSERT_TRUE(AddTrainStep(*module, {}).ok());
  const Graph& step_function = *module->FindFunction(kTrainStep);
  std::vector<std::string> names;
  for (const Op* const input : step_function.inputs()) names.push_back(input->sources()[0]);
  EXPECT_THAT(names, ElementsAre("x", "targets", "seed", "step", "learning_rate"));
  const auto loss = [&](int64_t seed, int64_t step) {
    auto results = RunFunction(
        *module, kTrainStep,
        {Floats({400}, std::vector<double>(400, 1)), Floats({400}, std::vector<double>(400, 0)),
         Ints({}, {seed}), Ints({}, {step}), Floats({}, {0.1})});
    return results["loss"].floats[0];  // (how many are kept) / 400 / 0.75
  };
  EXPECT_NEAR(loss(1, 0), 1, 0.1);
  EXPECT_EQ(loss(1, 0), loss(1, 0));
  EXPECT_NE(loss(1, 0), loss(1, 1));
  EXPECT_NE(loss(1, 0), loss(2, 0));
  auto inference = RunFunction(
      *module, kLoss,
      {Floats({400}, std::vector<double>(400, 1)), Floats({400}, std::vector<double>(400, 0))});
  EXPECT_NEAR(inference["loss"].floats[0], 1, 1e-6);
}

constexpr char kTwoHeads[] = R"(module "m" {
  parameter "w" : f32[3,3] = dense([1.0,0.0,0.0,0.0,1.0,0.0,0.0,0.0,1.0])
  func @forward(%x: f32[2,3]) -> ("main": %p, "side": %s) {
    %w = parameter() {name="w"} : f32[3,3]
    %y = matmul(%x, %w) : f32[2,3]
    %p = softmax(%y) {axis=1} : f32[2,3]
    %s = reshape(%y) {shape=[2,3,1,1]} : f32[2,3,1,1]
  }
})";

TEST(AddLoss, SumsWeightedTermsAndLooksThroughSoftmax) {
  const auto module = Parse(kTwoHeads);
  const Status status = AddLoss(*module, {{.scores = "main"}, {.scores = "side", .weight = 0.3}});
  ASSERT_TRUE(status.ok()) << status;
  const Graph& loss = *module->FindFunction(kLoss);
  EXPECT_EQ(loss.outputs()[0].name, "loss");
  EXPECT_EQ(loss.outputs().size(), 3u);
  auto results =
      RunFunction(*module, kLoss, {Floats({2, 3}, {1, 2, 3, 0, 0, 0}), Ints({2}, {2, 0})});
  const double first = std::log(std::exp(-2) + std::exp(-1) + 1), second = std::log(3);
  EXPECT_NEAR(results["loss"].floats[0], 1.3 * (first + second) / 2, 1e-6);
}

TEST(AddLoss, NamesWhatIsMissing) {
  const auto message = [](const std::vector<LossTerm>& terms) {
    return Message(AddLoss(*Parse(kTwoHeads), terms));
  };
  EXPECT_THAT(message({{.kind = "relu"}}), HasSubstr("there is no loss 'relu'"));
  EXPECT_THAT(message({{.scores = "other"}}), HasSubstr("no output 'other'"));
  EXPECT_THAT(message({}), HasSubstr("at least one term"));
  EXPECT_THAT(message({{.targets = "x"}}), HasSubstr("input 'x' must be i64[2]"));
}

TEST(AddTrainStep, RefusesWhatMakesNoSense) {
  const auto message = [](const SolverOptions& solver) {
    const auto module = Parse(kTwoHeads);
    EXPECT_TRUE(AddLoss(*module, {{}}).ok());
    return Message(AddTrainStep(*module, {.solver = solver, .mode = {}}));
  };
  EXPECT_EQ(message({}), "");
  EXPECT_THAT(message({.momentum = 1}), HasSubstr("momentum must be from 0 to below 1"));
  EXPECT_THAT(message({.weight_decay = -1}), HasSubstr("weight_decay must be at least 0"));
  EXPECT_THAT(message({.iter_size = 0}), HasSubstr("iter_size must be at least 1"));
  EXPECT_THAT(Message(AddTrainStep(*Parse(kTwoHeads), {})), HasSubstr("no function @loss"));
}

TEST(AddTrainStep, StateBecomesParameters) {
  const auto module = Parse(kTwoHeads);
  ASSERT_TRUE(AddLoss(*module, {{}}).ok());
  ASSERT_TRUE(AddTrainStep(*module, {.solver = {.kind = SolverKind::kAdam}, .mode = {}}).ok());
  std::vector<std::string> names;
  for (const auto& [name, parameter] : module->parameters()) names.push_back(name);
  EXPECT_THAT(names, ElementsAre("w", "w/mean", "w/square"));
  EXPECT_FALSE(module->FindParameter("w/mean")->trainable);
  EXPECT_TRUE(Verify(*module).ok());
}

}  // namespace
}  // namespace kiln
