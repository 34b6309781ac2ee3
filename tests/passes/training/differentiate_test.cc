#include "passes/training/differentiate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "ir/eval/interpreter.h"
#include "ir/graph/op_def.h"
#include "ir/graph/parser.h"
#include "ir/graph/printer.h"
#include "ir/graph/verifier.h"
#include "tests/passes/training/gradient_check.h"
#include "tests/support/random_graph.h"

namespace kiln {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

bool IsDifferentiable(const OpDef& def) {
  return def.gradient != nullptr || (def.decompose != nullptr && def.no_gradient.empty());
}

// ---- every op says how it is differentiated

TEST(GradientTable, EveryOpHasAGradientOrSaysWhyNot) {
  for (const OpDef* const def : AllOps()) {
    const bool says_why = !def->no_gradient.empty();
    EXPECT_FALSE(says_why && def->gradient) << def->name;
    EXPECT_TRUE(says_why || def->gradient || def->decompose) << def->name;
  }
}

// ---- every op, at twenty shapes

// Whether the interpreter, which rounds in casts only, computes the module's smooth function.
bool IsExact(const Module& module) {
  if (HoldsNarrowFloats(module)) return false;
  for (const auto& op : module.functions()[0]->ops()) {
    if (op->Is("cast") && op->element() != ElementType::kF64) return false;
  }
  return true;
}

class OpGradients : public testing::TestWithParam<std::string> {};

TEST_P(OpGradients, AgreeWithDifferences) {
  // The derivative of these is 0, and so are the differences.
  static const std::set<std::string> kFlat = {"sign", "floor", "ceil", "round"};
  std::set<std::string> shapes;
  int nonzero = 0;
  for (uint64_t seed = 1; seed <= 4000 && shapes.size() < 20; ++seed) {
    const auto module = RandomModule(seed, {.min_ops = 1, .max_ops = 1, .kinds = {GetParam()}});
    if (!module.ok() || !IsExact(**module)) continue;
    const auto differentiated = Differentiate(**module, seed);
    if (!differentiated.ok()) {
      ASSERT_TRUE(absl::IsUnimplemented(differentiated.status()))
          << Message(differentiated.status()) << "\n"
          << Print(**module);
      continue;
    }
    std::string shape;
    for (const Op* const input : differentiated->module->functions()[0]->inputs()) {
      shape += input->type().ToString();
    }
    if (shapes.contains(shape)) continue;
    const bool flat = kFlat.contains(GetParam());
    if (differentiated->wanted.empty() && !flat) continue;
    const Status verified = Verify(*differentiated->module);
    ASSERT_TRUE(verified.ok()) << Message(verified);
    const GradientCheck check = CheckGradients(*differentiated, seed);
    ASSERT_FALSE(check.verdict == GradientVerdict::kWrong) << check.message << "\n"
                                                           << Print(*differentiated->module);
    if (check.verdict != GradientVerdict::kRight) continue;
    shapes.insert(shape);
    nonzero += check.nonzero;
  }
  EXPECT_GE(shapes.size(), 20u);
  EXPECT_TRUE(nonzero > 0 || kFlat.contains(GetParam()));
}

std::vector<std::string> DifferentiableOps() {
  std::vector<std::string> names;
  for (const OpDef* const def : AllOps()) {
    if (IsDifferentiable(*def)) names.push_back(def->name);
  }
  return names;
}

INSTANTIATE_TEST_SUITE_P(Ops, OpGradients, testing::ValuesIn(DifferentiableOps()),
                         [](const auto& info) { return info.param; });

// ---- random graphs

TEST(RandomGradients, AgreeWithDifferences) {
  constexpr int kWanted = 500;
  const RandomGraphOptions options{.min_ops = 4, .max_ops = 12, .kinds = DifferentiableOps()};
  int right = 0, nonzero = 0;
  for (uint64_t seed = 1; right < kWanted; ++seed) {
    ASSERT_LE(seed, 20u * kWanted) << "too few random graphs have gradients to compare";
    const auto module = RandomModule(seed, options);
    if (!module.ok() || !IsExact(**module)) continue;
    const auto differentiated = Differentiate(**module, seed);
    if (!differentiated.ok() || differentiated->wanted.empty()) continue;
    const GradientCheck check = CheckGradients(*differentiated, seed);
    ASSERT_FALSE(check.verdict == GradientVerdict::kWrong)
        << "seed " << seed << ": " << check.message << "\n"
        << Print(**module);
    right += check.verdict == GradientVerdict::kRight;
    nonzero += check.nonzero;
  }
  EXPECT_GT(nonzero, kWanted / 2);
}

// ---- what is built

std::unique_ptr<Module> Parse(const std::string& text) {
  auto module = ParseModule(text);
  EXPECT_TRUE(module.ok()) << Message(module.status());
  return module.ok() ? *std::move(module) : nullptr;
}

std::vector<std::string> Kinds(const Graph& graph) {
  std::vector<std::string> kinds;
  for (const auto& op : graph.ops()) kinds.push_back(op->kind());
  return kinds;
}

TEST(Differentiate, SumsOverUsersAndOverReadsOfAParameter) {
  const auto module = Parse(R"(module "m" {
    parameter "w" : f64[] = dense([3.0])
    func @f(%x: f64[]) -> ("loss": %l) {
      %w = parameter() {name="w"} : f64[]
      %v = parameter() {name="w"} : f64[]
      %a = mul(%x, %w) : f64[]
      %b = mul(%a, %v) : f64[]
      %l = add(%b, %a) : f64[]
    }
  })");
  Graph& graph = *module->functions()[0];
  Op* const x = graph.inputs()[0];
  Op* const w = (*std::next(graph.ops().begin())).get();
  const auto gradients = Differentiate(graph.outputs()[0].value, {x, w});
  ASSERT_TRUE(gradients.ok()) << Message(gradients.status());
  graph.AddOutput("dx", (*gradients)[0]);
  graph.AddOutput("dw", (*gradients)[1]);
  Array two(ElementType::kF64, {});
  two.floats = {2};
  const auto values = Interpret(graph, {two});
  ASSERT_TRUE(values.ok());
  EXPECT_EQ((*values)[0].floats[0], 24);  // x w^2 + x w
  EXPECT_EQ((*values)[1].floats[0], 12);  // w^2 + w
  EXPECT_EQ((*values)[2].floats[0], 14);  // 2 x w + x
}

