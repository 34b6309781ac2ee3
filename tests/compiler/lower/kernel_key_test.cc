#include "compiler/lower/kernel_key.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "compiler/lower/kernel_builder.h"
#include "compiler/lower/lower.h"
#include "ir/graph/op_def.h"
#include "ir/graph/parser.h"
#include "ir/graph/printer.h"
#include "ir/graph/relayout.h"
#include "passes/pass_manager.h"
#include "passes/pipeline.h"
#include "tests/support/random_graph.h"

namespace kiln {
namespace {

/// "TEXT inputs 0 2": the kernel that `op` becomes, and which of the key's values it reads.
std::string Built(Op& op, const Locations& locations, const KernelKey& key) {
  const auto built = BuildKernel(op, locations);
  if (!built.ok()) return Message(built.status());
  std::string text = built->kernel.body == nullptr ? "" : loop::ToString(built->kernel);
  text += StrCat("flops ", built->flops, " inputs");
  for (const Op* const input : built->inputs) {
    const auto it = std::find(key.values.begin(), key.values.end(), input);
    EXPECT_NE(it, key.values.end()) << Print(op);
    text += StrCat(" ", it - key.values.begin());
  }
  return text;
}

/// Compares the kernels of all ops with one key; returns how often an op had the key of another.
int CheckKeys(const Module& module, std::map<std::string, std::string>& seen) {
  int shared = 0;
  for (const auto& function : module.functions()) {
    const Locations locations(*function);
    for (const auto& op : function->ops()) {
      const bool sliced = op->Is("slice") && locations.IsPart(op.get());
      if (op->HasTrait(kLeaf) || IsSameBytes(*op) || sliced || op->type().count() == 0) continue;
      const KernelKey key = KeyOf(*op, locations);
      const std::string built = Built(*op, locations, key);
      const auto [it, inserted] = seen.emplace(key.text, built);
      shared += !inserted;
      EXPECT_EQ(it->second, built) << Print(*op) << key.text;
    }
  }
  return shared;
}

TEST(KernelKeyTest, EqualKeysOfRandomGraphsAreEqualKernels) {
  std::map<std::string, std::string> seen;
  int shared = 0;
  for (uint64_t seed = 1; seed <= 150; ++seed) {
    auto module = RandomModule(seed);
    ASSERT_TRUE(module.ok()) << module.status();
    shared += CheckKeys(**module, seen);
    const Status status = PassManager(InferencePipeline({.lanes = 8})).Run(**module);
    ASSERT_TRUE(status.ok()) << status;
    shared += CheckKeys(**module, seen);
  }
  EXPECT_GT(shared, 100);
}

/// Whether the ops %a and %b of a function have one key.
bool Alike(const std::string& inputs, const std::string& ops) {
  const auto module = ParseModule(StrCat("module \"m\" {\n  func @f(", inputs,
                                         ") -> (\"a\": %a, \"b\": %b) {\n", ops, "\n  }\n}\n"));
  EXPECT_TRUE(module.ok()) << module.status();
  if (!module.ok()) return false;
  const Graph& graph = *(*module)->functions()[0];
  const Locations locations(graph);
  std::map<std::string, KernelKey> keys;
  for (const auto& op : graph.ops()) keys.emplace(op->name(), KeyOf(*op, locations));
  return keys.at("a").text == keys.at("b").text;
}

TEST(KernelKeyTest, NamesAndWhoReadsItDoNotCount) {
  EXPECT_TRUE(Alike("%x: f32[4], %y: f32[4]",
                    "%a = add(%x, %y) : f32[4] loc(\"first\")\n"
                    "%c = exp(%y) : f32[4]\n"
                    "%b = add(%c, %x) : f32[4] loc(\"second\")"));
}

TEST(KernelKeyTest, ConstantsThatAreReadFromMemoryDoNotCount) {
  EXPECT_TRUE(Alike("%x: f32[2]",
                    "%p = constant() {value=f32[2] dense([1.0,2.0])} : f32[2]\n"
                    "%q = constant() {value=f32[2] dense([3.0,4.0])} : f32[2]\n"
                    "%a = add(%x, %p) : f32[2]\n"
                    "%b = add(%x, %q) : f32[2]"));
}

TEST(KernelKeyTest, AttributesTypesAndOperandsCount) {
  EXPECT_FALSE(Alike("%x: f32[4,4]",
                     "%a = reduce_sum(%x) {axes=[0], keep_dims=false} : f32[4]\n"
                     "%b = reduce_sum(%x) {axes=[1], keep_dims=false} : f32[4]"));
  EXPECT_FALSE(Alike("%x: f32[4], %y: f32[5]", "%a = exp(%x) : f32[4]\n%b = exp(%y) : f32[5]"));
  EXPECT_FALSE(
      Alike("%x: f32[4], %y: f32[4]", "%a = mul(%x, %x) : f32[4]\n%b = mul(%x, %y) : f32[4]"));
  EXPECT_FALSE(
      Alike("%x: f32[4], %y: f32[4]", "%a = sub(%x, %y) : f32[4]\n%b = add(%x, %y) : f32[4]"));
}

TEST(KernelKeyTest, LayoutsCount) {
  EXPECT_FALSE(Alike("%x: f32[1,4,2,2], %y: f32[1,4,2,2]{||2:1:1}",
                     "%a = exp(%x) : f32[1,4,2,2]\n%b = exp(%y) : f32[1,4,2,2]"));
}

TEST(KernelKeyTest, NumbersInABodyCount) {
  const auto fusion = [](const char* name, const char* number) {
    return StrCat("%", name, " = fusion(%x) : f32[4] {\n(%i: f32[4])\n%c", name,
                  " = constant() {value=f32[] dense([", number, "])} : f32[]\n%m", name,
                  " = mul(%i, %c", name, ") : f32[4]\n-> %m", name, "\n}\n");
  };
  EXPECT_TRUE(Alike("%x: f32[4]", fusion("a", "2.0") + fusion("b", "2.0")));
  EXPECT_FALSE(Alike("%x: f32[4]", fusion("a", "2.0") + fusion("b", "3.0")));
  EXPECT_FALSE(Alike("%x: f32[4]", fusion("a", "0.0") + fusion("b", "-0.0")));
}

TEST(KernelKeyTest, TheConstantsOfAFusionAreReadByItsOwnKernel) {
  const auto fusion = [](const char* name, const char* numbers) {
    return StrCat("%", name, " = fusion(%x) : f32[2] {\n(%i: f32[2])\n%c", name,
                  " = constant() {value=f32[2] dense([", numbers, "])} : f32[2]\n%m", name,
                  " = mul(%i, %c", name, ") : f32[2]\n-> %m", name, "\n}\n");
  };
  const std::string two = fusion("a", "2.0,3.0") + fusion("b", "4.0,5.0");
  EXPECT_TRUE(Alike("%x: f32[2]", two));
  const auto module = ParseModule(StrCat(
      "module \"m\" {\n  func @f(%x: f32[2]) -> (\"a\": %a, \"b\": %b) {\n", two, "\n  }\n}\n"));
  ASSERT_TRUE(module.ok()) << module.status();
  const auto program = LowerModule(**module, {});
  ASSERT_TRUE(program.ok()) << program.status();
  ASSERT_EQ(program->kernels.size(), 1u);
  const auto& steps = program->functions[0].steps;
  ASSERT_EQ(steps.size(), 2u);
  EXPECT_EQ(steps[0].buffers[0], steps[1].buffers[0]) << "both read x";
  EXPECT_NE(steps[0].buffers[1], steps[1].buffers[1]) << "each reads its own constant";
}

// Where a part lies in its concat is in its code.
TEST(KernelKeyTest, PlacesCount) {
  const auto module = ParseModule(R"(module "m" {
  func @f(%x: f32[2,3]) -> ("z": %z) {
    %p = exp(%x) : f32[2,3]
    %q = exp(%x) : f32[2,3]
    %z = concat(%p, %q) {axis=0} : f32[4,3]
  }
}
)");
  ASSERT_TRUE(module.ok()) << module.status();
  const auto program = LowerModule(**module, {});
  ASSERT_TRUE(program.ok()) << program.status();
  EXPECT_EQ(program->functions[0].steps.size(), 2u);
  EXPECT_EQ(program->kernels.size(), 2u);
}

// A net's blocks repeat, and so do their kernels; the threads that make them change nothing.
TEST(KernelTableTest, MakesEveryKernelOnceOnAnyNumberOfThreads) {
  std::string ops;
  std::string last = "%x";
  for (int block = 0; block < 6; ++block) {
    const std::string w = StrCat("%w", block), c = StrCat("%c", block), y = StrCat("%y", block);
    ops += StrCat(w, " = constant() {value=f32[16,16,3,3] file(\"", std::string(31, '0'), block,
                  "\")} : f32[16,16,3,3]\n", c, " = conv(", last, ", ", w,
                  ") {strides=[1,1], dilations=[1,1], pads_low=[1,1], pads_high=[1,1]} : "
                  "f32[1,16,8,8]\n",
                  y, " = relu(", c, ") : f32[1,16,8,8]\n");
    last = y;
  }
  const auto module = ParseModule(StrCat(
      "module \"m\" {\n  func @f(%x: f32[1,16,8,8]) -> (\"y\": ", last, ") {\n", ops, "  }\n}\n"));
  ASSERT_TRUE(module.ok()) << module.status();
  const Status status = PassManager(InferencePipeline({.lanes = 8})).Run(**module);
  ASSERT_TRUE(status.ok()) << status;
  LowerOptions options;
  options.target.vector_bytes = 32;
  const auto one = LowerModule(**module, options);
  options.threads = 3;
  const auto three = LowerModule(**module, options);
  ASSERT_TRUE(one.ok() && three.ok());
  EXPECT_LT(one->kernels.size(), one->functions[0].steps.size() - 2);
  ASSERT_EQ(one->kernels.size(), three->kernels.size());
  for (size_t i = 0; i < one->kernels.size(); ++i) {
    EXPECT_EQ(loop::ToString(one->kernels[i]), loop::ToString(three->kernels[i]));
    EXPECT_EQ(one->kernels[i].name, three->kernels[i].name);
  }
  for (size_t i = 0; i < one->functions[0].steps.size(); ++i) {
    EXPECT_EQ(one->functions[0].steps[i].kernel, three->functions[0].steps[i].kernel);
    EXPECT_EQ(one->functions[0].steps[i].buffers, three->functions[0].steps[i].buffers);
  }
}

}  // namespace
}  // namespace kiln
