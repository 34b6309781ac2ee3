// Layouts end to end, without code generation: small nets and random graphs go through the pipeline
// and the loop interpreter for vectors of several widths, and must give what the reference
// interpreter gives. The nets also say which of their steps move data and compute nothing.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "compiler/lower/lower.h"
#include "compiler/schedule/nest.h"
#include "ir/eval/interpreter.h"
#include "ir/graph/builder.h"
#include "ir/graph/op_def.h"
#include "ir/graph/parser.h"
#include "ir/graph/printer.h"
#include "passes/pass_manager.h"
#include "passes/pipeline.h"
#include "tests/compiler/op_cases.h"
#include "tests/compiler/run_program.h"
#include "tests/support/arrays.h"
#include "tests/support/random_graph.h"

namespace kiln {
namespace {

LowerOptions OptionsFor(int lanes) {
  LowerOptions options;
  options.target.vector_bytes = lanes * 4;
  options.target.vector_registers = lanes == 16 ? 32 : 16;
  options.target.has_masked_memory = lanes != 4;
  return options;
}

struct Lowered {
  std::unique_ptr<Module> module;
  Program program;
  std::string moves;  ///< "relayout 2 transpose 1": the steps that move data
};

StatusOr<Lowered> Lower(const Module& module, int lanes) {
  Lowered lowered;
  lowered.module = module.Clone();
  KILN_RETURN_IF_ERROR(PassManager(InferencePipeline({.lanes = lanes})).Run(*lowered.module));
  KILN_ASSIGN_OR_RETURN(lowered.program, LowerModule(*lowered.module, OptionsFor(lanes)));
  std::map<std::string, int> counts;
  for (const Step& step : lowered.program.functions[0].steps) {
    for (const auto& op : lowered.module->functions()[0]->ops()) {
      if (op->name() == step.name && op->HasTrait(kMovement)) ++counts[op->kind()];
    }
  }
  for (const auto& [kind, count] : counts) {
    lowered.moves += StrCat(lowered.moves.empty() ? "" : " ", kind, " ", count);
  }
  return lowered;
}

struct Net {
  const char* name;
  const char* moves;  ///< with 4 lanes
  const char* text;
};

// All inputs but x stand for weights: the test makes constants of them.
const Net kNets[] = {
    {"ResidualBlock", "relayout 2", R"(
  func @f(%x: f32[2,3,7,6], %a: f32[8,3,3,3], %b: f32[8,8,3,3], %c: f32[8,8,3,3]) -> ("y": %y) {
    %c1 = conv(%x, %a) {strides=[1,1], dilations=[1,1], pads_low=[1,1], pads_high=[1,1]} : f32[2,8,7,6]
    %r1 = relu(%c1) : f32[2,8,7,6]
    %c2 = conv(%r1, %b) {strides=[1,1], dilations=[1,1], pads_low=[1,1], pads_high=[1,1]} : f32[2,8,7,6]
    %r2 = relu(%c2) : f32[2,8,7,6]
    %c3 = conv(%r2, %c) {strides=[1,1], dilations=[1,1], pads_low=[1,1], pads_high=[1,1]} : f32[2,8,7,6]
    %sum = add(%c3, %r1) : f32[2,8,7,6]
    %y = relu(%sum) : f32[2,8,7,6]
  })"},
    {"ConcatInPlace", "relayout 1", R"(
  func @f(%x: f32[2,8,6,5], %a: f32[4,8,1,1], %b: f32[8,8,3,3], %c: f32[4,16,3,3]) -> ("y": %y) {
    %c1 = conv(%x, %a) {strides=[1,1], dilations=[1,1], pads_low=[0,0], pads_high=[0,0]} : f32[2,4,6,5]
    %x1 = conv(%x, %b) {strides=[1,1], dilations=[1,1], pads_low=[1,1], pads_high=[1,1]} : f32[2,8,6,5]
    %r1 = relu(%x1) : f32[2,8,6,5]
    %p1 = max_pool(%c1) {kernel=[3,3], strides=[1,1], dilations=[1,1], pads_low=[1,1], pads_high=[1,1]} : f32[2,4,6,5]
    %cat = concat(%c1, %r1, %p1) {axis=1} : f32[2,16,6,5]
    %c3 = conv(%cat, %c) {strides=[1,1], dilations=[1,1], pads_low=[1,1], pads_high=[1,1]} : f32[2,4,6,5]
    %y = reduce_mean(%c3) {axes=[2,3]} : f32[2,4,1,1]
  })"},
    {"ConcatOfOddChannels", "relayout 1 slice 1", R"(
  func @f(%x: f32[1,3,6,5], %a: f32[5,3,1,1], %b: f32[6,3,1,1], %c: f32[3,11,3,3]) -> ("y": %y) {
    %c1 = conv(%x, %a) {strides=[2,2], dilations=[1,1], pads_low=[0,0], pads_high=[0,0]} : f32[1,5,3,3]
    %c2 = conv(%x, %b) {strides=[2,2], dilations=[1,1], pads_low=[0,0], pads_high=[0,0]} : f32[1,6,3,3]
    %cat = concat(%c1, %c2) {axis=1} : f32[1,11,3,3]
    %c3 = conv(%cat, %c) {strides=[2,2], dilations=[1,1], pads_low=[1,1], pads_high=[1,1]} : f32[1,3,2,2]
    %y = relu(%c3) : f32[1,3,2,2]
  })"},
    {"ConcatWithAnInputAndATwin", "concat 1 relayout 1", R"(
  func @f(%x: f32[1,4,3,3], %a: f32[4,4,1,1]) -> ("y": %y) {
    %c1 = conv(%x, %a) {strides=[1,1], dilations=[1,1], pads_low=[0,0], pads_high=[0,0]} : f32[1,4,3,3]
    %cat = concat(%x, %c1, %c1) {axis=1} : f32[1,12,3,3]
    %y = relu(%cat) : f32[1,12,3,3]
  })"},
    {"SlicesOfChannels", "relayout 1", R"(
  func @f(%x: f32[1,4,3,3], %a: f32[12,4,1,1], %b: f32[4,4,3,3], %c: f32[4,8,1,1]) -> ("y": %y) {
    %wide = conv(%x, %a) {strides=[1,1], dilations=[1,1], pads_low=[0,0], pads_high=[0,0]} : f32[1,12,3,3]
    %s1 = slice(%wide) {starts=[0,0,0,0], sizes=[1,4,3,3], strides=[1,1,1,1]} : f32[1,4,3,3]
    %s2 = slice(%wide) {starts=[0,4,0,0], sizes=[1,8,3,3], strides=[1,1,1,1]} : f32[1,8,3,3]
    %c1 = conv(%s1, %b) {strides=[1,1], dilations=[1,1], pads_low=[1,1], pads_high=[1,1]} : f32[1,4,3,3]
    %c2 = conv(%s2, %c) {strides=[1,1], dilations=[1,1], pads_low=[0,0], pads_high=[0,0]} : f32[1,4,3,3]
    %y = add(%c1, %c2) : f32[1,4,3,3]
  })"},
    {"ChannelsLastModel", "relayout 1", R"(
  func @f(%x: f32[2,5,6,3], %a: f32[8,3,3,3], %b: f32[8,8,3,3]) -> ("y": %y) {
    %t = transpose(%x) {perm=[0,3,1,2]} : f32[2,3,5,6]
    %c1 = conv(%t, %a) {strides=[1,1], dilations=[1,1], pads_low=[1,1], pads_high=[1,1]} : f32[2,8,5,6]
    %r1 = relu(%c1) : f32[2,8,5,6]
    %c2 = conv(%r1, %b) {strides=[1,1], dilations=[1,1], pads_low=[0,1], pads_high=[1,0]} : f32[2,8,4,5]
    %r2 = relu(%c2) : f32[2,8,4,5]
    %y = transpose(%r2) {perm=[0,2,3,1]} : f32[2,4,5,8]
  })"},
    {"FlattenBeforeAProduct", "relayout 1", R"(
  func @f(%x: f32[2,3,4,4], %a: f32[8,3,3,3]) -> ("y": %y) {
    %c1 = conv(%x, %a) {strides=[1,1], dilations=[1,1], pads_low=[1,1], pads_high=[1,1]} : f32[2,8,4,4]
    %p1 = max_pool(%c1) {kernel=[3,3], strides=[3,3], dilations=[1,1], pads_low=[0,1], pads_high=[1,1]} : f32[2,8,1,2]
    %flat = reshape(%p1) {shape=[2,16]} : f32[2,16]
    %w = constant() {value=f32[2,16] dense([1.0,2.0,3.0,4.0,5.0,6.0,7.0,8.0,9.0,1.5,2.5,3.5,4.5,5.5,6.5,7.5,-1.0,-2.0,-3.0,-4.0,-5.0,-6.0,-7.0,-8.0,-9.0,-1.5,-2.5,-3.5,-4.5,-5.5,-6.5,-7.5])} : f32[2,16]
    %y = matmul(%flat, %w) {transpose_b=true} : f32[2,2]
  })"},
    {"GlobalPoolAndProduct", "relayout 1", R"(
  func @f(%x: f32[2,3,4,4], %a: f32[8,3,3,3], %w: f32[8,5]) -> ("y": %y) {
    %c1 = conv(%x, %a) {strides=[2,2], dilations=[1,1], pads_low=[1,1], pads_high=[1,1]} : f32[2,8,2,2]
    %r1 = relu(%c1) : f32[2,8,2,2]
    %mean = reduce_mean(%r1) {axes=[2,3]} : f32[2,8,1,1]
    %flat = reshape(%mean) {shape=[2,8]} : f32[2,8]
    %y = matmul(%flat, %w) : f32[2,5]
  })"},
    {"Normalised", "relayout 1", R"(
  func @f(%x: f32[1,3,5,5], %a: f32[8,3,3,3], %b: f32[4,8,1,1]) -> ("y": %y) {
    %c1 = conv(%x, %a) {strides=[1,1], dilations=[1,1], pads_low=[0,0], pads_high=[0,0]} : f32[1,8,3,3]
    %n = lrn(%c1) {size=5, alpha=0.1} : f32[1,8,3,3]
    %p = max_pool(%n) {kernel=[3,3], strides=[2,2], dilations=[1,1], pads_low=[1,1], pads_high=[1,1]} : f32[1,8,2,2]
    %y = conv(%p, %b) {strides=[1,1], dilations=[1,1], pads_low=[0,0], pads_high=[0,0]} : f32[1,4,2,2]
  })"},
    {"DepthwiseOfOddChannels", "concat 1 slice 1", R"(
  func @f(%x: f32[1,3,5,5], %a: f32[6,3,1,1], %b: f32[6,1,3,3], %c: f32[6,6,1,1]) -> ("y": %y) {
    %c1 = conv(%x, %a) {strides=[2,2], dilations=[1,1], pads_low=[0,0], pads_high=[0,0]} : f32[1,6,3,3]
    %c2 = conv(%c1, %b) {strides=[1,1], dilations=[1,1], pads_low=[1,1], pads_high=[1,1], groups=6} : f32[1,6,3,3]
    %c3 = conv(%c2, %c) {strides=[1,1], dilations=[1,1], pads_low=[0,0], pads_high=[0,0]} : f32[1,6,3,3]
    %sum = add(%c3, %c1) : f32[1,6,3,3]
    %gone = concat(%sum, %c3) {axis=2} : f32[1,6,6,3]
    %y = transpose(%gone) {perm=[0,3,2,1]} : f32[1,3,6,6]
  })"},
    {"TransposedConvolution", "concat 6 pad 3 relayout 11 slice 2", R"(
  func @f(%x: f32[1,3,3,3], %a: f32[3,8,3,3], %b: f32[8,4,3,3]) -> ("y": %y) {
    %c1 = conv_transpose(%x, %a) {strides=[2,2], dilations=[1,1], pads_low=[1,1], pads_high=[1,1], output_padding=[1,1]} : f32[1,8,6,6]
    %r1 = relu(%c1) : f32[1,8,6,6]
    %y = conv_transpose(%r1, %b) {strides=[2,2], dilations=[1,1], pads_low=[0,0], pads_high=[0,0], output_padding=[0,0]} : f32[1,4,13,13]
  })"},
};

/// Inputs but the first that are used become constants; they stay in the signature.
void MakeConstants(Graph& graph) {
  Op* const first = std::find_if(graph.ops().begin(), graph.ops().end(), [](const auto& op) {
                      return !op->Is("input");
                    })->get();
  for (size_t i = 1; i < graph.inputs().size(); ++i) {
    Op* const input = graph.inputs()[i];
    Builder builder(&graph, first);
    const auto constant =
        builder.Constant(testing_support::RandomArray(input->type(), i).ToTensor());
    ASSERT_TRUE(constant.ok()) << constant.status();
    graph.ReplaceAllUses(input, *constant);
  }
}

class NetLayouts : public testing::TestWithParam<Net> {};

TEST_P(NetLayouts, GiveTheSameValues) {
  const auto module = ParseModule(StrCat("module \"m\" {", GetParam().text, "\n}\n"));
  ASSERT_TRUE(module.ok()) << module.status();
  Graph& graph = *(*module)->functions()[0];
  MakeConstants(graph);
  std::vector<Array> inputs;
  for (const Op* const input : graph.inputs()) {
    inputs.push_back(testing_support::RandomArray(input->type(), inputs.size() + 1));
  }
  const auto expected = Interpret(graph, inputs);
  ASSERT_TRUE(expected.ok()) << expected.status();
  for (const int lanes : {4, 8, 16}) {
    auto lowered = Lower(**module, lanes);
    ASSERT_TRUE(lowered.ok()) << lowered.status();
    const auto found =
        testing_support::RunProgram(lowered->program, lowered->program.functions[0], inputs);
    ASSERT_TRUE(found.ok()) << found.status();
    testing_support::ExpectClose((*expected)[0], (*found)[0], StrCat(lanes, " lanes"));
    if (lanes == 4) {
      EXPECT_EQ(lowered->moves, GetParam().moves) << Print(*lowered->module);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, NetLayouts, testing::ValuesIn(kNets),
                         [](const auto& info) { return info.param.name; });

// A 1x1 convolution on the blocked layout: blocks of channels, all positions as one loop, lanes;
// the sum over the input's channels, split like them.
TEST(PointwiseConvolution, IsAProductOverAllPositions) {
  const auto module = ParseModule(R"(module "m" {
  func @f(%x: f32[1,3,9,13], %a: f32[16,3,1,1], %b: f32[32,16,1,1]) -> ("y": %y) {
    %c1 = conv(%x, %a) {strides=[2,2], dilations=[1,1], pads_low=[0,0], pads_high=[0,0]} : f32[1,16,5,7]
    %c2 = conv(%c1, %b) {strides=[1,1], dilations=[1,1], pads_low=[0,0], pads_high=[0,0]} : f32[1,32,5,7]
    %y = relu(%c2) : f32[1,32,5,7]
  }
}
)");
  ASSERT_TRUE(module.ok()) << module.status();
  MakeConstants(*(*module)->functions()[0]);
  const Status status = PassManager(InferencePipeline({.lanes = 16})).Run(**module);
  ASSERT_TRUE(status.ok()) << status;
  LowerOptions options = OptionsFor(16);
  options.schedule = false;
  const auto program = LowerModule(**module, options);
  ASSERT_TRUE(program.ok()) << program.status();
  const auto nest = MatchNest(program->kernels[program->functions[0].steps[1].kernel].body);
  ASSERT_TRUE(nest);
  const std::vector<Nest> parts = SplitBlockedLoops(DropUnitLoops(*nest));
  ASSERT_EQ(parts.size(), 1u);
  const Nest product = CollapseLoops(parts[0]);
  std::vector<int64_t> extents;
  for (const loop::Var& var : product.loops) extents.push_back(var->extent);
  EXPECT_EQ(extents, (std::vector<int64_t>{2, 35, 16}));
  EXPECT_EQ(FindReduce(product.value)->reduce_vars.size(), 1u);
}

// A file may say anything of layouts; what goes by bytes would read past the end of its operand.
TEST(PlainReaders, RefuseOtherLayouts) {
  for (const char* const ops : {
           R"(%r = reshape(%x) {shape=[1,3,2,3]} : f32[1,3,2,3]{||2:500:500}
    %y = relu(%r) : f32[1,3,2,3])",
           R"(%r = softmax(%x) {axis=1} : f32[1,2,3,3]{||2:4:4}
    %y = relu(%r) : f32[1,2,3,3])"}) {
    const auto module = ParseModule(StrCat(
        "module \"m\" {\n  func @f(%x: f32[1,2,3,3]) -> (\"y\": %y) {\n    ", ops, "\n  }\n}\n"));
    ASSERT_TRUE(module.ok()) << module.status();
    const auto program = LowerModule(**module, OptionsFor(4));
    ASSERT_FALSE(program.ok()) << ops;
    EXPECT_NE(program.status().message().find("must be row-major"), std::string::npos)
        << program.status();
  }
}

TEST(RandomLayouts, GiveTheSameValues) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    const auto module = RandomModule(seed, {.min_ops = 4, .max_ops = 12});
    ASSERT_TRUE(module.ok()) << module.status();
    const Graph& graph = *(*module)->functions()[0];
    const std::vector<Array> inputs = RandomInputs(graph, seed);
    const auto expected = Interpret(graph, inputs);
    ASSERT_TRUE(expected.ok()) << expected.status();
    // A comparison or a rounding may hang on the last bit of what is compared.
    const auto rounded = Interpret(graph, inputs, Rounding::kElementType);
    ASSERT_TRUE(rounded.ok()) << rounded.status();
    if (Mismatch(*expected, *rounded, GraphTolerance(**module))) continue;
    auto lowered = Lower(**module, 4);
    ASSERT_TRUE(lowered.ok()) << "seed " << seed << ": " << lowered.status();
    const auto found =
        testing_support::RunProgram(lowered->program, lowered->program.functions[0], inputs);
    ASSERT_TRUE(found.ok()) << "seed " << seed << ": " << found.status();
    const auto mismatch = Mismatch(*expected, *found, GraphTolerance(**module));
    EXPECT_FALSE(mismatch) << "seed " << seed << ": " << *mismatch << "\n" << Print(**module);
  }
}

}  // namespace
}  // namespace kiln
