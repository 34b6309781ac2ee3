// Operators, and versions of them, that Debian's backend cases (opset 17) do not have: each
// against values worked out by hand, through the interpreter.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "compiler/import/onnx/onnx_import.h"
#include "ir/eval/interpreter.h"
#include "tests/compiler/import/onnx/evaluate.h"
#include "tests/compiler/import/onnx/model_builder.h"

namespace kiln {
namespace {

Tensor F32(Shape shape, const std::vector<double>& values) {
  return Tensor::FromDoubles(ElementType::kF32, std::move(shape), values);
}
Tensor I64(const std::vector<int64_t>& values) {
  return Tensor::FromInts(ElementType::kI64, {static_cast<int64_t>(values.size())}, values);
}
Tensor I32(const std::vector<int64_t>& values) {
  return Tensor::FromInts(ElementType::kI32, {static_cast<int64_t>(values.size())}, values);
}
Tensor U8(Shape shape, const std::vector<int64_t>& values) {
  return Tensor::FromInts(ElementType::kU8, std::move(shape), values);
}

struct Row {
  std::string op;
  int64_t opset;
  std::vector<Tensor> operands;  // rank 1 of i64 become constants, the others graph inputs
  OnnxAttributes attributes;
  std::vector<Tensor> results;  // the first ones
};

void Check(const Row& row) {
  ModelBuilder b(row.opset);
  std::vector<std::string> names, outputs;
  std::vector<Array> inputs;
  for (size_t i = 0; i < row.operands.size(); ++i) {
    const Tensor& operand = row.operands[i];
    names.push_back(StrCat("in", i));
    if (operand.type().element == ElementType::kI64 && operand.type().rank() == 1) {
      b.Initializer(names.back(), operand);
    } else {
      b.Input(names.back(), operand.shape(), onnx_import::ToDataType(operand.type().element));
      inputs.push_back(Array::FromTensor(operand));
    }
  }
  for (size_t i = 0; i < row.results.size(); ++i) {
    outputs.push_back(StrCat("out", i));
    b.Output(outputs.back());
  }
  b.Node(row.op, names, outputs, row.attributes);
  const auto module = ImportOnnx(b.model(), "", {});
  ASSERT_TRUE(module.ok()) << row.op << ": " << module.status();
  const auto found = Interpret(*(*module)->FindFunction("forward"), inputs);
  ASSERT_TRUE(found.ok()) << row.op << ": " << found.status();
  for (size_t i = 0; i < row.results.size(); ++i) {
    const Tensor result = (*found)[i].ToTensor();
    ASSERT_EQ(result.type().ToString(), row.results[i].type().ToString()) << row.op;
    EXPECT_THAT(result.ToDoubles(),
                testing::Pointwise(testing::DoubleNear(1e-5), row.results[i].ToDoubles()))
        << row.op;
  }
}

void CheckAll(const std::vector<Row>& rows) {
  for (const Row& row : rows) Check(row);
}

TEST(OnnxOps, Elementwise) {
  const double mish = std::tanh(std::log1p(std::exp(1.0)));
  const double gelu = 0.5 * (1 + std::erf(1 / std::sqrt(2.0)));
  CheckAll({
      {"BitwiseAnd", 18, {I32({12, 10}), I32({10, -1})}, {}, {I32({8, 10})}},
      {"BitwiseOr", 18, {I32({12, 10}), I32({3, 1})}, {}, {I32({15, 11})}},
      {"BitwiseXor", 18, {I32({12, 10}), I32({10, 10})}, {}, {I32({6, 0})}},
      {"BitwiseNot", 18, {I32({0, 5})}, {}, {I32({-1, -6})}},
      {"Mish", 18, {F32({2}, {0, 1})}, {}, {F32({2}, {0, mish})}},
      {"Gelu", 20, {F32({2}, {0, 1})}, {}, {F32({2}, {0, gelu})}},
      {"Gelu", 20, {F32({1}, {1})}, {OnnxString("approximate", "tanh")}, {F32({1}, {0.841192})}},
      {"Swish", 24, {F32({1}, {2})}, {OnnxFloat("alpha", 0)}, {F32({1}, {1})}},
      {"Clip",
       10,
       {F32({3}, {-5, 0, 5})},
       {OnnxFloat("min", -1), OnnxFloat("max", 1)},
       {F32({3}, {-1, 0, 1})}},
      {"PRelu",
       6,
       {F32({1, 2, 2}, {-1, 1, -1, 1}), F32({2}, {2, 3})},
       {},
       {F32({1, 2, 2}, {-2, 1, -3, 1})}},
  });
}

TEST(OnnxOps, Movement) {
  const Tensor row = F32({1, 4}, {1, 2, 3, 4});
  CheckAll({
      {"Split",
       18,
       {F32({5}, {1, 2, 3, 4, 5})},
       {OnnxInt("num_outputs", 2)},
       {F32({3}, {1, 2, 3}), F32({2}, {4, 5})}},
      {"Split",
       11,
       {row},
       {OnnxInt("axis", 1), OnnxInts("split", {1, 3})},
       {F32({1, 1}, {1}), F32({1, 3}, {2, 3, 4})}},
      {"Slice",
       1,
       {row},
       {OnnxInts("starts", {1}), OnnxInts("ends", {-1}), OnnxInts("axes", {1})},
       {F32({1, 2}, {2, 3})}},
      {"Slice",
       13,
       {row, I64({3}), I64({INT64_MIN}), I64({-1}), I64({-2})},
       {},
       {F32({1, 2}, {4, 2})}},
      {"Pad",
       19,
       {F32({3}, {1, 2, 3}), I64({2, 1})},
       {OnnxString("mode", "wrap")},
       {F32({6}, {2, 3, 1, 2, 3, 1})}},
      {"CenterCropPad",
       18,
       {F32({1, 5}, {1, 2, 3, 4, 5}), I64({3})},
       {OnnxInts("axes", {1})},
       {F32({1, 3}, {2, 3, 4})}},
      {"CenterCropPad", 18, {F32({2}, {1, 2}), I64({5})}, {}, {F32({5}, {0, 1, 2, 0, 0})}},
      {"Reshape", 14, {F32({2, 0}, {}), I64({0, 3})}, {OnnxInt("allowzero", 1)}, {F32({0, 3}, {})}},
      {"Unsqueeze", 11, {F32({2}, {1, 2})}, {OnnxInts("axes", {0, 2})}, {F32({1, 2, 1}, {1, 2})}},
      {"ScatterElements",
       18,
       {F32({3}, {1, 2, 3}), I64({1, 1}), F32({2}, {5, 9})},
       {OnnxString("reduction", "max")},
       {F32({3}, {1, 9, 3})}},
  });
}

TEST(OnnxOps, Reductions) {
  const Tensor x = F32({2, 2}, {1, 2, 3, 4});
  CheckAll({
      {"ReduceMax", 18, {x, I64({1})}, {OnnxInt("keepdims", 0)}, {F32({2}, {2, 4})}},
      {"ReduceL2", 18, {F32({1, 2}, {3, 4}), I64({-1})}, {}, {F32({1, 1}, {5})}},
      {"ReduceMean", 18, {x}, {OnnxInt("noop_with_empty_axes", 1)}, {x}},
      {"ReduceMin",
       20,
       {Tensor::FromInts(ElementType::kBool, {1, 2}, {1, 0})},
       {},
       {Tensor::FromInts(ElementType::kBool, {1, 1}, {0})}},
      {"TopK", 9, {F32({3}, {1, 3, 2})}, {OnnxInt("k", 2)}, {F32({2}, {3, 2}), I64({1, 2})}},
      {"ReduceL2", 13, {I32({3, 4})}, {}, {I32({5})}},
      {"Softmax", 11, {F32({1, 2, 1}, {0, 0})}, {}, {F32({1, 2, 1}, {0.5, 0.5})}},
      {"LpNormalization", 1, {F32({3}, {3, 0, 4})}, {}, {F32({3}, {0.6, 0, 0.8})}},
      {"LpNormalization", 1, {F32({2}, {0, 0})}, {OnnxInt("p", 1)}, {F32({2}, {0, 0})}},
  });
}

TEST(OnnxOps, Pools) {
  const Tensor x = F32({1, 1, 5}, {1, 2, 3, 4, 5});
  const OnnxAttributes ceil = {OnnxInts("kernel_shape", {2}), OnnxInts("strides", {2}),
                               OnnxInt("ceil_mode", 1)};
  CheckAll({
      {"MaxPool", 12, {x}, ceil, {F32({1, 1, 3}, {2, 4, 5})}},
      {"AveragePool", 19, {x}, ceil, {F32({1, 1, 3}, {1.5, 3.5, 5})}},
      {"AveragePool",
       19,
       {x},
       {OnnxInts("kernel_shape", {2}), OnnxInts("dilations", {3})},
       {F32({1, 1, 2}, {2.5, 3.5})}},
      {"LpPool",
       18,
       {x},
       {OnnxInts("kernel_shape", {2}), OnnxInts("dilations", {3}), OnnxInt("p", 1)},
       {F32({1, 1, 2}, {5, 7})}},
      {"GlobalLpPool", 2, {F32({1, 1, 2}, {3, 4})}, {}, {F32({1, 1, 1}, {5})}},
      // A last window that would start behind the data does not count.
      {"MaxPool",
       12,
       {F32({1, 1, 2}, {1, 2})},
       {OnnxInts("kernel_shape", {1}), OnnxInts("strides", {2}), OnnxInts("pads", {0, 1}),
        OnnxInt("ceil_mode", 1)},
       {F32({1, 1, 1}, {1})}},
  });
}

TEST(OnnxOps, Normalisations) {
  const Tensor x = F32({1, 4, 1}, {1, 3, 2, 6});
  const OnnxAttributes groups = {OnnxInt("num_groups", 2), OnnxFloat("epsilon", 0)};
  CheckAll({
      {"GroupNormalization",
       18,
       {x, F32({2}, {1, 10}), F32({2}, {0, 1})},
       groups,
       {F32({1, 4, 1}, {-1, 1, -9, 11})}},
      {"GroupNormalization",
       21,
       {x, F32({4}, {1, 2, 1, 10}), F32({4}, {0, 0, 1, 1})},
       groups,
       {F32({1, 4, 1}, {-1, 2, 0, 11})}},
      {"RMSNormalization",
       23,
       {F32({1, 2}, {1, 7}), F32({2}, {1, 2})},
       {OnnxFloat("epsilon", 0)},
       {F32({1, 2}, {0.2, 2.8})}},
  });
}

TEST(OnnxOps, Resize) {
  const Tensor x = F32({1, 2}, {1, 2});
  const OnnxAttributes axes = {OnnxInts("axes", {1})};
  const Tensor nothing = I64({});
  CheckAll({
      {"Resize", 18, {x, nothing, nothing, I64({4})}, axes, {F32({1, 4}, {1, 1, 2, 2})}},
      {"Resize",
       18,
       {F32({2, 4}, {1, 2, 3, 4, 5, 6, 7, 8}), nothing, nothing, I64({4, 4})},
       {OnnxString("keep_aspect_ratio_policy", "not_larger")},
       {F32({2, 4}, {1, 2, 3, 4, 5, 6, 7, 8})}},
      {"Upsample",
       7,
       {x},
       {[] {
         auto scales = OnnxAttribute("scales", onnx::AttributeProto::FLOATS);
         scales.add_floats(2);
         scales.add_floats(1);
         return scales;
       }()},
       {F32({2, 2}, {1, 2, 1, 2})}},
  });
}

TEST(OnnxOps, Quantisation) {
  const Tensor scale = F32({}, {2});
  CheckAll({
      {"QuantizeLinear",
       13,
       {F32({4}, {-9, 3, 5, 900}), scale, U8({}, {1})},
       {},
       {U8({4}, {0, 3, 3, 255})}},  // halves round to even
      {"QuantizeLinear",
       21,
       {F32({1}, {-300}), scale},
       {OnnxInt("output_dtype", onnx::TensorProto::INT8)},
       {Tensor::FromInts(ElementType::kI8, {1}, {-128})}},
      {"DequantizeLinear",
       13,
       {U8({2, 1}, {3, 4}), F32({2}, {2, 10}), U8({2}, {1, 1})},
       {OnnxInt("axis", 0)},
       {F32({2, 1}, {4, 30})}},
  });
}

TEST(OnnxOps, Einsum) {
  const Tensor a = F32({2, 2}, {1, 2, 3, 4});
  const Tensor v = F32({2}, {10, 100});
  const auto equation = [](const std::string& text) {
    return OnnxAttributes{OnnxString("equation", text)};
  };
  CheckAll({
      {"Einsum", 12, {a, v}, equation("ij,j"), {F32({2}, {210, 430})}},
      {"Einsum", 12, {a}, equation("ii"), {F32({}, {5})}},
      {"Einsum", 12, {a}, equation("ij->ji"), {F32({2, 2}, {1, 3, 2, 4})}},
      {"Einsum", 12, {v, v}, equation("i,j->ij"), {F32({2, 2}, {100, 1000, 1000, 10000})}},
      {"Einsum", 12, {a, v, v}, equation("ij,i,j->"), {F32({}, {45100})}},
      {"Einsum", 12, {a, a}, equation("...j, jk -> ...k"), {F32({2, 2}, {7, 10, 15, 22})}},
      {"Einsum", 12, {a, F32({1, 2}, {1, 2})}, equation("...j,...j->..."), {F32({2}, {5, 11})}},
  });
}

TEST(OnnxOps, CumulativeProducts) {
  const Tensor x = F32({5}, {1, 2, 3, 4, 5});
  const Tensor axis = I64({0});
  const onnx::AttributeProto reverse = OnnxInt("reverse", 1), exclusive = OnnxInt("exclusive", 1);
  CheckAll({
      {"CumProd", 26, {x, axis}, {}, {F32({5}, {1, 2, 6, 24, 120})}},
      {"CumProd", 26, {x, axis}, {reverse}, {F32({5}, {120, 120, 60, 20, 5})}},
      {"CumProd", 26, {x, axis}, {exclusive}, {F32({5}, {1, 1, 2, 6, 24})}},
      {"CumProd", 26, {x, axis}, {exclusive, reverse}, {F32({5}, {120, 60, 20, 5, 1})}},
      {"CumProd", 26, {F32({2, 1}, {3, 4}), I64({-1})}, {exclusive}, {F32({2, 1}, {1, 1})}},
  });
}

TEST(OnnxOps, Determinants) {
  CheckAll({
      // The first pivots are 0: rows are exchanged.
      {"Det", 11, {F32({3, 3}, {0, 2, 1, 1, 0, 3, 4, 1, 0})}, {}, {F32({}, {25})}},
      {"Det", 11, {F32({2, 2}, {1, 2, 2, 4})}, {}, {F32({}, {0})}},
      {"Det", 11, {F32({2, 2}, {0, 0, 0, 0})}, {}, {F32({}, {0})}},
      {"Det", 11, {F32({2, 1, 1}, {3, -2})}, {}, {F32({2}, {3, -2})}},
  });
}

TEST(OnnxOps, FourierTransforms) {
  const Tensor impulse = F32({1, 4, 1}, {0, 1, 0, 0});
  const Tensor waves = F32({1, 4, 2}, {1, 0, 0, -1, -1, 0, 0, 1});
  CheckAll({
      {"DFT", 17, {impulse}, {}, {waves}},
      {"DFT", 17, {impulse}, {OnnxInt("onesided", 1)}, {F32({1, 3, 2}, {1, 0, 0, -1, -1, 0})}},
      {"DFT", 17, {waves}, {OnnxInt("inverse", 1)}, {F32({1, 4, 2}, {0, 0, 1, 0, 0, 0, 0, 0})}},
      {"DFT", 20, {impulse}, {}, {waves}},
      {"DFT", 17, {F32({1, 1, 1}, {5}), I64({2})}, {}, {F32({1, 2, 2}, {5, 0, 5, 0})}},
      // The real signal of half a spectrum.
      {"DFT",
       17,
       {F32({1, 3, 2}, {1, 0, 0, -1, -1, 0})},
       {OnnxInt("onesided", 1), OnnxInt("inverse", 1)},
       {F32({1, 4, 1}, {0, 1, 0, 0})}},
      {"DFT",
       17,
       {F32({1, 2, 2}, {6, 0, -1.5, 0.8660254}), I64({3})},
       {OnnxInt("onesided", 1), OnnxInt("inverse", 1)},
       {F32({1, 3, 1}, {1, 2, 3})}},
  });
}

TEST(OnnxOps, AttentionOfEqualScoresIsTheMeanOfWhatIsSeen) {
  const Shape shape = {1, 1, 2, 1};
  const Tensor q = F32(shape, {0, 0}), k = F32(shape, {5, 7}), v = F32(shape, {2, 4});
  const Tensor mask = Tensor::FromInts(ElementType::kBool, {2, 2}, {0, 1, 1, 1});
  const Tensor short_mask = Tensor::FromInts(ElementType::kBool, {2, 1}, {1, 1});
  const OnnxAttributes causal = {OnnxInt("is_causal", 1)};
  CheckAll({
      {"Attention", 23, {q, k, v}, {}, {F32(shape, {3, 3}), k, v}},
      {"Attention", 23, {q, k, v}, causal, {F32(shape, {2, 3})}},
      {"Attention", 23, {q, k, v, mask}, {}, {F32(shape, {4, 3})}},
      {"Attention", 24, {q, k, v, short_mask}, {}, {F32(shape, {2, 2})}},
      // Two earlier keys are always seen.
      {"Attention",
       23,
       {q, k, v, F32({2, 4}, std::vector<double>(8, 0)), F32(shape, {1, 1}), F32(shape, {8, 8})},
       causal,
       {F32(shape, {6, 5.5})}},
      // Two heads of queries share one of keys; heads lie side by side.
      {"Attention",
       23,
       {F32({1, 1, 2}, {1, -1}), F32({1, 2, 1}, {40, -40}), F32({1, 2, 1}, {2, 4})},
       {OnnxInt("q_num_heads", 2), OnnxInt("kv_num_heads", 1)},
       {F32({1, 1, 2}, {2, 4})}},
  });
}

TEST(OnnxOps, RotaryEmbeddingTurnsPairs) {
  const Tensor x = F32({1, 1, 1, 4}, {1, 2, 3, 4});
  const Tensor cosine = F32({1, 1, 2}, {0, 0}), sine = F32({1, 1, 2}, {1, 1});
  CheckAll({
      {"RotaryEmbedding", 23, {x, cosine, sine}, {}, {F32({1, 1, 1, 4}, {-3, -4, 1, 2})}},
      {"RotaryEmbedding",
       23,
       {x, cosine, sine},
       {OnnxInt("interleaved", 1)},
       {F32({1, 1, 1, 4}, {-2, 1, -4, 3})}},
      {"RotaryEmbedding",
       23,
       {x, F32({1, 1, 1}, {0}), F32({1, 1, 1}, {1})},
       {OnnxInt("rotary_embedding_dim", 2)},
       {F32({1, 1, 1, 4}, {-2, 1, 3, 4})}},
  });
}

TEST(OnnxOps, CachesAreWrittenInPlace) {
  const Tensor cache = F32({2, 3, 1}, {1, 2, 3, 4, 5, 6}), update = F32({2, 1, 1}, {8, 9});
  const Tensor two = F32({2, 2, 1}, {7, 8, 9, 10});
  CheckAll({
      {"TensorScatter", 24, {cache, update}, {}, {F32({2, 3, 1}, {8, 2, 3, 9, 5, 6})}},
      {"TensorScatter", 24, {cache, update, I64({2, 1})}, {}, {F32({2, 3, 1}, {1, 2, 8, 4, 9, 6})}},
      {"TensorScatter",
       24,
       {cache, two, I64({2, 0})},
       {OnnxString("mode", "circular"), OnnxInt("axis", 1)},
       {F32({2, 3, 1}, {8, 2, 7, 9, 10, 6})}},
  });
}

TEST(OnnxOps, ImagesAreReadBetweenPixels) {
  const Tensor identity = F32({1, 2, 3}, {1, 0, 0, 0, 1, 0});
  const OnnxAttributes align = {OnnxInt("align_corners", 1)};
  CheckAll({
      {"AffineGrid", 20, {identity, I64({1, 1, 1, 2})}, {}, {F32({1, 1, 2, 2}, {-0.5, 0, 0.5, 0})}},
      {"AffineGrid",
       20,
       {F32({1, 2, 3}, {1, 0, 0.25, 2, 1, 0}), I64({1, 1, 1, 2})},
       align,
       {F32({1, 1, 2, 2}, {-0.75, -2, 1.25, 2})}},
      {"GridSample",
       20,
       {F32({1, 1, 2, 1, 2}, {10, 20, 30, 40}), F32({1, 1, 1, 1, 3}, {0, 0, 0.5})},
       align,
       {F32({1, 1, 1, 1, 1}, {30})}},
      {"GridSample",
       22,
       {F32({1, 1, 4}, {1, 2, 3, 4}), F32({1, 3, 1}, {-1, 0, 2})},
       align,
       {F32({1, 1, 3}, {1, 2.5, 0})}},
      {"Resize",
       19,
       {F32({1, 1, 1, 4}, {1, 2, 3, 4}), F32({0}, {}), F32({0}, {}), I64({1, 1, 1, 2})},
       {OnnxString("mode", "linear"), OnnxInt("antialias", 1)},
       {F32({1, 1, 1, 2}, {1.625, 3.375})}},
      {"Resize",
       19,
       {F32({1, 1, 1, 4}, {1, 2, 3, 4}), F32({0}, {}), F32({0}, {}), I64({1, 1, 1, 2})},
       {OnnxString("mode", "linear"), OnnxInt("antialias", 1), OnnxInt("exclude_outside", 1)},
       {F32({1, 1, 1, 2}, {12.0 / 7, 23.0 / 7})}},
  });
}

TEST(OnnxOps, WindowsAsColumns) {
  const Tensor row = F32({1, 1, 3}, {1, 2, 3});
  CheckAll({
      {"Col2Im",
       18,
       {F32({1, 2, 2}, {1, 2, 3, 4}), I64({1, 3}), I64({1, 2})},
       {},
       {F32({1, 1, 1, 3}, {1, 5, 4})}},
      // A stride of 2 over 4 pixels and one of padding in front leaves the last pixel out.
      {"Col2Im",
       18,
       {F32({1, 2, 2}, {1, 2, 3, 4}), I64({1, 4}), I64({1, 2})},
       {OnnxInts("strides", {1, 2}), OnnxInts("pads", {0, 1, 0, 0})},
       {F32({1, 1, 1, 4}, {3, 2, 4, 0})}},
      // Half a pixel on, in place, and out of the image.
      {"DeformConv",
       19,
       {row, F32({1, 1, 1}, {2}), F32({1, 1, 3}, {0.5, 0, -5})},
       {},
       {F32({1, 1, 3}, {3, 4, 0})}},
      {"DeformConv",
       19,
       {row, F32({1, 1, 2}, {1, 10}), F32({1, 2, 2}, {0, 0, 0, 0}), F32({1}, {100}),
        F32({1, 2, 2}, {1, 0.5, 1, 0})},
       {},
       {F32({1, 1, 2}, {121, 101})}},
      {"DeformConv",
       19,
       {F32({1, 2, 2}, {1, 2, 3, 4}), F32({2, 1, 1}, {1, 10}), F32({1, 2, 2}, {1, -1, 0, 0})},
       {OnnxInt("group", 2), OnnxInt("offset_group", 2)},
       {F32({1, 2, 2}, {2, 1, 30, 40})}},
  });
}

TEST(OnnxOps, StatesAreTakenAlong) {
  const Tensor x = F32({1, 1, 3}, {1, 2, 3}), w = F32({1, 1, 2}, {10, 1});
  const Tensor q = F32({1, 2, 1}, {1, 1}), k = F32({1, 2, 1}, {2, 3}), v = F32({1, 2, 1}, {5, 7});
  const Tensor none = F32({1, 1, 1, 1}, {0}), no_decay = F32({1, 2, 1}, {0, 0});
  const Tensor half = F32({1, 2, 1}, {std::log(0.5), std::log(0.5)});
  const auto rule = [](const std::string& name) {
    return OnnxAttributes{OnnxInt("q_num_heads", 1), OnnxInt("kv_num_heads", 1),
                          OnnxString("update_rule", name), OnnxFloat("scale", 1)};
  };
  const auto state = [](double value) { return F32({1, 1, 1, 1}, {value}); };
  CheckAll({
      {"CausalConvWithState", 27, {x, w}, {}, {F32({1, 1, 3}, {1, 12, 23}), F32({1, 1, 1}, {3})}},
      {"CausalConvWithState",
       27,
       {x, w, F32({1}, {100}), F32({1, 1, 1}, {4})},
       {},
       {F32({1, 1, 3}, {141, 112, 123}), F32({1, 1, 1}, {3})}},
      {"CausalConvWithState",
       27,
       {x, F32({1, 1, 1}, {0})},
       {OnnxString("activation", "silu")},
       {F32({1, 1, 3}, {0, 0, 0}), F32({1, 1, 0}, {})}},
      {"LinearAttention", 27, {q, k, v}, rule("linear"), {F32({1, 2, 1}, {10, 31}), state(31)}},
      {"LinearAttention",
       27,
       {q, k, v, state(4), half},
       rule("gated"),
       {F32({1, 2, 1}, {12, 27}), state(27)}},
      {"LinearAttention",
       27,
       {q, k, v, none, no_decay, F32({1, 2, 1}, {1, 1})},
       rule("gated_delta"),
       {F32({1, 2, 1}, {10, -59}), state(-59)}},
  });
}

Tensor Narrow(ElementType element, const std::vector<int64_t>& values) {
  return Tensor::FromInts(element, {static_cast<int64_t>(values.size())}, values);
}

TEST(OnnxOps, BitsOfIntegersUnderAnotherSign) {
  CheckAll({
      {"BitCast",
       26,
       {Narrow(ElementType::kI8, {-1, 5})},
       {OnnxInt("to", onnx::TensorProto::UINT8)},
       {U8({2}, {255, 5})}},
      {"BitCast",
       26,
       {Narrow(ElementType::kU32, {0xffffffff})},
       {OnnxInt("to", onnx::TensorProto::INT32)},
       {I32({-1})}},
  });
}

/// The first result of a model whose last node is of another domain than ONNX's.
std::vector<double> EvaluateInDomain(ModelBuilder& b, const std::string& domain,
                                     const std::vector<Tensor>& inputs) {
  b.model().add_opset_import()->set_version(1);
  b.model().mutable_opset_import(1)->set_domain(domain);
  b.graph().mutable_node(b.graph().node_size() - 1)->set_domain(domain);
  return Evaluate(b, inputs);
}

TEST(OnnxOps, FlexAttentionRunsItsSubgraphs) {
  // Scores are all 0; score_mod hides nothing, prob_mod doubles what is read.
  const Shape shape = {1, 1, 2, 1};
  onnx::GraphProto twice = OnnxBranch({OnnxNode("Add", {"p", "p"}, {"p2"})}, {"p2"});
  twice.add_input()->set_name("p");
  ModelBuilder b(26);
  b.Input("q", shape).Input("k", shape).Input("v", shape).Output("y");
  b.Node("FlexAttention", {"q", "k", "v"}, {"y"}, {OnnxGraph("prob_mod", twice)});
  EXPECT_THAT(EvaluateInDomain(b, "ai.onnx.preview",
                               {F32(shape, {0, 0}), F32(shape, {5, 7}), F32(shape, {2, 4})}),
              testing::ElementsAre(6, 6));
}

TEST(OnnxOps, GradientOfTheGraphAroundIt) {
  ModelBuilder b(12);
  b.Input("a", {1}).Input("b", {1}).Output("da").Output("db");
  b.Node("Mul", {"a", "b"}, {"c"}).Node("Mul", {"c", "a"}, {"d"});  // d = a^2 b
  auto xs = OnnxAttribute("xs", onnx::AttributeProto::STRINGS);
  xs.add_strings("a");
  xs.add_strings("b");
  b.Node("Gradient", {"a", "b"}, {"da", "db"}, {xs, OnnxString("y", "d")});
  EXPECT_THAT(EvaluateInDomain(b, "ai.onnx.preview.training", {F32({1}, {3}), F32({1}, {5})}),
              testing::ElementsAre(30));
}

TEST(OnnxOps, RecurrentNetsStopAtTheEndOfASequence) {
  // An RNN that adds its input to its state: H = relu(X + H), for sequences of 2 and 1 steps.
  ModelBuilder b(14);
  b.Input("x", {2, 2, 1}).Output("y").Output("h");
  b.Initializer("w", F32({1, 1, 1}, {1})).Initializer("r", F32({1, 1, 1}, {1}));
  b.Initializer("lengths", I32({2, 1}));
  auto relu = OnnxAttribute("activations", onnx::AttributeProto::STRINGS);
  relu.add_strings("Relu");
  b.Node("RNN", {"x", "w", "r", "", "lengths"}, {"y", "h"}, {relu});
  const auto module = ImportOnnx(b.model(), "", {});
  ASSERT_TRUE(module.ok()) << module.status();
  const auto found = Interpret(*(*module)->FindFunction("forward"),
                               {Array::FromTensor(F32({2, 2, 1}, {1, 2, 3, 4}))});
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_THAT((*found)[0].floats, testing::ElementsAre(1, 2, 4, 0));
  EXPECT_THAT((*found)[1].floats, testing::ElementsAre(4, 2));
}

}  // namespace
}  // namespace kiln
