// Random valid graphs as machine code: the interpreter, unoptimised code and optimised code agree,
// for AVX-512, AVX2 and SSE4 in rotation.
//
// Every graph runs in a child process, so that code that crashes is a failure like any other. A
// failing graph is shrunk; the small one is printed and saved. KILN_LONG_TESTS=1 runs 5,000 graphs
// instead of 200; KILN_RANDOM_SEED=N runs that one graph.
#include <gtest/gtest.h>

#include <cstdlib>

#include "compiler/compile.h"
#include "ir/eval/interpreter.h"
#include "ir/graph/kir_file.h"
#include "ir/graph/printer.h"
#include "tests/compiler/compiled_run.h"
#include "tests/support/arrays.h"
#include "tests/support/child_process.h"
#include "tests/support/random.h"
#include "tests/support/random_graph.h"
#include "tests/support/shrink.h"

namespace kiln {
namespace {

constexpr int kShards = 16;
constexpr int kSeconds = 60;  // of CPU time for one graph

std::vector<Target> Targets() {
  std::vector<Target> targets;
  for (const char* const cpu : {"x86-64-v4", "x86-64-v3", "x86-64-v2"}) {
    const auto target = testing_support::TargetThisMachineRuns(cpu);
    if (target.ok()) targets.push_back(*target);
  }
  if (targets.empty()) targets.push_back(*testing_support::TargetThisMachineRuns(""));
  return targets;
}

/// What the compiled module does wrong; nullopt when its outputs are as expected.
std::optional<std::string> Wrong(const Module& module, const std::vector<Array>& inputs,
                                 const std::vector<Array>& expected,
                                 const CompileOptions& options) {
  const auto executable = CompileForHost(module.Clone(), options);
  if (!executable.ok()) return StrCat("not compiled: ", Message(executable.status()));
  const auto outputs = testing_support::RunCompiled(**executable, "forward", inputs);
  if (!outputs.ok()) return StrCat("not run: ", Message(outputs.status()));
  const auto mismatch = Mismatch(expected, *outputs, GraphTolerance(module));
  return mismatch ? StrCat("wrong: ", *mismatch) : mismatch;
}

/// The floats moved by a millionth, each its own way: as much as an op that computes in several
/// steps may err.
std::vector<Array> Nudged(std::vector<Array> inputs, uint64_t seed) {
  Random random(seed, "nudge");
  for (Array& input : inputs) {
    for (double& value : input.floats) value *= 1 + 0x1p-20 * random.Uniform(-1, 1);
  }
  return inputs;
}

/// Whether the values hang on single roundings: a comparison of nearly equal numbers, a ceil near
/// an integer, a difference of nearly equal sums. Such a graph has no one right answer.
bool HangsOnRounding(const Module& module, const std::vector<Array>& inputs, uint64_t seed,
                     const std::vector<Array>& exact) {
  const auto differs = [&](const std::vector<Array>& from, Rounding rounding) {
    const auto found = Interpret(*module.functions()[0], from, rounding);
    return !found.ok() || Mismatch(exact, *found, GraphTolerance(module));
  };
  return differs(inputs, Rounding::kElementType) || differs(inputs, Rounding::kUp) ||
         differs(inputs, Rounding::kDown) || differs(Nudged(inputs, seed), Rounding::kNone);
}

/// The way that fails and how, "optimised code: killed by signal: Segmentation fault". A graph that
/// the interpreter refuses, or whose values hang on single roundings, fails in no way.
std::optional<std::string> Failure(const Module& module, uint64_t seed, const Target& target,
                                   bool* compared = nullptr) {
  const Graph& graph = *module.functions()[0];
  const std::vector<Array> inputs = RandomInputs(graph, seed);
  const auto expected = Interpret(graph, inputs);
  if (!expected.ok() || HangsOnRounding(module, inputs, seed, *expected)) return std::nullopt;
  if (compared != nullptr) *compared = true;
  for (const bool optimize : {false, true}) {
    const CompileOptions options{.target = target, .optimize = optimize, .schedule = optimize};
    const auto wrong =
        CheckInChild([&] { return Wrong(module, inputs, *expected, options); }, kSeconds);
    if (wrong) return StrCat(optimize ? "optimised code: " : "unoptimised code: ", *wrong);
  }
  return std::nullopt;
}

/// "optimised code: wrong", without the details that change as a graph shrinks.
std::string Kind(const std::string& failure) {
  return failure.substr(0, failure.find(':', failure.find(':') + 1));
}

void ReportShrunk(const Module& module, uint64_t seed, const Target& target,
                  const std::string& failure) {
  const auto small = Shrink(module, [&](const Module& candidate) {
    const auto other = Failure(candidate, seed, target);
    return other && Kind(*other) == Kind(failure);
  });
  const std::string path = testing::TempDir() + small->name + ".kir";
  const Status saved = SaveKir(*small, path);
  ADD_FAILURE() << "KILN_RANDOM_SEED=" << seed << " on " << target.cpu << ": " << failure
                << "\nshrunk: " << Failure(*small, seed, target).value_or("passes") << "\n"
                << Print(*small) << (saved.ok() ? "saved as " + path : Message(saved));
}

/// Whether the graph could be compared.
bool CheckGraph(uint64_t seed, const Target& target) {
  const auto module = RandomModule(seed);
  EXPECT_TRUE(module.ok()) << "seed " << seed << ": " << Message(module.status());
  bool compared = false;
  const auto failure = module.ok() ? Failure(**module, seed, target, &compared) : std::nullopt;
  if (failure) ReportShrunk(**module, seed, target, *failure);
  return compared;
}

class RandomGraphCodeTest : public testing::TestWithParam<int> {};

TEST_P(RandomGraphCodeTest, CodeAgreesWithTheInterpreter) {
  const std::vector<Target> targets = Targets();
  int64_t only = 0;
  if (const char* const text = std::getenv("KILN_RANDOM_SEED");
      text != nullptr && ParseInt(text, &only)) {
    if (GetParam() != only % kShards) GTEST_SKIP() << "the graph is another shard's";
    CheckGraph(static_cast<uint64_t>(only), targets[only % targets.size()]);
    return;
  }
  const int graphs = std::getenv("KILN_LONG_TESTS") != nullptr ? 5000 : 200;
  int checked = 0, compared = 0;
  for (int seed = GetParam(); seed < graphs; seed += kShards, ++checked) {
    compared += CheckGraph(static_cast<uint64_t>(seed), targets[seed % targets.size()]);
  }
  RecordProperty("compared", compared);
  EXPECT_GE(compared, checked / 2) << "of " << checked << " graphs";
}

INSTANTIATE_TEST_SUITE_P(Shards, RandomGraphCodeTest, testing::Range(0, kShards));

}  // namespace
}  // namespace kiln
