#include "compiler/import/tensorflow/tensorflow_import.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/tensorflow.pb.h"
#include "tests/compiler/import/import_test_util.h"

namespace kiln {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pointwise;

StatusOr<std::unique_ptr<Module>> Import(const std::string& graph,
                                         const ImportOptions& options = {}) {
  return ImportTensorflow(Bytes(graph), "", options);
}

std::string Input(const Shape& shape, const std::string& type = "DT_FLOAT") {
  std::string text =
      "node { name: 'x' op: 'Placeholder' attr { key: 'dtype' value { type: " + type +
      " } } attr { key: 'shape' value { shape {";
  for (const int64_t extent : shape) text += StrCat(" dim { size: ", extent, " }");
  return text + " } } } }\nversions { producer: 24 }\n";
}

std::string Const(const std::string& name, const Shape& shape, const std::string& values,
                  const std::string& type = "DT_INT32") {
  std::string text = "node { name: '" + name +
                     "' op: 'Const' attr { key: 'dtype' value { type: " + type +
                     " } } attr { key: 'value' value { tensor { dtype: " + type + " tensor_shape {";
  for (const int64_t extent : shape) text += StrCat(" dim { size: ", extent, " }");
  return text + " } " + values + " } } } }\n";
}

std::string Ints(const std::string& name, const std::vector<int64_t>& values) {
  std::string list;
  for (const int64_t value : values) list += StrCat(" int_val: ", value);
  return Const(name, {static_cast<int64_t>(values.size())}, list);
}

std::string Int(const std::string& name, int64_t value) {
  return Const(name, {}, StrCat("int_val: ", value));
}

std::string FloatConst(const std::string& name, const Shape& shape,
                       const std::vector<double>& values) {
  std::string list;
  for (const double value : values) list += " float_val: " + FormatDouble(value);
  return Const(name, shape, list, "DT_FLOAT");
}

std::string Attr(const std::string& key, const std::string& value) {
  return " attr { key: '" + key + "' value { " + value + " } }";
}

std::string ListAttr(const std::string& key, const std::vector<int64_t>& values) {
  std::string list;
  for (const int64_t value : values) list += StrCat(" i: ", value);
  return Attr(key, "list {" + list + " }");
}

std::string NodeText(const std::string& name, const std::string& op,
                     const std::vector<std::string>& inputs, const std::string& attributes = "") {
  std::string text = "node { name: '" + name + "' op: '" + op + "'";
  for (const std::string& input : inputs) text += " input: '" + input + "'";
  return text + attributes + " }\n";
}

auto Near(const std::vector<double>& expected) { return Pointwise(DoubleNear(1e-5), expected); }

TEST(TensorflowImport, OperatorsComputeWhatTensorflowDefines) {
  struct Case {
    std::string nodes;  // of which y is the result
    std::vector<double> expected;
  };
  const Case cases[] = {
      {NodeText("y", "Relu6", {"x"}), {0, 0.5, 2}},
      {NodeText("y", "LeakyRelu", {"x"}, Attr("alpha", "f: 0.5")), {-0.5, 0.5, 2}},
      {NodeText("y", "Square", {"x"}), {1, 0.25, 4}},
      {NodeText("y", "Softmax", {"x"}), {0.03911257, 0.17529039, 0.78559704}},
      {NodeText("y", "AddN", {"x", "x", "x"}), {-3, 1.5, 6}},
      {FloatConst("c", {}, {2}) + NodeText("y", "FloorDiv", {"x", "c"}), {-1, 0, 1}},
      {FloatConst("c", {3}, {1, 1, 0}) + NodeText("y", "DivNoNan", {"x", "c"}), {-1, 0.5, 0}},
      {Ints("a", {1}) + NodeText("y", "Mean", {"x", "a"}), {0.5}},
      {Int("a", 1) + NodeText("y", "ArgMax", {"x", "a"}), {2}},
      {Int("k", 2) + NodeText("y", "TopKV2", {"x", "k"}), {2, 0.5}},
      {Int("a", 1) + NodeText("y", "Cumsum", {"x", "a"}), {-1, -0.5, 1.5}},
      {Ints("m", {1, 2}) + NodeText("y", "Tile", {"x", "m"}), {-1, 0.5, 2, -1, 0.5, 2}},
      {Ints("a", {1}) + NodeText("y", "ReverseV2", {"x", "a"}), {2, 0.5, -1}},
      {Ints("p", {1, 0}) + NodeText("y", "Transpose", {"x", "p"}), {-1, 0.5, 2}},
      {Const("p", {2, 2}, "int_val: 0 int_val: 0 int_val: 1 int_val: 0") +
           NodeText("y", "Pad", {"x", "p"}),
       {0, -1, 0.5, 2}},
      {Int("a", 1) + NodeText("y", "ConcatV2", {"x", "x", "a"}), {-1, 0.5, 2, -1, 0.5, 2}},
      {NodeText("y", "LRN", {"r"}, Attr("depth_radius", "i: 1") + Attr("beta", "f: 1")) +
           Ints("s", {1, 1, 1, 3}) + NodeText("r", "Reshape", {"x", "s"}),
       {-1 / 2.25, 0.5 / 6.25, 2 / 5.25}},
      {NodeText("y", "L2Loss", {"x"}), {2.625}},
      {NodeText("y", "Cast", {"x"}, Attr("DstT", "type: DT_INT32")), {-1, 0, 2}},
      {NodeText("y", "ZerosLike", {"x"}), {0, 0, 0}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.nodes);
    EXPECT_THAT(Evaluate(Import(Input({1, 3}) + c.nodes), {Floats({1, 3}, {-1, 0.5, 2})}),
                Near(c.expected));
  }
}

TEST(TensorflowImport, StridedSliceReadsItsMasks) {
  struct Case {
    std::vector<int64_t> begin, end, strides;
    std::string masks;
    Shape shape;  // of the slice of [2, 3] = 0..5
    std::vector<double> expected;
  };
  const Case cases[] = {
      {{0, 1}, {2, 3}, {1, 1}, "", {2, 2}, {1, 2, 4, 5}},
      {{1, 0}, {2, 3}, {1, 2}, "", {1, 2}, {3, 5}},
      {{1}, {2}, {1}, Attr("shrink_axis_mask", "i: 1"), {3}, {3, 4, 5}},
      {{0, 0},
       {0, 0},
       {1, -1},
       Attr("begin_mask", "i: 3") + Attr("end_mask", "i: 3"),
       {2, 3},
       {2, 1, 0, 5, 4, 3}},
      {{0, 1},
       {0, 2},
       {1, 1},
       Attr("ellipsis_mask", "i: 1") + Attr("shrink_axis_mask", "i: 2"),
       {2},
       {1, 4}},
      {{0, 0}, {0, 1}, {1, 1}, Attr("new_axis_mask", "i: 1"), {1, 1, 3}, {0, 1, 2}},
      {{-1, -2}, {9, -1}, {1, 1}, "", {1, 1}, {4}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.masks);
    const auto module =
        Import(Input({2, 3}) + Ints("b", c.begin) + Ints("e", c.end) + Ints("s", c.strides) +
               NodeText("y", "StridedSlice", {"x", "b", "e", "s"}, c.masks));
    EXPECT_THAT(Evaluate(module, {Ramp({2, 3})}), Near(c.expected));
    EXPECT_EQ(OutputShape(**module), c.shape);
  }
}

TEST(TensorflowImport, ShapeChainsFoldAway) {
  const auto module = Import(
      Input({2, 3, 4}) + NodeText("s", "Shape", {"x"}) + Ints("zero", {0}) + Ints("one", {1}) +
      NodeText("n", "StridedSlice", {"s", "zero", "one", "one"}, Attr("shrink_axis_mask", "i: 1")) +
      Int("rest", -1) + NodeText("p", "Pack", {"n", "rest"}) +
      NodeText("y", "Reshape", {"x", "p"}));
  ASSERT_TRUE(module.ok()) << module.status();
  EXPECT_EQ(OutputShape(**module), (Shape{2, 12}));
  EXPECT_EQ((*module)->FindFunction("forward")->ops().size(), 2u);
}

TEST(TensorflowImport, PaddingSameAndValid) {
  const auto extent = [](const std::string& padding, int64_t stride) {
    const auto module =
        Import(Input({1, 5, 5, 1}) +
               NodeText("y", "MaxPool", {"x"},
                        Attr("padding", "s: '" + padding + "'") + ListAttr("ksize", {1, 2, 2, 1}) +
                            ListAttr("strides", {1, stride, stride, 1})));
    EXPECT_TRUE(module.ok()) << module.status();
    return module.ok() ? OutputShape(**module)[1] : -1;
  };
  EXPECT_EQ(extent("SAME", 1), 5);
  EXPECT_EQ(extent("SAME", 2), 3);
  EXPECT_EQ(extent("VALID", 1), 4);
  EXPECT_EQ(extent("VALID", 2), 2);
}

TEST(TensorflowImport, ConvolutionsOfBothOrders) {
  const std::string w = FloatConst("w", {1, 1, 2, 1}, {10, 1});
  const std::string attributes = Attr("padding", "s: 'SAME'") + ListAttr("strides", {1, 1, 1, 1});
  const auto last =
      Import(Input({1, 1, 2, 2}) + w + NodeText("y", "Conv2D", {"x", "w"}, attributes));
  EXPECT_THAT(Evaluate(last, {Ramp({1, 1, 2, 2}, 1, 1)}), ElementsAre(12, 34));
  const auto first =
      Import(Input({1, 2, 1, 2}) + w +
             NodeText("y", "Conv2D", {"x", "w"}, attributes + Attr("data_format", "s: 'NCHW'")));
  EXPECT_THAT(Evaluate(first, {Ramp({1, 2, 1, 2}, 1, 1)}), ElementsAre(13, 24));
  const auto depthwise = Import(Input({1, 1, 1, 2}) + FloatConst("d", {1, 1, 2, 2}, {1, 2, 3, 4}) +
                                NodeText("y", "DepthwiseConv2dNative", {"x", "d"}, attributes));
  EXPECT_THAT(Evaluate(depthwise, {Floats({1, 1, 1, 2}, {1, 10})}), ElementsAre(1, 2, 30, 40));
}

TEST(TensorflowImport, SpaceToBatchAroundAConvolutionIsDilation) {
  const std::string graph =
      Input({1, 4, 4, 1}) + FloatConst("w", {2, 2, 1, 1}, {1, 1, 1, 1}) + Ints("block", {2, 2}) +
      Const("pads", {2, 2}, "int_val: 1") + Const("crops", {2, 2}, "int_val: 0") +
      NodeText("s", "SpaceToBatchND", {"x", "block", "pads"}) +
      NodeText("c", "Conv2D", {"s", "w"},
               Attr("padding", "s: 'VALID'") + ListAttr("strides", {1, 1, 1, 1}));
  const auto fused = Import(graph + NodeText("y", "BatchToSpaceND", {"c", "block", "crops"}));
  ASSERT_TRUE(fused.ok()) << fused.status();
  EXPECT_EQ(CountOps(**fused, "conv"), 1);
  EXPECT_EQ(CountOps(**fused, "pad"), 0);
  // The identity between them hides the pattern: the general form must give the same.
  const auto general = Import(graph + NodeText("i", "Identity", {"c"}) +
                              NodeText("y", "BatchToSpaceND", {"i", "block", "crops"}));
  EXPECT_EQ(CountOps(**general, "pad"), 1);
  EXPECT_EQ(Evaluate(fused, {Ramp({1, 4, 4, 1})}), Evaluate(general, {Ramp({1, 4, 4, 1})}));
}

TEST(TensorflowImport, ConstantsRepeatTheirLastValue) {
  const auto module = Import(Input({3}) + Const("c", {3}, "float_val: 1 float_val: 5", "DT_FLOAT") +
                             NodeText("y", "Add", {"x", "c"}));
  EXPECT_THAT(Evaluate(module, {Floats({3}, {0, 0, 0})}), ElementsAre(1, 5, 5));
  EXPECT_NE((*module)->FindParameter("c"), nullptr);
}

TEST(TensorflowImport, HalvesBecomeWeights) {
  const auto module = Import(Input({1}) + Const("h", {1}, "half_val: 15360", "DT_HALF") +
                             NodeText("c", "Cast", {"h"}, Attr("DstT", "type: DT_FLOAT")) +
                             NodeText("y", "Mul", {"x", "c"}));
  EXPECT_THAT(Evaluate(module, {Floats({1}, {3})}), ElementsAre(3));
  EXPECT_EQ((*module)->FindParameter("c")->value.type().element, ElementType::kF32);
}

TEST(TensorflowImport, FlagsOfTrainingFold) {
  const auto module =
      Import(Input({1}) + Const("flag", {}, "bool_val: false", "DT_BOOL") +
             NodeText("s", "Switch", {"x", "flag"}) + NodeText("train", "Exp", {"s:1"}) +
             NodeText("test", "Neg", {"s"}) + NodeText("y", "Merge", {"test", "train"}));
  EXPECT_THAT(Evaluate(module, {Floats({1}, {3})}), ElementsAre(-3));
}

TEST(TensorflowImport, FunctionsAreInlined) {
  const std::string library = R"(library { function {
    signature { name: 'twice' input_arg { name: 'a' } output_arg { name: 'r' } }
    node_def { name: 'two' op: 'Const' attr { key: 'dtype' value { type: DT_FLOAT } }
               attr { key: 'value' value { tensor { dtype: DT_FLOAT tensor_shape { }
                                                    float_val: 2 } } } }
    node_def { name: 'm' op: 'Mul' input: 'a' input: 'two:output:0' }
    ret { key: 'r' value: 'm:z:0' } } })";
  const std::string call = Attr("f", "func { name: 'twice' }");
  const auto module = Import(Input({1}) + NodeText("c", "PartitionedCall", {"x"}, call) +
                             NodeText("y", "StatefulPartitionedCall", {"c"}, call) + library);
  EXPECT_THAT(Evaluate(module, {Floats({1}, {3})}), ElementsAre(12));
}

