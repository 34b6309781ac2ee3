// What the passes of passes/graph do with constants that are too large for a golden.
#include <gtest/gtest.h>

#include <vector>

#include "ir/graph/builder.h"
#include "ir/graph/recipe.h"
#include "ir/graph/relayout.h"
#include "passes/graph/graph_passes.h"
#include "passes/pass_manager.h"

namespace kiln {
namespace {

constexpr int64_t kCount = 1 << 15;

/// 1, 2, 3, ..., and `last`.
Tensor Counted(double last) {
  std::vector<double> values(kCount);
  for (int64_t i = 0; i < kCount; ++i) values[static_cast<size_t>(i)] = static_cast<double>(i + 1);
  values.back() = last;
  return Tensor::FromDoubles(ElementType::kF32, {kCount}, values);
}

TEST(EliminateDeadCodeTest, MergesOnlyParametersThatAreEqualToTheEnd) {
  Module module;
  module.SetParameter({"a", Counted(1)});
  module.SetParameter({"b", Counted(2)});  // begins as the others do
  module.SetParameter({"c", Counted(1)});
  Graph* const graph = module.AddFunction("forward");
  Builder b(graph);
  const auto x = b.Input("x", {ElementType::kF32, {kCount}});
  const auto sum = b.Add(b.Add(b.Add(x, b.Parameter("a")), b.Parameter("b")), b.Parameter("c"));
  ASSERT_TRUE(sum.ok()) << sum.status();
  graph->AddOutput("y", *sum);
  ASSERT_TRUE(PassManager({EliminateDeadCode()}).Run(module).ok());
  EXPECT_NE(module.FindParameter("a"), nullptr);
  EXPECT_NE(module.FindParameter("b"), nullptr);
  EXPECT_EQ(module.FindParameter("c"), nullptr);
}

// A deferred constant is one with itself, and nothing is computed to find that out of two.
TEST(EliminateCommonSubexpressionsTest, LeavesDeferredConstantsAlone) {
  const Layout backwards{.order = {1, 0}, .blocks = {}};
  const Tensor first = ToLayout(Counted(1).Reshaped({2, kCount / 2}), backwards);
  const Tensor second = ToLayout(Counted(1).Reshaped({2, kCount / 2}), backwards);
  Module module;
  Graph* const graph = module.AddFunction("forward");
  Builder b(graph);
  const auto sum = b.Add(b.Add(b.Constant(first), b.Constant(second)), b.Constant(first));
  ASSERT_TRUE(sum.ok()) << sum.status();
  graph->AddOutput("y", *sum);
  ASSERT_TRUE(PassManager({EliminateCommonSubexpressions()}).Run(module).ok());
  int constants = 0;
  for (const auto& op : graph->ops()) constants += op->Is("constant");
  EXPECT_EQ(constants, 2);
  EXPECT_NE(first.recipe(), nullptr);
  EXPECT_NE(second.recipe(), nullptr);
}

}  // namespace
}  // namespace kiln