TEST(Differentiate, BuildsNothingThatIsNotWanted) {
  const auto module = Parse(R"(module "m" {
    func @f(%x: f32[2,3], %w: f32[3,4]) -> ("loss": %l) {
      %y = matmul(%x, %w) : f32[2,4]
      %l = reduce_sum(%y) {axes=[0,1], keep_dims=false} : f32[]
    }
  })");
  Graph& graph = *module->functions()[0];
  const size_t before = graph.ops().size();
  const auto gradients = Differentiate(graph.outputs()[0].value, {graph.inputs()[1]});
  ASSERT_TRUE(gradients.ok());
  std::vector<std::string> added = Kinds(graph);
  added.erase(added.begin(), added.begin() + static_cast<ptrdiff_t>(before));
  EXPECT_THAT(added, ElementsAre("constant", "reshape", "broadcast", "matmul"));
}

TEST(Differentiate, IsZeroWhereTheLossDoesNotDepend) {
  const auto module = Parse(R"(module "m" {
    func @f(%x: f32[3], %z: f32[3]) -> ("loss": %l) {
      %f = floor(%x) : f32[3]
      %g = add(%f, %z) : f32[3]
      %l = reduce_sum(%g) {axes=[0], keep_dims=false} : f32[]
    }
  })");
  Graph& graph = *module->functions()[0];
  const auto gradients =
      Differentiate(graph.outputs()[0].value, {graph.inputs()[0], graph.inputs()[1]});
  ASSERT_TRUE(gradients.ok());
  EXPECT_EQ((*gradients)[0], nullptr);
  EXPECT_NE((*gradients)[1], nullptr);
}

TEST(Differentiate, NamesEveryOpThatHasNoGradient) {
  const auto module = Parse(R"(module "m" {
    func @f(%x: f32[1,1,4]) -> ("loss": %l) {
      %y = sum_unpool(%x) {kernel=[1], strides=[1], dilations=[1], pads_low=[0], pads_high=[0], input=[4]} : f32[1,1,4] loc("up")
      %l = reduce_sum(%y) {axes=[0,1,2], keep_dims=false} : f32[]
    }
  })");
  Graph& graph = *module->functions()[0];
  const auto gradients = Differentiate(graph.outputs()[0].value, {graph.inputs()[0]});
  ASSERT_FALSE(gradients.ok());
  EXPECT_THAT(Message(gradients.status()), HasSubstr("sum_unpool 'up' cannot be differentiated"));
}

TEST(Differentiate, RefusesALossOfSeveralElements) {
  const auto module = Parse(R"(module "m" {
    func @f(%x: f32[3]) -> ("loss": %x) {}
  })");
  Graph& graph = *module->functions()[0];
  const auto gradients = Differentiate(graph.inputs()[0], {graph.inputs()[0]});
  ASSERT_FALSE(gradients.ok());
  EXPECT_THAT(Message(gradients.status()), HasSubstr("the loss must be one float"));
}

}  // namespace
}  // namespace kiln