TEST(TensorflowImport, FunctionsThatCallThemselvesAreRefused) {
  const std::string call = Attr("f", "func { name: 'f' }");
  const auto module = Import(Input({1}) + NodeText("y", "PartitionedCall", {"x"}, call) +
                             "library { function { signature { name: 'f' input_arg { name: 'a' } "
                             "output_arg { name: 'r' } } node_def { name: 'c' op: "
                             "'PartitionedCall' input: 'a'" +
                             call +
                             " } ret { key: 'r' value: "
                             "'c:output:0' } } }");
  EXPECT_THAT(Message(module.status()), HasSubstr("too deep"));
}

TEST(TensorflowImport, OpenDimensions) {
  const std::string graph = Input({-1, 2}) + NodeText("y", "Relu", {"x"});
  EXPECT_THAT(Message(Import(graph).status()),
              HasSubstr("x: dimension 0 of the input's shape is open; give it"));
  ImportOptions options;
  options.batch = 3;
  const auto module = Import(graph, options);
  ASSERT_TRUE(module.ok()) << module.status();
  EXPECT_EQ(OutputShape(**module), (Shape{3, 2}));
}

TEST(TensorflowImport, ControlInputsAndSideEffectsAreLeftOut) {
  const auto module = Import(Input({1}) + NodeText("y", "Neg", {"x", "^check"}) +
                             NodeText("check", "Assert", {"x"}) + NodeText("no", "NoOp", {}));
  EXPECT_THAT(Evaluate(module, {Floats({1}, {3})}), ElementsAre(-3));
  EXPECT_THAT(OutputNames(**module), ElementsAre("y"));
}

