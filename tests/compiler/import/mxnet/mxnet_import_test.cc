#include "compiler/import/mxnet/mxnet_import.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiler/import/mxnet/params.h"
#include "tests/compiler/import/import_test_util.h"

namespace kiln {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pointwise;

// Bytes of a .params file, array by array.
class ParamsBuilder {
 public:
  enum class Form { kOldest, kV1, kV2 };

  ParamsBuilder& Add(const std::string& name, const Tensor& tensor, Form form = Form::kV2) {
    const auto rank = static_cast<uint32_t>(tensor.shape().size());
    if (form == Form::kV1) Put<uint32_t>(0xF993fac8);
    if (form == Form::kV2) {
      Put<uint32_t>(0xF993fac9);
      Put<int32_t>(0);
    }
    Put<uint32_t>(rank);
    for (const int64_t extent : tensor.shape()) {
      if (form == Form::kOldest) {
        Put<uint32_t>(static_cast<uint32_t>(extent));
      } else {
        Put<int64_t>(extent);
      }
    }
    Put<int32_t>(1);  // the device
    Put<int32_t>(0);
    Put<int32_t>(0);  // float32
    arrays_.append(tensor.bytes().data(), tensor.bytes().size());
    names_.push_back(name);
    return *this;
  }

  std::string Build() const {
    std::string out;
    const auto number = [&out](uint64_t value) {
      out.append(reinterpret_cast<const char*>(&value), sizeof value);
    };
    number(0x112);
    number(0);
    number(names_.size());
    out += arrays_;
    number(names_.size());
    for (const std::string& name : names_) {
      number(name.size());
      out += name;
    }
    return out;
  }

