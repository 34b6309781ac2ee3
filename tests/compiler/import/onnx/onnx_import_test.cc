#include "compiler/import/onnx/onnx_import.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ir/eval/interpreter.h"
#include "ir/graph/verifier.h"
#include "tests/compiler/import/onnx/model_builder.h"

namespace kiln {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr int kInt64 = onnx::TensorProto::INT64;

StatusOr<std::unique_ptr<Module>> Import(ModelBuilder& builder, const ImportOptions& options = {}) {
  auto module = ImportOnnx(builder.model(), "", options);
  if (module.ok()) {
    EXPECT_EQ(Verify(**module), OkStatus());
  }
  return module;
}

std::vector<std::string> Kinds(const Module& module) {
  std::vector<std::string> kinds;
  for (const auto& op : module.FindFunction("forward")->ops()) kinds.push_back(op->kind());
  return kinds;
}

Tensor Floats(Shape shape, const std::vector<double>& values) {
  return Tensor::FromDoubles(ElementType::kF32, std::move(shape), values);
}

std::vector<double> RunForward(const Module& module, const std::vector<Tensor>& inputs) {
  std::vector<Array> arrays;
  for (const Tensor& input : inputs) arrays.push_back(Array::FromTensor(input));
  const auto results = Interpret(*module.FindFunction("forward"), arrays);
  EXPECT_TRUE(results.ok()) << results.status();
  if (!results.ok()) return {};
  return (*results)[0].ToTensor().ToDoubles();
}

TEST(OnnxImport, InitializersBecomeParametersAndUnusedOnesGo) {
  ModelBuilder b;
  b.Input("x", {2, 2}).Output("y");
  b.Initializer("w", Floats({2}, {1, 2})).Initializer("unused", Floats({2}, {1, 2}));
  b.Node("Add", {"x", "w"}, {"y"});
  const auto module = Import(b);
  ASSERT_TRUE(module.ok()) << module.status();
  ASSERT_EQ((*module)->parameters().size(), 1u);
  EXPECT_TRUE((*module)->FindParameter("w")->trainable);
  EXPECT_THAT(Kinds(**module), ElementsAre("input", "parameter", "add"));
}

TEST(OnnxImport, StatisticsOfBatchNormalizationAreNotTrained) {
  ModelBuilder b;
  b.Input("x", {1, 1, 2, 2}).Output("y");
  for (const char* const name : {"scale", "bias", "mean", "variance"}) {
    b.Initializer(name, Floats({1}, {1}));
  }
  b.Node("BatchNormalization", {"x", "scale", "bias", "mean", "variance"}, {"y"});
  const auto module = Import(b);
  ASSERT_TRUE(module.ok()) << module.status();
  EXPECT_TRUE((*module)->FindParameter("scale")->trainable);
  EXPECT_FALSE((*module)->FindParameter("mean")->trainable);
  EXPECT_FALSE((*module)->FindParameter("variance")->trainable);
}

TEST(OnnxImport, OpsKnowTheirNodes) {
  ModelBuilder b;
  b.Input("x", {2}).Output("y").Node("Relu", {"x"}, {"h"}).Node("Abs", {"h"}, {"y"});
  b.graph().mutable_node(0)->set_name("first");
  const auto module = Import(b);
  ASSERT_TRUE(module.ok()) << module.status();
  const auto ops = (*module)->FindFunction("forward")->Snapshot();
  EXPECT_THAT(ops[1]->sources(), ElementsAre("first"));
  EXPECT_THAT(ops[2]->sources(), ElementsAre("y"));  // no name: its output's
  EXPECT_EQ(ops[1]->name(), "h");
}

TEST(OnnxImport, ShapeComputationsFoldAway) {
  ModelBuilder b;
  b.Input("x", {2, 3, 4}).Output("y");
  b.Ints("zero", {0}).Ints("axis0", {0}).Ints("minus_one", {-1});
  b.Node("Shape", {"x"}, {"shape"}).Node("Gather", {"shape", "zero"}, {"batch"});
  b.Node("Concat", {"batch", "minus_one"}, {"target"}, {OnnxInt("axis", 0)});
  b.Node("Reshape", {"x", "target"}, {"y"});
  const auto module = Import(b);
  ASSERT_TRUE(module.ok()) << module.status();
  EXPECT_THAT(Kinds(**module), ElementsAre("input", "reshape"));
  EXPECT_EQ((*module)->FindFunction("forward")->outputs()[0].value->shape(), (Shape{2, 12}));
  EXPECT_TRUE((*module)->parameters().empty());
}

TEST(OnnxImport, AnUnknownShapeIsUnsupported) {
  ModelBuilder b;
  b.Input("x", {4}).Input("shape", {2}, kInt64).Output("y").Node("Reshape", {"x", "shape"}, {"y"});
  const auto module = Import(b);
  EXPECT_EQ(module.status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(Message(module.status()),
            "y: operand 'shape' must be known when compiling; it depends on input 'shape'");
}

TEST(OnnxImport, AKnownInputSpecialisesTheModule) {
  ModelBuilder b;
  b.Input("x", {4}).Input("shape", {2}, kInt64).Output("y").Node("Reshape", {"x", "shape"}, {"y"});
  ImportOptions options;
  options.known_inputs["shape"] = Tensor::FromInts(ElementType::kI64, {2}, {2, 2});
  const auto module = Import(b, options);
  ASSERT_TRUE(module.ok()) << module.status();
  EXPECT_EQ((*module)->FindFunction("forward")->inputs().size(), 2u);  // the signature stays
  EXPECT_EQ((*module)->metadata.at("specialised"), "shape");
}

TEST(OnnxImport, KnownInputsAreNotUsedWhereTheyNeedNotBe) {
  ModelBuilder b;
  b.Input("x", {2}).Input("low", {}).Output("y").Node("Clip", {"x", "low"}, {"y"});
  ImportOptions options;
  options.known_inputs["low"] = Floats({}, {5});
  const auto module = Import(b, options);
  ASSERT_TRUE(module.ok()) << module.status();
  EXPECT_FALSE((*module)->metadata.contains("specialised"));
  EXPECT_THAT(RunForward(**module, {Floats({2}, {1, 9}), Floats({}, {7})}), ElementsAre(7, 9));
}

TEST(OnnxImport, NodesMayStandInAnyAcyclicOrder) {
  ModelBuilder b;
  b.Input("x", {1}).Output("y").Node("Neg", {"h"}, {"y"}).Node("Exp", {"x"}, {"h"});
  const auto module = Import(b);
  ASSERT_TRUE(module.ok()) << module.status();
  EXPECT_THAT(Kinds(**module), ElementsAre("input", "exp", "neg"));
}

TEST(OnnxImport, OpenDimensions) {
  ModelBuilder b;
  b.Input("x", {-1, 3}).Output("y").Node("Relu", {"x"}, {"y"});
  EXPECT_EQ(Message(Import(b).status()),
            "x: dimension 0 'N' of the input's shape is open; give it");
  ImportOptions options;
  options.batch = 8;
  auto module = Import(b, options);
  ASSERT_TRUE(module.ok()) << module.status();
  EXPECT_EQ((*module)->FindFunction("forward")->inputs()[0]->shape(), (Shape{8, 3}));
  options.input_shapes["x"] = {5, 3};
  module = Import(b, options);
  ASSERT_TRUE(module.ok()) << module.status();
  EXPECT_EQ((*module)->FindFunction("forward")->inputs()[0]->shape(), (Shape{5, 3}));
  options.input_shapes["x"] = {5, 4};
  EXPECT_THAT(Message(Import(b, options).status()), HasSubstr("must have 3 in dimension 1"));
  options.input_shapes = {{"z", {1}}};
  EXPECT_EQ(Message(Import(b, options).status()), "the model has no input 'z'");
}

TEST(OnnxImport, EverythingUnsupportedIsSaidAtOnce) {
  ModelBuilder b;
  b.Input("x", {2}).Input("s", {2}, onnx::TensorProto::STRING).Output("y");
  b.Node("Frobnicate", {"x"}, {"a"}).Node("Relu", {"x"}, {"b"}, {OnnxInt("slope", 1)});
  b.Node("Loop", {"x"}, {"c"}).Node("Add", {"a", "b"}, {"y"});
  b.graph().mutable_node(2)->set_domain("com.example");
  const auto module = Import(b);
  EXPECT_EQ(module.status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(Message(module.status()),
            "s: element type STRING is not supported\n"
            "a: operator Frobnicate is not supported\n"
            "b: attribute 'slope' of operator Relu is not supported\n"
            "c: operator com.example.Loop is not supported");
}

TEST(OnnxImport, FailuresOfBuildingAreSaidTogetherOnceEach) {
  ModelBuilder b;
  b.Input("x", {2, 3}).Output("y");
  b.Node("MatMul", {"x", "x"}, {"a"}).Node("Relu", {"a"}, {"b"});  // b is not reported
  b.Node("Softmax", {"x"}, {"c"}, {OnnxInt("axis", 7)}).Node("Add", {"b", "c"}, {"y"});
  const std::string message = Message(Import(b).status());
  EXPECT_THAT(message, HasSubstr("a: matmul: "));
  EXPECT_THAT(message, HasSubstr("\nc: axis 7 is out of range for 2 dimensions"));
  EXPECT_EQ(StrSplit(message, '\n').size(), 2u);
}

TEST(OnnxImport, FunctionsAreInlined) {
  ModelBuilder b;
  b.Input("x", {2}).Output("y").Node("Scaled", {"x"}, {"y"}, {OnnxFloat("factor", 0.5f)});
  b.graph().mutable_node(0)->set_domain("local");
  auto* const function = b.model().add_functions();
  function->set_name("Scaled");
  function->set_domain("local");
  function->add_input("v");
  function->add_input("left_out");
  function->add_output("r");
  function->add_attribute("factor");
  function->add_opset_import()->set_version(17);
  *function->add_node() = OnnxNode("LeakyRelu", {"v"}, {"h"});
  auto* const reference = function->mutable_node(0)->add_attribute();
  reference->set_name("alpha");
  reference->set_ref_attr_name("factor");
  *function->add_node() = OnnxNode("Clip", {"h", "left_out"}, {"r"});
  const auto module = Import(b);
  ASSERT_TRUE(module.ok()) << module.status();
  EXPECT_THAT(RunForward(**module, {Floats({2}, {-4, 4})}), ElementsAre(-2, 4));
}

ModelBuilder IfModel() {
  ModelBuilder b;
  b.Input("c", {}, onnx::TensorProto::BOOL).Input("x", {2}).Output("y");
  b.Node("If", {"c"}, {"y"},
         {OnnxGraph("then_branch", OnnxBranch({OnnxNode("Neg", {"x"}, {"t"})}, {"t"})),
          OnnxGraph("else_branch", OnnxBranch({OnnxNode("Abs", {"x"}, {"e"})}, {"e"}))});
  return b;
}

TEST(OnnxImport, AnIfWithUnknownConditionSelects) {
  ModelBuilder b = IfModel();
  const auto module = Import(b);
  ASSERT_TRUE(module.ok()) << module.status();
  const auto condition = [](double value) {
    return Tensor::FromDoubles(ElementType::kBool, {}, {value});
  };
  EXPECT_THAT(RunForward(**module, {condition(1), Floats({2}, {-4, 4})}), ElementsAre(4, -4));
  EXPECT_THAT(RunForward(**module, {condition(0), Floats({2}, {-4, 4})}), ElementsAre(4, 4));
}

TEST(OnnxImport, AnIfWithKnownConditionIsItsBranch) {
  ModelBuilder b = IfModel();
  ImportOptions options;
  options.known_inputs["c"] = Tensor::FromDoubles(ElementType::kBool, {}, {1});
  const auto module = Import(b, options);
  ASSERT_TRUE(module.ok()) << module.status();
  EXPECT_THAT(Kinds(**module), ElementsAre("input", "input", "neg"));
}

TEST(OnnxImport, SparseInitializers) {
  ModelBuilder b;
  b.Input("x", {2, 2}).Output("y").Node("Add", {"x", "w"}, {"y"});
  auto* const sparse = b.graph().add_sparse_initializer();
  *sparse->mutable_values() = onnx_import::ToProto(Floats({2}, {5, 7}), "w");
  *sparse->mutable_indices() =
      onnx_import::ToProto(Tensor::FromInts(ElementType::kI64, {2, 2}, {0, 1, 1, 0}), "");
  sparse->add_dims(2);
  sparse->add_dims(2);
  const auto module = Import(b);
  ASSERT_TRUE(module.ok()) << module.status();
  EXPECT_THAT(RunForward(**module, {Floats({2, 2}, {0, 0, 0, 0})}), ElementsAre(0, 5, 7, 0));
}

TEST(OnnxImport, OldBroadcastByAxis) {
  ModelBuilder b(6);
  b.Input("x", {2, 2, 1}).Initializer("w", Floats({2}, {10, 20})).Output("y");
  b.Node("Add", {"x", "w"}, {"y"}, {OnnxInt("broadcast", 1), OnnxInt("axis", 0)});
  const auto module = Import(b);
  ASSERT_TRUE(module.ok()) << module.status();
  EXPECT_THAT(RunForward(**module, {Floats({2, 2, 1}, {1, 2, 3, 4})}), ElementsAre(11, 12, 23, 24));
}

TEST(OnnxImport, TheTableSaysVersionsAndLimits) {
  const auto ops = ImportableOps("onnx");
  ASSERT_TRUE(ops.ok()) << ops.status();
  EXPECT_GT(ops->size(), 150u);
  for (const ImportableOp& op : *ops) {
    if (op.name == "Upsample") {
      EXPECT_EQ(op.versions, "7 to 9");
      EXPECT_EQ(op.limits, "known scales");
    }
  }
  EXPECT_FALSE(ImportableOps("nonsense").ok());
}

}  // namespace
}  // namespace kiln