TEST(TensorflowImport, EverythingUnsupportedIsSaidAtOnce) {
  const auto module = Import(Input({1}) + NodeText("a", "NonMaxSuppression", {"x"}) +
                             NodeText("b", "Frobnicate", {"a"}) + NodeText("y", "Add", {"b"}));
  EXPECT_THAT(Message(module.status()),
              "a: operator NonMaxSuppression is not supported\n"
              "b: operator Frobnicate is not supported\n"
              "y: has 1 inputs, expected 2");
}

TEST(TensorflowImport, MalformedGraphsGiveOneLine) {
  EXPECT_THAT(Message(Import(NodeText("y", "Relu", {"nowhere"})).status()),
              HasSubstr("value 'nowhere' is not defined"));
  EXPECT_THAT(Message(Import(NodeText("a", "Neg", {"b"}) + NodeText("b", "Neg", {"a"}) +
                             NodeText("y", "Neg", {"a"}))
                          .status()),
              HasSubstr("cycle"));
  EXPECT_THAT(Message(Import(Input({1}) + NodeText("x", "Neg", {"x"})).status()),
              HasSubstr("more than once"));
  EXPECT_FALSE(Import("node {").ok());
  EXPECT_FALSE(Import(NodeText("c", "Const", {}) + NodeText("y", "Neg", {"c"})).ok());
}