 private:
  template <typename T>
  void Put(T value) {
    arrays_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  std::string arrays_;
  std::vector<std::string> names_;
};

StatusOr<std::unique_ptr<Module>> Import(const std::string& symbol, const std::string& params = "",
                                         const Shape& data = {}) {
  ImportOptions options;
  if (!data.empty()) options.input_shapes["data"] = data;
  return ImportMxnet(Bytes(symbol), Bytes(params), options);
}

// A symbol of variables and then one operator that reads them all.
std::string OneOp(const std::string& op, const std::string& attributes = "",
                  const std::vector<std::string>& variables = {"data"},
                  const std::string& key = "attrs") {
  std::string nodes, inputs;
  for (size_t i = 0; i < variables.size(); ++i) {
    nodes += R"~({"op": "null", "name": ")~" + variables[i] + R"~(", "inputs": []}, )~";
    inputs += StrCat(i == 0 ? "" : ", ", "[", static_cast<uint64_t>(i), ", 0, 0]");
  }
  nodes += R"~({"op": ")~" + op + R"~(", "name": "y", ")~" + key + R"~(": {)~" + attributes +
           R"~(}, "inputs": [)~" + inputs + "]}";
  return StrCat(R"~({"nodes": [)~", nodes, R"~(], "arg_nodes": [0], "heads": [[)~",
                static_cast<uint64_t>(variables.size()), ", 0]]}");
}

auto Near(const std::vector<double>& expected) { return Pointwise(DoubleNear(1e-5), expected); }

TEST(MxnetImport, OperatorsComputeWhatMxnetDefines) {
  struct Case {
    const char* op;
    const char* attributes;
    std::vector<double> expected;  // of [[-1, 0.5, 2]]
  };
  const Case cases[] = {
      {"Activation", R"~("act_type": "relu")~", {0, 0.5, 2}},
      {"Activation", R"~("act_type": "softrelu")~", {0.31326169, 0.97407698, 2.12692801}},
      {"LeakyReLU", R"~("act_type": "leaky", "slope": "0.5")~", {-0.5, 0.5, 2}},
      {"LeakyReLU", R"~("act_type": "elu", "slope": "1.0")~", {-0.63212056, 0.5, 2}},
      {"clip", R"~("a_min": "0", "a_max": "1")~", {0, 0.5, 1}},
      {"_plus_scalar", R"~("scalar": "1")~", {0, 1.5, 3}},
      {"_rminus_scalar", R"~("scalar": "1")~", {2, 0.5, -1}},
      {"_rdiv_scalar", R"~("scalar": "1")~", {-1, 2, 0.5}},
      {"_greater_scalar", R"~("scalar": "0")~", {0, 1, 1}},
      {"Dropout", R"~("p": "0.5")~", {-1, 0.5, 2}},
      {"SoftmaxOutput", "", {0.03911257, 0.17529039, 0.78559704}},
      {"softmax", R"~("axis": "-1")~", {0.03911257, 0.17529039, 0.78559704}},
      {"LogisticRegressionOutput", "", {0.26894142, 0.62245933, 0.88079708}},
      {"mean", R"~("axis": "(1,)")~", {0.5}},
      {"sum", R"~("axis": "0", "exclude": "True")~", {1.5}},
      {"norm", "", {2.29128785}},
      {"argmax", R"~("axis": "1")~", {2}},
      {"slice_axis", R"~("axis": "1", "begin": "1", "end": "None")~", {0.5, 2}},
      {"L2Normalization", "", {-0.43643578, 0.21821789, 0.87287156}},
      {"Reshape", R"~("shape": "(0, -1, 1)")~", {-1, 0.5, 2}},
      {"Cast", R"~("dtype": "int32")~", {-1, 0, 2}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(StrCat(c.op, " ", c.attributes));
    const auto module = Import(OneOp(c.op, c.attributes), "", {1, 3});
    EXPECT_THAT(Evaluate(module, {Floats({1, 3}, {-1, 0.5, 2})}), Near(c.expected));
  }
}

TEST(MxnetImport, AllFormsOfParamsRead) {
  const std::string symbol = OneOp("FullyConnected", R"~("num_hidden": "2")~", {"data", "w", "b"});
  for (const auto form :
       {ParamsBuilder::Form::kOldest, ParamsBuilder::Form::kV1, ParamsBuilder::Form::kV2}) {
    const std::string params = ParamsBuilder()
                                   .Add("arg:w", Floats({2, 2}, {1, 2, 3, 4}), form)
                                   .Add("b", Floats({2}, {10, 20}), form)
                                   .Build();
    EXPECT_THAT(Evaluate(Import(symbol, params, {1, 2}), {Floats({1, 2}, {1, 1})}),
                ElementsAre(13, 27));
  }
}

TEST(MxnetImport, AllDialectsOfAttributesRead) {
  for (const char* const key : {"param", "attr", "attrs"}) {
    EXPECT_THAT(
        Evaluate(Import(OneOp("_plus_scalar", R"~("scalar": "1")~", {"data"}, key), "", {1}),
                 {Floats({1}, {1})}),
        ElementsAre(2));
  }
}

TEST(MxnetImport, WeightsThatNoFileHasAreUnknown) {
  const auto module =
      Import(OneOp("Convolution", R"~("kernel": "(3, 3)", "num_filter": "4", "num_group": "2")~",
                   {"data", "w", "b"}),
             "", {1, 2, 5, 5});
  ASSERT_TRUE(module.ok()) << module.status();
  EXPECT_EQ((*module)->FindParameter("w")->value.shape(), (Shape{4, 1, 3, 3}));
  EXPECT_FALSE((*module)->FindParameter("w")->value.known());
  EXPECT_EQ(OutputShape(**module), (Shape{1, 4, 3, 3}));
  EXPECT_THAT(OutputNames(**module), ElementsAre("y_output"));
}

TEST(MxnetImport, BatchNormFixesGammaUnlessToldOtherwise) {
  const std::string params = ParamsBuilder()
                                 .Add("arg:g", Floats({1}, {5}))
                                 .Add("arg:b", Floats({1}, {1}))
                                 .Add("aux:m", Floats({1}, {2}))
                                 .Add("aux:v", Floats({1}, {4}))
                                 .Build();
  const std::vector<std::string> variables = {"data", "g", "b", "m", "v"};
  const auto fixed = Import(OneOp("BatchNorm", R"~("eps": "0")~", variables), params, {1, 1});
  EXPECT_THAT(Evaluate(fixed, {Floats({1, 1}, {6})}), Near({3}));
  EXPECT_FALSE((*fixed)->FindParameter("m")->trainable);
  const auto learned = Import(
      OneOp("BatchNorm", R"~("eps": "0", "fix_gamma": "False")~", variables), params, {1, 1});
  EXPECT_THAT(Evaluate(learned, {Floats({1, 1}, {6})}), Near({11}));
}

TEST(MxnetImport, PoolingConventions) {
  const auto extent = [](const std::string& convention) {
    const auto module =
        Import(OneOp("Pooling", R"~("kernel": "(2,2)", "stride": "(2,2)", "pool_type": "avg", )~"
                                R"~("pooling_convention": ")~" +
                                    convention + "\""),
               "", {1, 1, 5, 5});
    EXPECT_TRUE(module.ok()) << module.status();
    return module.ok() ? OutputShape(**module)[2] : -1;
  };
  EXPECT_EQ(extent("valid"), 2);
  EXPECT_EQ(extent("full"), 3);
  EXPECT_EQ(extent("same"), 3);
  const auto sum =
      Import(OneOp("Pooling", R"~("kernel": "(2,2)", "pool_type": "sum")~"), "", {1, 1, 2, 2});
  EXPECT_THAT(Evaluate(sum, {Ramp({1, 1, 2, 2})}), Near({6}));
}

TEST(MxnetImport, ReshapeCodes) {
  const auto shape = [](const std::string& codes) {
    const auto module = Import(OneOp("Reshape", R"~("shape": ")~" + codes + "\""), "", {2, 3, 4});
    EXPECT_TRUE(module.ok()) << module.status();
    return module.ok() ? OutputShape(**module) : Shape();
  };
  EXPECT_EQ(shape("(4, 0, 2)"), (Shape{4, 3, 2}));
  EXPECT_EQ(shape("(-1, 0)"), (Shape{8, 3}));
  EXPECT_EQ(shape("(-2,)"), (Shape{2, 3, 4}));
  EXPECT_EQ(shape("(-3, 4)"), (Shape{6, 4}));
  EXPECT_EQ(shape("(-4, 1, 2, -2)"), (Shape{1, 2, 3, 4}));
}

TEST(MxnetImport, EverythingUnsupportedIsSaidAtOnce) {
  const auto module = Import(R"~({"nodes": [
    {"op": "null", "name": "data", "inputs": []},
    {"op": "Custom", "name": "a", "inputs": [[0, 0]]},
    {"op": "Activation", "name": "b", "attrs": {"strange": "1"}, "inputs": [[0, 0]]},
    {"op": "BatchNorm", "name": "c", "inputs": [[1, 0]]}], "heads": [[3, 0]]})~");
  EXPECT_THAT(Message(module.status()),
              "a: operator Custom is not supported\n"
              "b: attribute 'strange' of operator Activation is not supported\n"
              "c: has 1 inputs, expected 5");
}

