// Compiled gradients against interpreted ones: random graphs, and every op by itself. With
// KILN_LONG_TESTS set it is 500 graphs and 20 cases of each op.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "ir/eval/interpreter.h"
#include "ir/graph/op_def.h"
#include "ir/graph/printer.h"
#include "tests/compiler/training/compiled.h"
#include "tests/support/differentiated.h"
#include "tests/support/random_graph.h"

namespace kiln {
namespace {

// Whether the gradients are finite and not so large that f32 is no match for doubles.
bool Comparable(const std::vector<Array>& values) {
  for (const Array& array : values) {
    for (const double value : array.floats) {
      if (!(std::abs(value) <= 1e5)) return false;
    }
  }
  return true;
}

// The values that the interpreter finds when every op rounds: where they are far from the exact
// ones, the graph and not the code is to blame.
bool WellConditioned(const Graph& graph, const std::vector<Array>& inputs,
                     const std::vector<Array>& exact) {
  const auto rounded = Interpret(graph, inputs, Rounding::kElementType);
  return rounded.ok() && !Mismatch(exact, *rounded, {1e-4, 1e-5});
}

// Compiles the gradients of `module` and compares; whether there was something to compare.
bool CompareGradients(const Module& module, uint64_t seed) {
  const auto differentiated = Differentiate(module, seed);
  if (!differentiated.ok() || differentiated->wanted.empty()) return false;
  const Graph& graph = *differentiated->module->functions()[0];
  std::vector<Array> inputs = GenericInputs(graph, seed);
  for (Array& input : inputs) {
    for (double& value : input.floats) value = RoundTo(input.element, value);
  }
  const auto expected = Interpret(graph, inputs);
  if (!expected.ok() || !Comparable(*expected) || !WellConditioned(graph, inputs, *expected)) {
    return false;
  }
  auto compiled = CompiledModule::Make(*differentiated->module);
  EXPECT_TRUE(compiled.ok()) << compiled.status() << "\n" << Print(*differentiated->module);
  if (!compiled.ok()) return false;
  const auto found = (*compiled)->Run(graph.name(), inputs);
  EXPECT_TRUE(found.ok()) << found.status();
  if (!found.ok()) return false;
  const auto mismatch = Mismatch(*expected, *found, {1e-3, 1e-4});
  EXPECT_FALSE(mismatch) << "seed " << seed << ": " << *mismatch << "\n"
                         << Print(*differentiated->module);
  return true;
}

TEST(GradientCode, OfRandomGraphsAgreesWithTheInterpreter) {
  const int wanted = std::getenv("KILN_LONG_TESTS") != nullptr ? 500 : 20;
  int compared = 0;
  for (uint64_t seed = 1; compared < wanted && seed <= 20u * wanted; ++seed) {
    const auto module = RandomModule(seed, {.min_ops = 4, .max_ops = 12, .kinds = {}});
    if (!module.ok() || HoldsNarrowFloats(**module)) continue;
    compared += CompareGradients(**module, seed);
    if (HasFailure()) return;
  }
  EXPECT_EQ(compared, wanted);
}

TEST(GradientCode, OfEveryOpAgreesWithTheInterpreter) {
  const int shapes = std::getenv("KILN_LONG_TESTS") != nullptr ? 20 : 1;
  for (const OpDef* const def : AllOps()) {
    if (!def->gradient && (!def->decompose || !def->no_gradient.empty())) continue;
    int compared = 0;
    for (uint64_t seed = 1; compared < shapes && seed <= 200u * shapes; ++seed) {
      const auto module = RandomModule(seed, {.min_ops = 1, .max_ops = 1, .kinds = {def->name}});
      if (!module.ok() || HoldsNarrowFloats(**module)) continue;
      compared += CompareGradients(**module, seed);
      ASSERT_FALSE(HasFailure()) << def->name;
    }
    const bool flat =
        def->name == "sign" || def->name == "floor" || def->name == "ceil" || def->name == "round";
    EXPECT_TRUE(flat || compared == shapes) << def->name;
  }
}

}  // namespace
}  // namespace kiln
