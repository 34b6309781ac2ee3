#include "compiler/import/caffe2/caffe2_import.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiler/import/caffe/caffe_import.h"
#include "proto/caffe2.pb.h"
#include "tests/compiler/import/import_test_util.h"

namespace kiln {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pointwise;

StatusOr<std::unique_ptr<Module>> Import(const std::string& predict, const std::string& init = "",
                                         const ImportOptions& options = {}) {
  return ImportCaffe2(Bytes(predict), Bytes(init), options);
}

ImportOptions WithShape(const Shape& shape) {
  ImportOptions options;
  options.input_shapes["x"] = shape;
  return options;
}

// A net of one operator with input x and output y.
std::string OneOp(const std::string& type, const std::string& arguments = "",
                  const std::string& inputs = "input: 'x'") {
  return "op { " + inputs + " output: 'y' type: '" + type + "' " + arguments + " }";
}

std::string Fill(const std::string& name, const Shape& shape, const std::vector<double>& values) {
  std::string text = "op { output: '" + name + "' type: 'GivenTensorFill' arg { name: 'shape'";
  for (const int64_t extent : shape) text += StrCat(" ints: ", extent);
  text += " } arg { name: 'values'";
  for (const double value : values) text += StrCat(" floats: ", FormatDouble(value));
  return text + " } }\n";
}

auto Near(const std::vector<double>& expected) { return Pointwise(DoubleNear(1e-5), expected); }

TEST(Caffe2Import, OperatorsComputeWhatCaffe2Defines) {
  struct Case {
    const char* type;
    const char* arguments;
    std::vector<double> expected;  // of [[-1, 0.5, 2]]
  };
  const Case cases[] = {
      {"Relu", "", {0, 0.5, 2}},
      {"LeakyRelu", "arg { name: 'alpha' f: 0.5 }", {-0.5, 0.5, 2}},
      {"Clip", "arg { name: 'min' f: 0 } arg { name: 'max' f: 1 }", {0, 0.5, 1}},
      {"Sqr", "", {1, 0.25, 4}},
      {"Scale", "arg { name: 'scale' f: 2 }", {-2, 1, 4}},
      {"Pow", "arg { name: 'exponent' f: 3 }", {-1, 0.125, 8}},
      {"Sign", "", {-1, 1, 1}},
      {"Dropout", "arg { name: 'ratio' f: 0.5 } arg { name: 'is_test' i: 1 }", {-1, 0.5, 2}},
      {"Softmax", "", {0.03911257, 0.17529039, 0.78559704}},
      {"LpNorm", "arg { name: 'p' i: 1 }", {3.5}},
      {"LpNorm", "arg { name: 'p' i: 2 }", {5.25}},
      {"ReduceBackSum", "", {1.5}},
      {"ReduceBackMean", "", {0.5}},
      {"ReduceFrontSum", "", {-1, 0.5, 2}},
      {"ReduceMean", "arg { name: 'axes' ints: 1 } arg { name: 'keepdims' i: 0 }", {0.5}},
      {"ArgMax", "", {2}},
      {"Transpose", "", {-1, 0.5, 2}},
      {"Slice",
       "arg { name: 'starts' ints: 0 ints: 1 } arg { name: 'ends' ints: -1 ints: -1 }",
       {0.5, 2}},
      {"Tile", "arg { name: 'tiles' i: 2 } arg { name: 'axis' i: 1 }", {-1, 0.5, 2, -1, 0.5, 2}},
      {"Cast", "arg { name: 'to' s: 'int32' }", {-1, 0, 2}},
      {"LayerNorm", "arg { name: 'epsilon' f: 0 }", {-1.22474487, 0, 1.22474487}},
      {"Reshape", "arg { name: 'shape' ints: 3 ints: -1 }", {-1, 0.5, 2}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(StrCat(c.type, " ", c.arguments));
    const auto module = Import(OneOp(c.type, c.arguments), "", WithShape({1, 3}));
    EXPECT_THAT(Evaluate(module, {Floats({1, 3}, {-1, 0.5, 2})}), Near(c.expected));
  }
}

TEST(Caffe2Import, TheInitNetFillsWeights) {
  const std::string predict = OneOp("FC", "", "input: 'x' input: 'w' input: 'b'");
  const std::string init = Fill("w", {2, 3}, {1, 2, 3, 4, 5, 6}) + Fill("b", {2}, {10, 20});
  const auto module = Import(predict, init, WithShape({1, 3}));
  EXPECT_THAT(Evaluate(module, {Floats({1, 3}, {1, 1, 1})}), ElementsAre(16, 35));
  EXPECT_NE((*module)->FindParameter("w"), nullptr);
  const std::string transposed = OneOp("FCTransposed", "", "input: 'x' input: 'w' input: 'b'");
  const auto other =
      Import(transposed, Fill("w", {3, 2}, {1, 4, 2, 5, 3, 6}) + Fill("b", {2}, {10, 20}),
             WithShape({1, 3}));
  EXPECT_THAT(Evaluate(other, {Floats({1, 3}, {1, 1, 1})}), ElementsAre(16, 35));
}

TEST(Caffe2Import, BothOrdersOfAConvolution) {
  // The values are those of Glow's test of ConvRelu: a sum over 2x2 windows plus 2.
  const std::string init = Fill("w", {1, 1, 2, 2}, {1, 1, 1, 1}) + Fill("b", {1}, {2});
  const std::string arguments =
      "arg { name: 'kernel' i: 2 } arg { name: 'pad' i: 1 } arg { name: 'stride' i: 1 }";
  const std::string inputs = "input: 'x' input: 'w' input: 'b'";
  const std::vector<double> expected = {2, 3, 5, 4, 5, 10, 14, 9, 11, 22, 26, 15, 8, 15, 17, 10};
  const auto nchw = Import(OneOp("ConvRelu", arguments, inputs), init, WithShape({1, 1, 3, 3}));
  EXPECT_THAT(Evaluate(nchw, {Ramp({1, 1, 3, 3})}), Pointwise(DoubleNear(1e-6), expected));
  const auto nhwc =
      Import(OneOp("Conv", arguments + " arg { name: 'order' s: 'NHWC' }", inputs),
             Fill("w", {1, 2, 2, 1}, {1, 1, 1, 1}) + Fill("b", {1}, {2}), WithShape({1, 3, 3, 1}));
  EXPECT_THAT(Evaluate(nhwc, {Ramp({1, 3, 3, 1})}), Pointwise(DoubleNear(1e-6), expected));
  EXPECT_EQ(OutputShape(**nhwc), (Shape{1, 4, 4, 1}));
}

TEST(Caffe2Import, LegacyPoolingRoundsAsCaffeDoes) {
  const auto extent = [](int64_t from, const std::string& arguments) {
    const auto module = Import(OneOp("MaxPool", arguments), "", WithShape({1, 1, from, from}));
    EXPECT_TRUE(module.ok()) << module.status();
    return module.ok() ? OutputShape(**module)[2] : -1;
  };
  const std::string two = "arg { name: 'kernel' i: 2 } arg { name: 'stride' i: 2 } ";
  EXPECT_EQ(extent(5, two), 2);
  EXPECT_EQ(extent(5, two + "arg { name: 'legacy_pad' i: 3 }"), 3);
  EXPECT_EQ(extent(3, two + "arg { name: 'legacy_pad' i: 3 } arg { name: 'pad' i: 1 }"), 2);
  EXPECT_EQ(extent(5, two + "arg { name: 'legacy_pad' i: 2 }"), 3);
  EXPECT_EQ(extent(5, two + "arg { name: 'legacy_pad' i: 1 } arg { name: 'pad' i: 1 }"), 2);
}

TEST(Caffe2Import, TheExtentsOfConcatAreKnown) {
  const auto module = Import(R"(
    op { input: 'x' input: 'x' output: 'c' output: 'dims' type: 'Concat' }
    op { input: 'c' input: 'dims' output: 'a' output: 'b' type: 'Split' }
    op { input: 'b' output: 'y' type: 'Negative' })",
                             "", WithShape({1, 2}));
  const auto outputs = RunOutputs(module, {Floats({1, 2}, {1, 2})});
  EXPECT_THAT(OutputNames(**module), ElementsAre("a", "y"));
  EXPECT_THAT(outputs[1].ToDoubles(), ElementsAre(-1, -2));
}

TEST(Caffe2Import, WhatAnExporterSampledIsTheInput) {
  const std::string init = Fill("x", {1, 1}, {5}) + Fill("w", {1, 1}, {3}) + Fill("b", {1}, {1});
  const std::string predict = OneOp("FC", "", "input: 'x' input: 'w' input: 'b'") +
                              "external_input: 'x' external_input: 'w' external_input: 'b' "
                              "external_output: 'y'";
  const auto module = Import(predict, init);
  EXPECT_THAT(Evaluate(module, {Floats({1, 1}, {2})}), ElementsAre(7));
}

TEST(Caffe2Import, BinaryNetsReadLikeText) {
  caffe2::NetDef net;
  auto* const op = net.add_op();
  op->set_type("Relu");
  op->add_input("x");
  op->add_output("y");
  const std::string bytes = net.SerializeAsString();
  EXPECT_TRUE(DetectCaffe2(Bytes(bytes)));
  EXPECT_THAT(Evaluate(Import(bytes, "", WithShape({2})), {Floats({2}, {-1, 1})}),
              ElementsAre(0, 1));
  EXPECT_TRUE(DetectCaffe2(Bytes(OneOp("Relu"))));
  EXPECT_FALSE(DetectCaffe(Bytes(bytes)));
  EXPECT_FALSE(DetectCaffe2(Bytes("layer { type: 'ReLU' }")));
}

TEST(Caffe2Import, EverythingUnsupportedIsSaidAtOnce) {
  const auto module = Import(OneOp("RoIAlign") + OneOp("Relu", "arg { name: 'slope' f: 1 }") +
                             OneOp("FC") + "strange: 5");
  EXPECT_THAT(Message(module.status()),
              "line 1: message NetDef has no field 'strange'\n"
              "y: operator RoIAlign is not supported\n"
              "y: argument 'slope' of operator Relu is not supported\n"
              "y: has 1 inputs, expected 3");
}

TEST(Caffe2Import, AllOpenInputsAreNamedAtOnce) {
  const auto module = Import(OneOp("FC", "", "input: 'x' input: 'w' input: 'b'"));
  EXPECT_THAT(Message(module.status()),
              "x: the input's shape is open; give it\n"
              "w: the input's shape is open; give it\n"
              "b: the input's shape is open; give it");
}

TEST(Caffe2Import, HostileNumbersAreRefused) {
  const char* const bad[][2] = {
      {"MaxPool", "arg { name: 'kernel' i: 0 }"},
      {"MaxPool", "arg { name: 'kernel' i: 2 } arg { name: 'stride' i: 0 }"},
      {"MaxPool", "arg { name: 'kernel' i: 9223372036854775807 }"},
      {"MaxPool", "arg { name: 'kernel' i: 2 } arg { name: 'pad' i: -1 }"},
      {"MaxPool", "arg { name: 'kernel' i: 2 } arg { name: 'legacy_pad' i: 9 }"},
      {"Reshape", "arg { name: 'shape' ints: 9223372036854775807 ints: 2 }"},
      {"Tile", "arg { name: 'tiles' i: 9223372036854775807 }"},
      {"Concat", "arg { name: 'axis' i: 44 }"},
      {"ResizeNearest", "arg { name: 'width_scale' f: 1e30 }"},
      {"ResizeNearest", "arg { name: 'width_scale' f: -1 }"},
      {"ConstantFill", "arg { name: 'extra_shape' ints: 4611686018427387904 }"},
      {"TopK", "arg { name: 'k' i: 77 }"},
      {"Squeeze", "arg { name: 'dims' ints: 1 }"},
      {"ExpandDims", "arg { name: 'dims' ints: 99 }"},
      {"LRN", "arg { name: 'size' i: 0 }"},
      {"Cast", "arg { name: 'to' s: 'complex' }"},
      {"ReduceBackSum", "arg { name: 'num_reduce_dim' i: 99 }"},
  };
  for (const auto& [type, arguments] : bad) {
    SCOPED_TRACE(StrCat(type, " ", arguments));
    const auto module = Import(OneOp(type, arguments), "", WithShape({1, 3, 4, 4}));
    EXPECT_FALSE(module.ok());
    EXPECT_THAT(Message(module.status()), HasSubstr("y: "));
  }
  EXPECT_FALSE(Import(OneOp("Relu"), Fill("w", {2, 2}, {1}), WithShape({1})).ok());
}

}  // namespace
}  // namespace kiln
