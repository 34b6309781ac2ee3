#include "compiler/export/onnx/onnx_export.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "compiler/import/onnx/onnx_import.h"
#include "ir/eval/interpreter.h"
#include "ir/graph/builder.h"
#include "ir/graph/parser.h"
#include "tests/compiler/op_cases.h"
#include "tests/support/temporary_folder.h"

namespace kiln {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::unique_ptr<Module> Parsed(const std::string& text) {
  auto module = ParseModule(text);
  EXPECT_TRUE(module.ok()) << module.status();
  return module.ok() ? *std::move(module) : std::make_unique<Module>();
}

/// The operators of a model's nodes, in order.
std::vector<std::string> Operators(const onnx::ModelProto& model) {
  std::vector<std::string> types;
  for (const auto& node : model.graph().node()) types.push_back(node.op_type());
  return types;
}

/// ONNX keeps scales as f32: where another one rounds, nearest may round the other way at a tie.
bool HoldsOtherScales(const Graph& function) {
  for (const auto& op : function.ops()) {
    if (!op->Is("resize") || op->String("mode") != "nearest") continue;
    for (const double scale : op->Doubles("scales")) {
      if (scale != static_cast<float>(scale)) return true;
    }
  }
  return false;
}

// Every case of every op, written, read back and interpreted.
TEST(OnnxExport, OpCasesComputeTheSameAfterARoundTrip) {
  int compared = 0, written = 0;
  std::set<std::string> refused;
  testing_support::CompareOpCases(
      [&](const Module& module) -> StatusOr<testing_support::RunFunction> {
        return [&](const std::string& name,
                   const std::vector<Array>& inputs) -> StatusOr<std::vector<Array>> {
          const Graph& function = *module.FindFunction(name);
          if (HoldsOtherScales(function)) return Interpret(function, inputs);
          StatusOr<onnx::ModelProto> model = ExportOnnx(module, {.function = name});
          if (!model.ok() && absl::IsUnimplemented(model.status())) {
            for (const std::string& line : StrSplit(Message(model.status()), '\n')) {
              refused.insert(line.substr(line.find("ONNX has no")));
            }
            return Interpret(function, inputs);
          }
          KILN_RETURN_IF_ERROR(model.status());
          KILN_ASSIGN_OR_RETURN(const auto read, ImportOnnx(*std::move(model), "", {}));
          ++written;
          return Interpret(*read->FindFunction("forward"), inputs);
        };
      },
      &compared);
  EXPECT_GT(written, 700);
  std::erase_if(refused, [](const std::string& why) { return why.find("layout") != why.npos; });
  // What training and the passes make, and what the format lacks.
  const auto no_operator = [](const char* what) {
    return StrCat("ONNX has no operator for ", what);
  };
  EXPECT_THAT(
      refused,
      ElementsAre(no_operator("conv_weight_gradient"), no_operator("fold"), no_operator("fusion"),
                  no_operator("max_pool_taps"), no_operator("max_unpool"),
                  no_operator("random_uniform"), no_operator("resize with tf_half_pixel_for_nn"),
                  no_operator("round_to_float"), no_operator("shift_left of signed integers"),
                  no_operator("sum_unpool"), no_operator("window_sum"),
                  no_operator("winograd_conv"), no_operator("winograd_weight_gradient"),
                  no_operator("winograd_weights")));
}

TEST(OnnxExport, WritesBiasesWithTheirContractions) {
  const auto module = Parsed(R"(
module "m" {
  parameter "b" : f32[3] = dense([1.0,2.0,3.0])
  func @forward(%x: f32[2,4,5,5], %w: f32[3,4,1,1], %m: f32[2,3]) -> ("y": %sum, "z": %gemm) {
    %conv = conv(%x, %w) {strides=[1,1], dilations=[1,1], pads_low=[0,0], pads_high=[0,0]} : f32[2,3,5,5] loc("c1")
    %bias = parameter() {name="b"} : f32[3]
    %shaped = reshape(%bias) {shape=[3,1,1]} : f32[3,1,1]
    %sum = add(%conv, %shaped) : f32[2,3,5,5] loc("c1")
    %product = matmul(%m, %m) {transpose_b=true} : f32[2,2]
    %gemm = add(%product, %product) : f32[2,2]
  }
})");
  const auto model = ExportOnnx(*module);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_THAT(Operators(*model), ElementsAre("Reshape", "Reshape", "Conv", "Gemm", "Add"));
  EXPECT_EQ(model->graph().node(2).input_size(), 3);
  EXPECT_EQ(model->graph().node(2).output(0), "y");
  EXPECT_EQ(model->graph().node(3).input_size(), 2);
  EXPECT_EQ(model->graph().initializer(0).name(), "b");
}

TEST(OnnxExport, NamesOutputsThatAreInputsOrTwice) {
  const auto module = Parsed(R"(
module "m" {
  func @forward(%x: f32[2]) -> ("a": %x, "b": %y, "c": %y) {
    %y = relu(%x) : f32[2]
  }
})");
  const auto model = ExportOnnx(*module);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_THAT(Operators(*model), ElementsAre("Relu", "Identity", "Identity"));
  const auto read = ImportOnnx(*model, "", {});
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ((*read)->FindFunction("forward")->outputs().size(), 3u);
}

TEST(OnnxExport, LeavesTheBatchOpen) {
  const auto module = Parsed(R"(
module "m" {
  func @forward(%x: f32[2,3,4]) -> ("y": %y) {
    %flat = reshape(%x) {shape=[2,12]} : f32[2,12]
    %y = relu(%flat) : f32[2,12]
  }
})");
  const auto model = ExportOnnx(*module, {.open_batch = true});
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(model->graph().input(0).type().tensor_type().shape().dim(0).dim_param(), "N");
  EXPECT_EQ(model->graph().output(0).type().tensor_type().shape().dim(0).dim_param(), "N");
  ImportOptions options;
  options.batch = 5;
  const auto read = ImportOnnx(*model, "", options);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ((*read)->FindFunction("forward")->outputs()[0].value->shape(), (Shape{5, 12}));
}

TEST(OnnxExport, RefusesWhatOnnxCannotSayAllAtOnce) {
  const auto module = Parsed(R"(
module "m" {
  func @forward(%key: i64[2]) -> ("a": %a, "b": %b) {
    %a = random_uniform(%key) {shape=[2], stream=0} : f32[2] loc("first")
    %b = random_uniform(%key) {shape=[2], stream=1} : f32[2] loc("second")
  }
})");
  const auto model = ExportOnnx(*module);
  ASSERT_FALSE(model.ok());
  EXPECT_THAT(Message(model.status()),
              testing::AllOf(HasSubstr("first: ONNX has no operator for random_uniform"),
                             HasSubstr("second: ONNX has no operator for random_uniform")));
}

TEST(OnnxExport, SavesAFileThatIsReadBack) {
  const TemporaryFolder folder;
  const auto module = Parsed(R"(
module "net" {
  parameter "w" : f32[2,2] = dense([1.0,2.0,3.0,4.0])
  func @forward(%x: f32[1,2]) -> ("y": %d) {
    %w = parameter() {name="w"} : f32[2,2]
    %y = matmul(%x, %w) : f32[1,2]
    %d = dropout(%y) {ratio=0.25} : f32[1,2]
  }
})");
  ASSERT_TRUE(SaveOnnx(*module, folder / "net.onnx").ok());
  const auto read = ImportOnnxFile(folder / "net.onnx", {});
  ASSERT_TRUE(read.ok()) << read.status();
  const Parameter* const w = (*read)->FindParameter("w");
  ASSERT_NE(w, nullptr);
  EXPECT_THAT(w->value.ToDoubles(), ElementsAre(1, 2, 3, 4));
  const Op* const dropout = (*read)->FindFunction("forward")->outputs()[0].value;
  ASSERT_TRUE(dropout->Is("dropout"));
  EXPECT_EQ(dropout->Double("ratio"), 0.25);
}

}  // namespace
}  // namespace kiln
