// Control flow and sequences: what ONNX's own cases do not have, through the interpreter.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiler/import/onnx/onnx_import.h"
#include "ir/eval/interpreter.h"
#include "tests/compiler/import/onnx/evaluate.h"
#include "tests/compiler/import/onnx/model_builder.h"

namespace kiln {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Tensor F32(Shape shape, const std::vector<double>& values) {
  return Tensor::FromDoubles(ElementType::kF32, std::move(shape), values);
}

onnx::GraphProto Body(const std::vector<std::string>& inputs,
                      const std::vector<onnx::NodeProto>& nodes,
                      const std::vector<std::string>& outputs) {
  onnx::GraphProto body = OnnxBranch(nodes, outputs);
  for (const std::string& name : inputs) body.add_input()->set_name(name);
  return body;
}

std::string ImportError(ModelBuilder& b) { return Message(ImportOnnx(b.model(), "", {}).status()); }

/// while (step < trips && s < 10) s = 2 s.
ModelBuilder DoublingLoop(int64_t trips) {
  ModelBuilder b(17);
  b.Input("s", {1}).Output("y").Ints("m", {trips}).Initializer("ten", F32({1}, {10}));
  const auto body = Body(
      {"i", "c", "s_in"},
      {OnnxNode("Add", {"s_in", "s_in"}, {"s_out"}), OnnxNode("Less", {"s_out", "ten"}, {"c_out"})},
      {"c_out", "s_out"});
  b.Node("Loop", {trips < 0 ? "" : "m", "", "s"}, {"y"}, {OnnxGraph("body", body)});
  return b;
}

TEST(OnnxControl, ALoopWhoseConditionIsNotKnownStopsByItself) {
  ModelBuilder b = DoublingLoop(5);
  EXPECT_THAT(Evaluate(b, {F32({1}, {3})}), ElementsAre(12));
  EXPECT_THAT(Evaluate(b, {F32({1}, {1})}), ElementsAre(16));
  EXPECT_THAT(Evaluate(b, {F32({1}, {0.125})}), ElementsAre(4));  // the trip count ends it
  EXPECT_THAT(Evaluate(b, {F32({1}, {50})}), ElementsAre(100));   // the first step is always made
}

TEST(OnnxControl, LoopsThatCannotBeUnrolledAreRefused) {
  ModelBuilder open = DoublingLoop(-1);
  EXPECT_THAT(ImportError(open), HasSubstr("y: neither the trip count nor the condition is known"));
  ModelBuilder endless(17);
  endless.Input("s", {1}).Output("y").Ints("m", {int64_t{1} << 40});
  const auto body =
      Body({"i", "c", "s_in"},
           {OnnxNode("Identity", {"c"}, {"c_out"}), OnnxNode("Add", {"s_in", "s_in"}, {"s_out"})},
           {"c_out", "s_out"});
  endless.Node("Loop", {"m", "", "s"}, {"y"}, {OnnxGraph("body", body)});
  EXPECT_THAT(ImportError(endless), HasSubstr("y: a loop of more than"));
}

TEST(OnnxControl, ALoopOfNoStepsKeepsItsState) {
  ModelBuilder b = DoublingLoop(0);
  EXPECT_THAT(Evaluate(b, {F32({1}, {3})}), ElementsAre(3));
}

TEST(OnnxControl, ScansRunBackwards) {
  // Sums from the end, the last one first.
  ModelBuilder b(17);
  b.Input("x", {3, 1}).Output("sums").Output("total").Initializer("zero", F32({1}, {0}));
  const auto body =
      Body({"s", "e"},
           {OnnxNode("Add", {"s", "e"}, {"s_out"}), OnnxNode("Identity", {"s_out"}, {"out"})},
           {"s_out", "out"});
  b.Node("Scan", {"zero", "x"}, {"total", "sums"},
         {OnnxGraph("body", body), OnnxInt("num_scan_inputs", 1),
          OnnxInts("scan_input_directions", {1}), OnnxInts("scan_output_directions", {1})});
  EXPECT_THAT(Evaluate(b, {F32({3, 1}, {1, 2, 3})}), ElementsAre(6, 5, 3));
}

TEST(OnnxControl, BodiesThatDoNotFitAreRefused) {
  ModelBuilder b(17);
  b.Input("x", {3, 1}).Output("y");
  b.Node("Scan", {"x"}, {"y"},
         {OnnxGraph("body", Body({"a", "b"}, {}, {"a"})), OnnxInt("num_scan_inputs", 1)});
  EXPECT_THAT(ImportError(b), HasSubstr("y: the subgraph has 2 inputs, expected 1"));
}

/// ys = xs with x in front.
ModelBuilder SequenceModel() {
  ModelBuilder b(17);
  auto* const input = b.graph().add_input();
  input->set_name("xs");
  input->mutable_type()
      ->mutable_sequence_type()
      ->mutable_elem_type()
      ->mutable_tensor_type()
      ->set_elem_type(onnx::TensorProto::FLOAT);
  b.Input("x", {2}).Output("ys").Ints("front", {0});
  b.Node("SequenceInsert", {"xs", "x", "front"}, {"ys"});
  return b;
}

TEST(OnnxSequence, ElementsAreInputsAndOutputs) {
  ModelBuilder b = SequenceModel();
  ImportOptions options;
  options.sequence_lengths["xs"] = 2;
  options.input_shapes = {{"xs[0]", {1}}, {"xs[1]", {3}}};
  const auto module = ImportOnnx(b.model(), "", options);
  ASSERT_TRUE(module.ok()) << module.status();
  const Graph& graph = *(*module)->FindFunction("forward");
  ASSERT_EQ(graph.inputs().size(), 3u);
  ASSERT_EQ(graph.outputs().size(), 3u);
  EXPECT_EQ(graph.outputs()[0].name, "ys[0]");
  EXPECT_EQ(graph.outputs()[0].value, graph.inputs()[2]);
  EXPECT_EQ(graph.outputs()[2].name, "ys[2]");
  EXPECT_EQ(graph.outputs()[2].value->shape(), Shape({3}));
}

TEST(OnnxSequence, AnOpenLengthIsRefused) {
  ModelBuilder b = SequenceModel();
  EXPECT_THAT(ImportError(b), HasSubstr("xs: the length of the sequence is open"));
}

TEST(OnnxSequence, WhatIsNoTensorIsNoOperandOfTensors) {
  ModelBuilder b(17);
  b.Input("x", {2}).Output("y");
  b.Node("SequenceConstruct", {"x"}, {"s"}).Node("Relu", {"s"}, {"y"});
  EXPECT_THAT(ImportError(b), HasSubstr("y: is a sequence, expected a tensor"));
}

TEST(OnnxSequence, PositionsAreChecked) {
  ModelBuilder b(17);
  b.Input("x", {2}).Output("y").Ints("at", {1});
  b.Node("SequenceConstruct", {"x"}, {"s"}).Node("SequenceAt", {"s", "at"}, {"y"});
  EXPECT_THAT(ImportError(b), HasSubstr("y: position 1 is out of range in a sequence of 1"));
}

}  // namespace
}  // namespace kiln
