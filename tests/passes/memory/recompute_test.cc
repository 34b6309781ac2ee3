#include "passes/memory/recompute.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "ir/eval/interpreter.h"
#include "ir/graph/builder.h"
#include "ir/graph/parser.h"
#include "ir/graph/printer.h"
#include "passes/numeric_check.h"
#include "passes/pass_manager.h"
#include "passes/pipeline.h"
#include "passes/training/train_step.h"
#include "tests/support/differentiated.h"
#include "tests/support/random_graph.h"

namespace kiln {
namespace {

using testing::HasSubstr;

constexpr int64_t kValueBytes = 16 * 16 * 4;

/// `layers` layers of tanh, and what trains them, as the pipeline leaves it.
std::unique_ptr<Module> Chain(int layers) {
  const TensorType type{ElementType::kF32, {16, 16}, {}};
  auto module = std::make_unique<Module>();
  Graph* const forward = module->AddFunction(kForward);
  Builder b(forward);
  StatusOr<Op*> x = b.Input("x", type);
  for (int i = 0; i < layers; ++i) {
    const std::string name = StrCat("w", i);
    module->SetParameter({name, Tensor::Splat(type, 0.1)});
    x = b.Make("tanh", {b.Make("matmul", {x, b.Parameter(name)})});
  }
  EXPECT_TRUE(x.ok()) << x.status();
  forward->AddOutput("y", *x);
  EXPECT_TRUE(AddLoss(*module, {{.kind = "mean_squared_error"}}).ok());
  EXPECT_TRUE(AddTrainStep(*module, {}).ok());
  module->EraseFunction(kForward);
  module->EraseFunction(kLoss);
  EXPECT_TRUE(PassManager(InferencePipeline()).Run(*module).ok());
  return module;
}

/// Runs the pass; how many rewrites.
int64_t Rewrite(Module& module, int64_t max_bytes, std::string* remark = nullptr) {
  PassManager passes({Recompute(max_bytes)}, {.verify_ir = true});
  const Status status = passes.Run(module);
  EXPECT_TRUE(status.ok()) << status;
  const auto& remarks = passes.context().remarks();
  if (remark != nullptr && !remarks.empty()) *remark = remarks[0].ToString();
  return passes.context().rewrites();
}

int Count(const Graph& graph, std::string_view kind) {
  return static_cast<int>(std::ranges::count_if(graph.ops(), [&](const auto& op) {
    bool found = op->Is(kind);
    if (op->body() != nullptr) found |= Count(*op->body(), kind) > 0;
    return found;
  }));
}

TEST(Recompute, KeepsAboutTheRootOfWhatThereIs) {
  const auto module = Chain(36);
  Graph& step = *module->FindFunction(kTrainStep);
  const int64_t kept = BytesKept(step);
  EXPECT_NEAR(static_cast<double>(kept), 36 * kValueBytes, 2 * kValueBytes);
  const auto before = InterpretSeeded(*module, 1);
  ASSERT_TRUE(before.ok()) << before.status();
  const int layers = Count(step, "tanh");
  std::string remark;
  EXPECT_EQ(Rewrite(*module, 13 * kValueBytes, &remark), 1);
  EXPECT_THAT(remark, HasSubstr("ops of"));
  EXPECT_LE(BytesKept(step), 13 * kValueBytes);
  EXPECT_GT(Count(step, "tanh"), layers);
  EXPECT_LE(Count(step, "tanh"), 2 * layers);
  const auto after = InterpretSeeded(*module, 1);
  ASSERT_TRUE(after.ok()) << after.status();
  for (const auto& [function, values] : *before) {
    EXPECT_EQ(Mismatch(values, after->at(function), {0, 0}), std::nullopt);
  }
  EXPECT_EQ(Rewrite(*module, 13 * kValueBytes), 0) << "a second run has nothing to do";
}

TEST(Recompute, LeavesAloneWhatFits) {
  const auto module = Chain(8);
  const std::string before = Print(*module);
  EXPECT_EQ(Rewrite(*module, BytesKept(*module->FindFunction(kTrainStep))), 0);
  EXPECT_EQ(Print(*module), before);
}

TEST(Recompute, LeavesAloneFunctionsWithoutALoss) {
  const auto module = ParseModule(R"(module "m" {
    func @forward(%x: f32[64]) -> ("z": %z) {
      %y = tanh(%x) : f32[64]
      %z = mul(%y, %y) : f32[64]
    }
  })");
  ASSERT_TRUE(module.ok()) << Message(module.status());
  EXPECT_EQ(BytesKept(*(*module)->FindFunction("forward")), 0);
  EXPECT_EQ(Rewrite(**module, 0), 0);
}

// A tighter limit never costs more than one more computation of each value.
TEST(Recompute, AsksForMoreTheLessThereIs) {
  int last = 0;
  for (const int limit : {30, 20, 14}) {
    const auto module = Chain(36);
    EXPECT_EQ(Rewrite(*module, limit * kValueBytes), 1);
    const Graph& step = *module->FindFunction(kTrainStep);
    EXPECT_LE(BytesKept(step), limit * kValueBytes);
    EXPECT_GE(Count(step, "tanh"), last) << limit;
    last = Count(step, "tanh");
  }
}

// Views, concats, several readers, values read on both sides: whatever random graphs hold.
TEST(Recompute, KeepsTheNumbersOfRandomGraphs) {
  const RandomGraphOptions options{.min_ops = 4, .max_ops = 16, .kinds = {}};
  int fired = 0;
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    const auto module = RandomModule(seed, options);
    if (!module.ok()) continue;
    auto differentiated = Differentiate(**module, seed);
    if (!differentiated.ok() || differentiated->wanted.empty()) continue;
    Module& changed = *differentiated->module;
    const auto inputs = RandomInputs(*changed.functions()[0], seed);
    const auto before = Interpret(*changed.functions()[0], inputs);
    ASSERT_TRUE(before.ok()) << before.status();
    fired += static_cast<int>(Rewrite(changed, 0));
    const auto after = Interpret(*changed.functions()[0], inputs);
    ASSERT_TRUE(after.ok()) << after.status();
    ASSERT_EQ(Mismatch(*before, *after, {0, 0}), std::nullopt) << seed << "\n" << Print(changed);
  }
  EXPECT_GE(fired, 20);
}

}  // namespace
}  // namespace kiln
