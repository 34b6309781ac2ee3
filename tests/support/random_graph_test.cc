#include "tests/support/random_graph.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "ir/eval/interpreter.h"
#include "ir/graph/op_def.h"
#include "ir/graph/printer.h"
#include "tests/support/graph_generator.h"
#include "tests/support/round_trip.h"
#include "tests/support/shrink.h"

namespace kiln {
namespace {

std::set<std::string> Kinds(const Module& module) {
  std::set<std::string> kinds;
  for (const auto& op : module.functions()[0]->ops()) kinds.insert(op->kind());
  return kinds;
}

int ComputingOps(const Module& module) {
  int count = 0;
  for (const auto& op : module.functions()[0]->ops()) count += !op->HasTrait(kLeaf);
  return count;
}

TEST(RandomGraphTest, GraphsAreValidAndRunOnTheirInputs) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const auto module = RandomModule(seed);
    ASSERT_TRUE(module.ok()) << seed << Message(module.status());
    const Status round_trip = CheckTextRoundTrip(**module);
    ASSERT_TRUE(round_trip.ok()) << seed << Message(round_trip);
    const Graph& graph = *(*module)->functions()[0];
    const auto outputs = Interpret(graph, RandomInputs(graph, seed));
    ASSERT_TRUE(outputs.ok()) << seed << Message(outputs.status()) << Print(graph);
    EXPECT_FALSE(outputs->empty());
  }
}

TEST(RandomGraphTest, ASeedAlwaysGivesTheSameGraph) {
  EXPECT_EQ(Print(**RandomModule(7)), Print(**RandomModule(7)));
  EXPECT_NE(Print(**RandomModule(7)), Print(**RandomModule(8)));
}

TEST(RandomGraphTest, GraphsHaveTheSizeAskedFor) {
  int largest = 0;
  for (uint64_t seed = 0; seed < 30; ++seed) {
    largest = std::max(largest, ComputingOps(**RandomModule(seed, {.min_ops = 20})));
  }
  EXPECT_GE(largest, 20);
}

TEST(RandomGraphTest, EveryOpCanBeDrawn) {
  for (const OpDef* const def : AllOps()) {
    if (!RecipeFor(*def)) continue;
    bool drawn = false;
    for (uint64_t seed = 0; seed < 20 && !drawn; ++seed) {
      const auto module = RandomModule(seed, {.min_ops = 1, .max_ops = 2, .kinds = {def->name}});
      drawn = module.ok() && Kinds(**module).contains(def->name);
    }
    EXPECT_TRUE(drawn) << def->name;
  }
}

TEST(RandomGraphTest, InteriorRandomGraphsDrawMostOps) {
  std::set<std::string> kinds;
  for (uint64_t seed = 0; seed < 200; ++seed) kinds.merge(Kinds(**RandomModule(seed)));
  EXPECT_GT(kinds.size(), AllOps().size() * 9 / 10);
}

TEST(ShrinkTest, LeavesWhatFails) {
  const auto fails = [](const Module& module) {
    const auto kinds = Kinds(module);
    return kinds.contains("softmax") && kinds.contains("conv");
  };
  int shrunk = 0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    const auto module = RandomModule(seed);
    if (!fails(**module)) continue;
    const auto small = Shrink(**module, fails);
    EXPECT_TRUE(fails(*small));
    EXPECT_EQ(ComputingOps(*small), 2) << Print(*small);
    EXPECT_TRUE(CheckTextRoundTrip(*small).ok());
    ++shrunk;
  }
  EXPECT_GT(shrunk, 0);
}

TEST(ShrinkTest, ReturnsAModuleThatDoesNotFailAsItIs) {
  const auto module = *RandomModule(3);
  EXPECT_EQ(Print(*Shrink(*module, [](const Module&) { return false; })), Print(*module));
}

}  // namespace
}  // namespace kiln