TEST(MxnetImport, MalformedSymbolsGiveOneLine) {
  EXPECT_FALSE(Import("{").ok());
  EXPECT_FALSE(Import(R"~({"nodes": 5, "heads": []})~").ok());
  EXPECT_FALSE(Import(R"~({"nodes": [{"op": 3}], "heads": [[0, 0]]})~").ok());
  EXPECT_FALSE(Import(R"~({"nodes": [{"op": "exp", "name": "y", "inputs": [[0, 0]]}], )~"
                      R"~("heads": [[0, 0]]})~")
                   .ok());  // reads itself
  EXPECT_FALSE(Import(R"~({"nodes": [], "heads": [[7, 0]]})~").ok());
  EXPECT_FALSE(Import(R"~({"nodes": [{"op": "null", "name": "x", "inputs": [[-1, 0]]}], )~"
                      R"~("heads": [[0, 0]]})~")
                   .ok());
  EXPECT_THAT(Message(Import(R"({"nodes": )" + std::string(100000, '[')).status()),
              HasSubstr("nested more than"));
  EXPECT_THAT(Message(Import(OneOp("clip", R"~("a_min": "zero")~"), "", {1}).status()),
              HasSubstr("y: attribute 'a_min' is \"zero\""));
}

TEST(MxnetImport, HostileNumbersAreRefused) {
  const char* const bad[][2] = {
      {"Pooling", R"~("kernel": "(0,0)")~"},
      {"Pooling", R"~("kernel": "(2,2,2)")~"},
      {"Pooling", R"~("kernel": "(9223372036854775807,1)")~"},
      {"Pooling", R"~("kernel": "(2,2)", "stride": "(0,1)")~"},
      {"Pooling", R"~("kernel": "(2,2")~"},
      {"Reshape", R"~("shape": "(-4, 2)")~"},
      {"Reshape", R"~("shape": "(9223372036854775807, 4)")~"},
      {"Reshape", R"~("shape": "(0, 0, 0, 0, 0)")~"},
      {"SliceChannel", R"~("num_outputs": "0")~"},
      {"SliceChannel", R"~("num_outputs": "1000000000")~"},
      {"Pad", R"~("pad_width": "(1,1)")~"},
      {"UpSampling", R"~("scale": "1000000000", "sample_type": "nearest")~"},
      {"transpose", R"~("axes": "(0, 0, 1, 2)")~"},
      {"Crop", R"~("h_w": "(9, 9)")~"},
      {"LRN", R"~("nsize": "-3")~"},
      {"Concat", R"~("dim": "99")~"},
  };
  for (const auto& [op, attributes] : bad) {
    SCOPED_TRACE(StrCat(op, " ", attributes));
    const auto module = Import(OneOp(op, attributes), "", {1, 3, 4, 4});
    EXPECT_FALSE(module.ok());
    EXPECT_THAT(Message(module.status()), HasSubstr("y: "));
  }
}

TEST(MxnetImport, ParamsAreCheckedToTheLastByte) {
  const std::string good = ParamsBuilder().Add("w", Floats({2, 2}, {1, 2, 3, 4})).Build();
  const auto read = [](const std::string& bytes) {
    const auto copy = std::make_shared<std::string>(bytes);
    return mxnet_import::ReadParams(Bytes(*copy), copy);
  };
  ASSERT_TRUE(read(good).ok());
  for (size_t size = 0; size < good.size(); ++size) EXPECT_FALSE(read(good.substr(0, size)).ok());
  EXPECT_FALSE(read(good + "x").ok());
  std::string huge = good;
  huge.replace(16, 8, std::string(8, '\x7f'));  // the number of arrays
  EXPECT_FALSE(read(huge).ok());
  huge = good;
  huge.replace(36, 8, std::string(8, '\x7f'));  // an extent
  EXPECT_FALSE(read(huge).ok());
  EXPECT_FALSE(
      read(ParamsBuilder().Add("w", Floats({1}, {1})).Add("w", Floats({1}, {1})).Build()).ok());
}

}  // namespace
}  // namespace kiln
