// The accuracy of compiled Winograd convolutions, as docs/performance.md states it: the largest
// error against a direct convolution in double precision, by the root mean square of the results.
#include <gtest/gtest.h>

#include <cmath>

#include "compiler/codegen/target_info.h"
#include "compiler/compile.h"
#include "ir/eval/interpreter.h"
#include "ir/graph/builder.h"
#include "ir/graph/parser.h"
#include "tests/compiler/compiled_run.h"
#include "tests/support/arrays.h"

namespace kiln {
namespace {

struct Convolution {
  const char* name;
  Winograd tiles;
  int64_t inputs, outputs, extent, kernel;
  int64_t images = 1;
};

/// A function of one padded convolution with constant weights: He-normal in scale, so that results
/// have the size of the inputs.
std::unique_ptr<Module> MakeModule(const Convolution& c) {
  auto module = std::make_unique<Module>();
  Graph* const graph = module->AddFunction("forward");
  Builder builder(graph);
  const TensorType x_type{ElementType::kF32, {c.images, c.inputs, c.extent, c.extent}};
  const TensorType w_type{ElementType::kF32, {c.outputs, c.inputs, c.kernel, c.kernel}};
  const double bound = std::sqrt(6.0 / static_cast<double>(c.inputs * c.kernel * c.kernel));
  Op* const x = *builder.Input("x", x_type);
  Op* const w = *builder.Constant(RandomArray(w_type, 1, "w", {-bound, bound}).ToTensor());
  const std::vector<int64_t> ones = {1, 1}, pads = {c.kernel / 2, c.kernel / 2};
  Op* const y = *builder.Make(
      "conv", {x, w},
      {{"strides", ones}, {"dilations", ones}, {"pads_low", pads}, {"pads_high", pads}});
  graph->AddOutput("y", y);
  return module;
}

class WinogradAccuracyTest : public testing::TestWithParam<Convolution> {};

/// The largest error of the compiled `module`, as a share of the results' root mean square; fails
/// unless one op of it becomes `kind`.
double ErrorOf(const Module& module, Winograd tiles, std::string_view kind) {
  const Graph& graph = *module.FindFunction("forward");
  const std::vector<Array> inputs = RandomInputs(graph, 5);
  const auto expected = Interpret(graph, inputs);
  EXPECT_TRUE(expected.ok()) << expected.status();
  const auto target = HostTarget();
  EXPECT_TRUE(target.ok()) << target.status();
  const CompileOptions options{.target = *target, .winograd = tiles};

  const auto optimized = module.Clone();
  EXPECT_TRUE(Optimize(*optimized, options).ok());
  int winograd = 0;
  for (const auto& op : optimized->FindFunction("forward")->ops()) winograd += op->Is(kind);
  EXPECT_EQ(winograd, 1);

  const auto executable = CompileForHost(module.Clone(), options);
  EXPECT_TRUE(executable.ok()) << executable.status();
  const auto actual = testing_support::RunCompiled(**executable, "forward", inputs);
  EXPECT_TRUE(actual.ok()) << actual.status();
  double worst = 0, squares = 0;
  const auto count = static_cast<size_t>((*expected)[0].count());
  for (size_t i = 0; i < count; ++i) {
    const double e = (*expected)[0].floats[i];
    worst = std::max(worst, std::abs((*actual)[0].floats[i] - e));
    squares += e * e;
  }
  return worst / std::sqrt(squares / static_cast<double>(count));
}

TEST_P(WinogradAccuracyTest, ErrorIsBounded) {
  const double error = ErrorOf(*MakeModule(GetParam()), GetParam().tiles, "winograd_conv");
  RecordProperty("error", std::to_string(error));
  EXPECT_LE(error, 2e-5);
  EXPECT_GT(error, 0);
}

TEST(WinogradGradientTest, ErrorIsBounded) {
  for (const Winograd tiles : {Winograd::kTile2, Winograd::kTile4}) {
    const auto module = ParseModule(R"(module "m" {
      func @forward(%x: f32[2,32,28,28], %dy: f32[2,32,28,28]) -> ("dw": %dw) {
        %dw = conv_weight_gradient(%x, %dy) {strides=[1,1], dilations=[1,1], pads_low=[1,1],
            pads_high=[1,1], kernel=[3,3]} : f32[32,32,3,3]
      }
    })");
    ASSERT_TRUE(module.ok()) << module.status();
    const double error = ErrorOf(**module, tiles, "winograd_weight_gradient");
    RecordProperty("error", std::to_string(error));
    EXPECT_LE(error, 2e-5);
    EXPECT_GT(error, 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, WinogradAccuracyTest,
                         testing::Values(Convolution{"Tile2", Winograd::kTile2, 128, 64, 28, 3},
                                         Convolution{"Tile4", Winograd::kTile4, 128, 64, 28, 3},
                                         Convolution{"Tile4Deep", Winograd::kTile4, 512, 32, 14, 3},
                                         Convolution{"Kernel5", Winograd::kTile2, 96, 64, 27, 5}),
                         [](const auto& info) { return info.param.name; });

// 9.4 MB of weights for 16 tiles of 4x4 come from memory in each call: less than half as many do
// for 2x2. With more images, the products are what counts.
TEST(WinogradChoiceTest, TilesAreSmallerWhereTheirWeightsWouldComeFromMemory) {
  for (const auto& [images, tile] : {std::pair(1, 2), std::pair(8, 4)}) {
    const auto module = MakeModule({"Large", Winograd::kAuto, 256, 256, 14, 3, images});
    const auto target = MakeTarget("x86_64-linux-gnu", "x86-64-v4");
    ASSERT_TRUE(target.ok()) << target.status();
    ASSERT_TRUE(Optimize(*module, {.target = *target}).ok());
    int found = 0;
    for (const auto& op : module->FindFunction("forward")->ops()) {
      if (op->Is("winograd_conv")) found = static_cast<int>(op->Int("tile"));
    }
    EXPECT_EQ(found, tile) << images;
  }
}

}  // namespace
}  // namespace kiln