TEST(TensorflowImport, HostileNumbersAreRefused) {
  const std::string bad[] = {
      Const("c", {1 << 30, 1 << 30, 1 << 30}, "float_val: 1", "DT_FLOAT") +
          NodeText("y", "Neg", {"c"}),
      Const("c", {1 << 30, 4}, "float_val: 1 float_val: 2", "DT_FLOAT") +
          NodeText("y", "Neg", {"c"}),
      Const("c", {-1}, "float_val: 1", "DT_FLOAT") + NodeText("y", "Neg", {"c"}),
      Const("c", {1}, "float_val: 1 float_val: 2", "DT_FLOAT") + NodeText("y", "Neg", {"c"}),
      Ints("s", {1 << 30, 1 << 30, 1 << 30}) + NodeText("y", "Reshape", {"x", "s"}),
      Ints("m", {1 << 30, 1 << 30, 1 << 30, 1}) + NodeText("y", "Tile", {"x", "m"}),
      Ints("d", {1 << 30, 1 << 30, 1 << 30}) + FloatConst("v", {}, {1}) +
          NodeText("y", "Fill", {"d", "v"}),
      FloatConst("a", {}, {0}) + FloatConst("z", {}, {0}) + FloatConst("e", {}, {1e30}) +
          NodeText("y", "Range", {"a", "e", "z"}),
      NodeText("y", "MaxPool", {"x"},
               Attr("padding", "s: 'VALID'") + ListAttr("ksize", {1, 0, 1, 1}) +
                   ListAttr("strides", {1, 1, 1, 1})),
      NodeText("y", "MaxPool", {"x"},
               Attr("padding", "s: 'OTHER'") + ListAttr("ksize", {1, 1, 1, 1}) +
                   ListAttr("strides", {1, 1, 1, 1})),
      NodeText("y", "MaxPool", {"x"},
               Attr("padding", "s: 'SAME'") + ListAttr("ksize", {1, 2, 2, 1}) +
                   ListAttr("strides", {2, 1, 1, 1})),
      NodeText("y", "DepthToSpace", {"x"}, Attr("block_size", "i: 3")),
      NodeText("y", "LRN", {"x"}, Attr("depth_radius", "i: -2")),
      NodeText("y", "Unpack", {"x"}, Attr("num", "i: 100000")),
      Int("a", 9) + NodeText("y", "ConcatV2", {"x", "x", "a"}),
  };
  for (const std::string& nodes : bad) {
    SCOPED_TRACE(nodes);
    const auto module = Import(Input({1, 4, 4, 2}) + nodes);
    EXPECT_FALSE(module.ok());
    EXPECT_EQ(StrSplit(Message(module.status()), '\n').size(), 1u);
  }
}

TEST(TensorflowImport, TheFormatIsToldFromItsContent) {
  tensorflow::GraphDef graph;
  auto* const node = graph.add_node();
  node->set_name("x");
  node->set_op("Placeholder");
  EXPECT_TRUE(DetectTensorflow(Bytes(graph.SerializeAsString())));
  EXPECT_TRUE(DetectTensorflow(Bytes("node { name: 'x' }")));
  EXPECT_FALSE(DetectTensorflow(Bytes("layer { name: 'x' }")));
}

}  // namespace
}  // namespace kiln
