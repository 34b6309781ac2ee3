// Models that are wrong or hostile: each gives an error that says what is wrong, quickly, and
// without memory that only the file's word asks for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "compiler/import/onnx/onnx_import.h"
#include "compiler/import/protobuf.h"
#include "ir/graph/verifier.h"
#include "tests/compiler/import/onnx/model_builder.h"

namespace kiln {
namespace {

using testing::HasSubstr;

constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();

Tensor Floats(Shape shape) { return Tensor::Splat({ElementType::kF32, std::move(shape), {}}, 1); }

struct Row {
  std::string name;
  std::function<void(ModelBuilder&)> build;
  std::string message;  // a part of it
  int64_t opset = 17;
};

// A conv of x [1,2,5,5] with w [4,2,3,3] and one attribute.
std::function<void(ModelBuilder&)> Conv(onnx::AttributeProto attribute) {
  return [attribute](ModelBuilder& b) {
    b.Input("x", {1, 2, 5, 5}).Initializer("w", Floats({4, 2, 3, 3})).Output("y");
    b.Node("Conv", {"x", "w"}, {"y"}, {attribute});
  };
}

std::function<void(ModelBuilder&)> Pool(onnx::AttributeProto attribute,
                                        std::vector<int64_t> kernel = {3, 3}) {
  return [=](ModelBuilder& b) {
    b.Input("x", {1, 2, 5, 5}).Output("y");
    b.Node("MaxPool", {"x"}, {"y"}, {OnnxInts("kernel_shape", kernel), attribute});
  };
}

// y = op(x [2,3], ints)
std::function<void(ModelBuilder&)> WithInts(const std::string& op, std::vector<int64_t> values) {
  return [=](ModelBuilder& b) {
    b.Input("x", {2, 3}).Ints("ints", values).Output("y").Node(op, {"x", "ints"}, {"y"});
  };
}

std::function<void(ModelBuilder&)> Unary(const std::string& op, onnx::AttributeProto attribute) {
  return [=](ModelBuilder& b) {
    b.Input("x", {2, 3}).Output("y").Node(op, {"x"}, {"y"}, {attribute});
  };
}

onnx::TensorProto* RawInitializer(ModelBuilder& b, const std::vector<int64_t>& dims) {
  auto* const tensor =
      b.Input("x", {2}).Output("y").Node("Add", {"x", "w"}, {"y"}).graph().add_initializer();
  tensor->set_name("w");
  tensor->set_data_type(onnx::TensorProto::FLOAT);
  for (const int64_t dim : dims) tensor->add_dims(dim);
  return tensor;
}

std::vector<Row> StructureRows() {
  return {
      {"no outputs", [](ModelBuilder& b) { b.Input("x", {1}); }, "the graph has no outputs"},
      {"cycle",
       [](ModelBuilder& b) {
         b.Input("x", {1}).Output("y").Node("Add", {"x", "b"}, {"a"}).Node("Neg", {"a"}, {"b"});
         b.Node("Neg", {"b"}, {"y"});
       },
       "a: the node depends on itself"},
      {"self-loop", [](ModelBuilder& b) { b.Output("y").Node("Neg", {"y"}, {"y"}); },
       "depends on itself"},
      {"value defined twice",
       [](ModelBuilder& b) {
         b.Input("x", {1}).Output("y").Node("Neg", {"x"}, {"y"}).Node("Abs", {"x"}, {"y"});
       },
       "value 'y' is defined more than once"},
      {"node defines an input",
       [](ModelBuilder& b) { b.Input("x", {1}).Output("x").Node("Neg", {"x"}, {"x"}); },
       "value 'x' is defined more than once"},
      {"input twice", [](ModelBuilder& b) { b.Input("x", {1}).Input("x", {1}).Output("x"); },
       "input 'x' is defined more than once"},
      {"initializer twice",
       [](ModelBuilder& b) {
         b.Initializer("w", Floats({1})).Initializer("w", Floats({1})).Output("w");
       },
       "initializer 'w' is defined more than once"},
      {"missing initializer",
       [](ModelBuilder& b) { b.Input("x", {1}).Output("y").Node("Add", {"x", "w"}, {"y"}); },
       "y: input 'w' is not defined"},
      {"missing output", [](ModelBuilder& b) { b.Input("x", {1}).Output("y"); },
       "output 'y' is not defined"},
      {"too few operands",
       [](ModelBuilder& b) { b.Input("x", {1}).Output("y").Node("Add", {"x"}, {"y"}); },
       "y: has 1 operands, expected 2"},
      {"operand left out",
       [](ModelBuilder& b) { b.Input("x", {1}).Output("y").Node("Add", {"x", ""}, {"y"}); },
       "y: operand 1 is missing"},
      {"too many results",
       [](ModelBuilder& b) { b.Input("x", {1}).Output("y").Node("Neg", {"x"}, {"y", "z"}); },
       "y: has 2 results"},
      {"opset too new", [](ModelBuilder& b) { b.Input("x", {1}).Output("x"); },
       "opset 1000 is newer than the newest supported, 27", 1000},
      {"opset zero", [](ModelBuilder& b) { b.Input("x", {1}).Output("x"); },
       "opset 0 of domain '' does not exist", 0},
      {"operator too old for its handler",
       [](ModelBuilder& b) {
         b.Input("x", {1}).Output("y").Node("Cast", {"x"}, {"y"}, {OnnxInt("to", 1)});
       },
       "y: operator Cast of opset 3 is not supported", 3},
      {"attribute of the wrong type", Unary("Softmax", OnnxString("axis", "one")),
       "y: attribute 'axis' must be of type int, found string"},
      {"attribute missing",
       [](ModelBuilder& b) { b.Input("x", {1, 1, 2}).Output("y").Node("MaxPool", {"x"}, {"y"}); },
       "y: attribute 'kernel_shape' is missing"},
      {"type that does not exist", Unary("Cast", OnnxInt("to", 99)),
       "y: element type 99 does not exist"},
      {"type far out of range", Unary("Cast", OnnxInt("to", kHuge)),
       "y: attribute 'to': element type 9223372036854775807 does not exist"},
      {"branches of an If disagree",
       [](ModelBuilder& b) {
         b.Input("c", {}, onnx::TensorProto::BOOL).Input("x", {2}).Output("y");
         const auto branch = [](const std::string& name, int64_t axis) {
           return OnnxBranch({OnnxNode("ArgMax", {"x"}, {name}, {OnnxInt("keepdims", axis)})},
                             {name});
         };
         b.Node(
             "If", {"c"}, {"y"},
             {OnnxGraph("then_branch", branch("t", 0)), OnnxGraph("else_branch", branch("e", 1))});
       },
       "y: the condition is not known when compiling, and a result is i64[] or i64[1] by it"},
  };
}

std::vector<Row> SizeRows() {
  return {
      {"negative dimension of an input", [](ModelBuilder& b) { b.Input("x", {2, -5}).Output("x"); },
       "has a negative dimension"},
      {"enormous input",
       [](ModelBuilder& b) { b.Input("x", {int64_t{1} << 40, int64_t{1} << 40}).Output("x"); },
       "is too large"},
      {"negative dimension of an initializer", [](ModelBuilder& b) { RawInitializer(b, {-2}); },
       "w: shape [-2] has a negative dimension"},
      {"initializer whose size overflows",
       [](ModelBuilder& b) { RawInitializer(b, {kHuge, kHuge}); }, "is too large"},
      {"initializer of many dimensions",
       [](ModelBuilder& b) { RawInitializer(b, std::vector<int64_t>(1000, 1)); },
       "w: has 1000 dimensions"},
      {"initializer with too few bytes",
       [](ModelBuilder& b) { RawInitializer(b, {1000000})->set_raw_data("abcd"); },
       "w: holds 4 bytes"},
      {"initializer with too few values",
       [](ModelBuilder& b) { RawInitializer(b, {int64_t{1} << 40})->add_float_data(1); },
       "w: holds 1 values"},
      {"initializer without a type",
       [](ModelBuilder& b) { RawInitializer(b, {2})->set_data_type(0); },
       "w: element type 0 does not exist"},
      {"reshape to too much", WithInts("Reshape", {kHuge, kHuge}), "y: "},
      {"reshape that does not fit", WithInts("Reshape", {4, -1}), "does not divide"},
      {"reshape with two open", WithInts("Reshape", {-1, -1}), "has two -1"},
      {"reshape to a negative", WithInts("Reshape", {-7, 3}), "y: "},
      {"expand to too much", WithInts("Expand", {kHuge, kHuge, 2, 3}), "y: "},
      {"tile beyond bounds", WithInts("Tile", {kHuge, kHuge}), "is too large"},
      {"negative tile", WithInts("Tile", {-1, 2}), "y: "},
      {"pads overflow", WithInts("Pad", {kHuge, 0, kHuge, 0}), "y: "},
      {"pads of the wrong number", WithInts("Pad", {1, 1}), "must be 4 numbers"},
      {"top-k larger than the axis",
       [](ModelBuilder& b) {
         b.Input("x", {2, 3}).Ints("k", {kHuge}).Output("y").Node("TopK", {"x", "k"}, {"y", "i"});
       },
       "y: "},
      {"range without end",
       [](ModelBuilder& b) {
         const auto number = [](int64_t v) { return Tensor::FromInts(ElementType::kI64, {}, {v}); };
         b.Initializer("from", number(0)).Initializer("to", number(kHuge));
         b.Initializer("by", number(1)).Output("y").Node("Range", {"from", "to", "by"}, {"y"});
       },
       "y: the range is too long"},
      {"range of step 0",
       [](ModelBuilder& b) {
         const auto number = [](int64_t v) { return Tensor::FromInts(ElementType::kI64, {}, {v}); };
         b.Initializer("from", number(0)).Initializer("to", number(9)).Initializer("by", number(0));
         b.Output("y").Node("Range", {"from", "to", "by"}, {"y"});
       },
       "y: operand 'delta' is 0"},
      {"shape computed from something giant",
       [](ModelBuilder& b) {
         b.Input("x", {2, 3}).Ints("size", {int64_t{1} << 40}).Output("y");
         b.Node("ConstantOfShape", {"size"}, {"giant"});
         b.Node("Cast", {"giant"}, {"ints"}, {OnnxInt("to", onnx::TensorProto::INT64)});
         b.Node("ReduceSum", {"ints"}, {"sum"}).Node("Reshape", {"x", "sum"}, {"y"});
       },
       "is too large to be computed when compiling"},
      {"one-hot of enormous depth",
       [](ModelBuilder& b) {
         b.Input("x", {2}, onnx::TensorProto::INT64).Ints("depth", {kHuge});
         b.Initializer("values", Floats({2})).Output("y");
         b.Node("OneHot", {"x", "depth", "values"}, {"y"});
       },
       "is too large"},
      {"resize by an enormous scale",
       [](ModelBuilder& b) {
         b.Input("x", {1, 1, 2, 2}).Output("y");
         b.Initializer("scales", Tensor::FromDoubles(ElementType::kF32, {4}, {1, 1, 1e30, 1e30}));
         b.Node("Resize", {"x", "", "scales"}, {"y"});
       },
       "out of range"},
  };
}

std::vector<Row> WindowRows() {
  return {
      {"zero stride", Conv(OnnxInts("strides", {0, 1})), "attribute 'strides' is [0,1]"},
      {"negative stride", Conv(OnnxInts("strides", {-1, 1})), "attribute 'strides' is"},
      {"zero dilation", Conv(OnnxInts("dilations", {0, 0})), "attribute 'dilations' is"},
      {"dilations shorter than the kernel", Conv(OnnxInts("dilations", {1})),
       "attribute 'dilations' is [1], expected 2 numbers"},
      {"enormous dilation", Conv(OnnxInts("dilations", {kHuge, kHuge})), "out of range"},
      {"pads of the wrong number", Conv(OnnxInts("pads", {1, 1})), "expected 4 numbers"},
      {"negative pads", Conv(OnnxInts("pads", {-9, 0, 0, 0})), "out of range"},
      {"enormous pads", Conv(OnnxInts("pads", {kHuge, kHuge, kHuge, kHuge})), "out of range"},
      {"large pads", Conv(OnnxInts("pads", {1 << 30, 1 << 30, 1 << 30, 1 << 30})), "too large"},
      {"group of zero", Conv(OnnxInt("group", 0)), "y: conv: "},
      {"group that does not divide", Conv(OnnxInt("group", 3)), "y: conv: "},
      {"kernel_shape that is not the weights'", Conv(OnnxInts("kernel_shape", {3, 3, 3})),
       "attribute 'kernel_shape' is [3,3,3]"},
      {"unknown auto_pad", Conv(OnnxString("auto_pad", "DIAGONAL")), "auto_pad"},
      {"zero kernel", Pool(OnnxInt("ceil_mode", 0), {0, 3}), "out of range"},
      {"kernel of one dimension", Pool(OnnxInt("ceil_mode", 0), {3}),
       "does not fit 2 spatial dimensions"},
      {"enormous kernel", Pool(OnnxInt("ceil_mode", 1), {kHuge, kHuge}), "out of range"},
      {"kernel larger than the image", Pool(OnnxInt("ceil_mode", 1), {9, 9}), "y: max_pool"},
      {"axis out of range", Unary("Softmax", OnnxInt("axis", 2)), "axis 2 is out of range"},
      {"enormous axis", Unary("Softmax", OnnxInt("axis", kHuge)), "is out of range"},
      {"most negative axis", Unary("Flatten", OnnxInt("axis", -kHuge - 1)), "out of range"},
      {"permutation of the wrong length", Unary("Transpose", OnnxInts("perm", {0})), "y: "},
      {"permutation out of range", Unary("Transpose", OnnxInts("perm", {0, 7})), "y: "},
      {"axis named twice", WithInts("ReduceSum", {0, -2}), "name one axis twice"},
      {"squeeze of more than 1", WithInts("Squeeze", {0}), "cannot be squeezed"},
      {"einsum with a bad term", Unary("Einsum", OnnxString("equation", "i%->i")), "the term"},
      {"einsum of the wrong rank", Unary("Einsum", OnnxString("equation", "ijk->i")),
       "does not fit 2 dimensions"},
      {"einsum output out of nowhere", Unary("Einsum", OnnxString("equation", "ij->k")),
       "in no input"},
      {"slice step of zero",
       [](ModelBuilder& b) {
         b.Input("x", {4}).Ints("a", {0}).Ints("b", {4}).Ints("s", {0}).Output("y");
         b.Node("Slice", {"x", "a", "b", "a", "s"}, {"y"});
       },
       "step of a slice is 0"},
      {"split sizes beyond the axis", WithInts("Split", {kHuge}), "do not fit"},
      {"group norm with zero groups",
       [](ModelBuilder& b) {
         b.Input("x", {1, 4, 2}).Initializer("s", Floats({4})).Output("y");
         b.Node("GroupNormalization", {"x", "s", "s"}, {"y"}, {OnnxInt("num_groups", 0)});
       },
       "do not divide into 0 groups", 21},
      {"depth to space with block 0",
       [](ModelBuilder& b) {
         b.Input("x", {1, 4, 2, 2}).Output("y");
         b.Node("DepthToSpace", {"x"}, {"y"}, {OnnxInt("blocksize", 0)});
       },
       "blocksize is 0"},
      {"recurrent net of too many steps",
       [](ModelBuilder& b) {
         b.Input("x", {1 << 20, 1, 1}).Output("y");
         b.Initializer("w", Floats({1, 4, 1})).Initializer("r", Floats({1, 4, 1}));
         b.Node("LSTM", {"x", "w", "r"}, {"y"});
       },
       "sequences of 1048576 steps are not supported"},
  };
}

// Attributes of the wrong length, of zero, negative and enormous, on every op that has them.
std::vector<Row> AttributeRows() {
  std::vector<Row> rows;
  struct Op {
    const char* type;
    std::vector<int64_t> weights;  // none: a pool
  };
  const std::vector<Op> ops = {{"Conv", {4, 2, 3, 3}},
                               {"ConvTranspose", {2, 4, 3, 3}},
                               {"MaxPool", {}},
                               {"AveragePool", {}},
                               {"LpPool", {}}};
  for (const Op& op : ops) {
    for (const char* const name : {"strides", "dilations", "pads"}) {
      const std::string attribute = name;
      if (attribute == "dilations" && op.type == std::string("AveragePool")) continue;
      std::vector<std::vector<int64_t>> values = {{1}, {1, 1, 1}, {-1, 1}, {kHuge, kHuge}};
      if (attribute != "pads") values.push_back({0, 1});
      if (attribute == "pads") values = {{1}, {1, 1, 1}, {-9, 0, 0, 0}, {0, 0, kHuge, kHuge}};
      for (const auto& value : values) {
        rows.push_back({StrCat(op.type, " ", attribute, " ", FormatInts(value)),
                        [=](ModelBuilder& b) {
                          b.Input("x", {1, 2, 5, 5}).Output("y");
                          if (op.weights.empty()) {
                            b.Node(op.type, {"x"}, {"y"},
                                   {OnnxInts("kernel_shape", {3, 3}), OnnxInts(name, value)});
                            return;
                          }
                          b.Initializer("w", Floats(op.weights));
                          b.Node(op.type, {"x", "w"}, {"y"}, {OnnxInts(name, value)});
                        },
                        "y: "});
      }
    }
  }
  return rows;
}

// An axis that does not exist, on every op that has one.
std::vector<Row> AxisRows() {
  std::vector<Row> rows;
  for (const int64_t axis : {int64_t{2}, int64_t{-3}, kHuge, -kHuge - 1}) {
    for (const char* const op : {"Softmax", "LogSoftmax", "Hardmax", "ArgMax", "ArgMin", "Concat",
                                 "LayerNormalization", "ReduceMax", "ReduceMean", "ReduceL2"}) {
      const bool axes = std::string(op).starts_with("Reduce");
      const bool scale = std::string(op) == "LayerNormalization";
      rows.push_back(
          {StrCat(op, " along ", axis),
           [=](ModelBuilder& b) {
             b.Input("x", {2, 3}).Initializer("s", Floats({3})).Output("y");
             b.Node(op, scale ? std::vector<std::string>{"x", "s"} : std::vector<std::string>{"x"},
                    {"y"}, {axes ? OnnxInts("axes", {axis}) : OnnxInt("axis", axis)});
           },
           "y: "});
    }
    for (const char* const op : {"Gather", "GatherElements"}) {
      rows.push_back({StrCat(op, " along ", axis),
                      [=](ModelBuilder& b) {
                        b.Input("x", {2, 3})
                            .Output("y")
                            .Initializer("i", Tensor::FromInts(ElementType::kI64, {1, 1}, {0}));
                        b.Node(op, {"x", "i"}, {"y"}, {OnnxInt("axis", axis)});
                      },
                      "y: "});
    }
    rows.push_back({StrCat("CumSum along ", axis), WithInts("CumSum", {axis}), "y: "});
    rows.push_back({StrCat("ReduceSum along ", axis), WithInts("ReduceSum", {axis}), "y: "});
    rows.push_back({StrCat("Squeeze of ", axis), WithInts("Squeeze", {axis}), "y: "});
    // Unsqueeze counts the axes of its result.
    rows.push_back({StrCat("Unsqueeze at ", axis),
                    WithInts("Unsqueeze", {axis == 2    ? 3
                                           : axis == -3 ? -4
                                                        : axis}),
                    "y: "});
  }
  return rows;
}

void CheckRows(const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    ModelBuilder builder(row.opset);
    row.build(builder);
    const auto module = ImportOnnx(builder.model(), "", {});
    ASSERT_FALSE(module.ok()) << row.name;
    EXPECT_THAT(Message(module.status()), HasSubstr(row.message)) << row.name;
    EXPECT_EQ(StrSplit(Message(module.status()), '\n').size(), 1u)
        << row.name << ": " << module.status();
  }
}

TEST(OnnxMalformed, Structure) { CheckRows(StructureRows()); }
TEST(OnnxMalformed, Sizes) { CheckRows(SizeRows()); }
TEST(OnnxMalformed, Windows) { CheckRows(WindowRows()); }
TEST(OnnxMalformed, Attributes) { CheckRows(AttributeRows()); }
TEST(OnnxMalformed, Axes) { CheckRows(AxisRows()); }

TEST(OnnxMalformed, AGiantConstantIsNotAllocated) {
  ModelBuilder b;
  b.Ints("size", {int64_t{1} << 40}).Output("y").Node("ConstantOfShape", {"size"}, {"y"});
  const auto module = ImportOnnx(b.model(), "", {});
  ASSERT_TRUE(module.ok()) << module.status();
  EXPECT_EQ((*module)->FindFunction("forward")->outputs()[0].value->kind(), "broadcast");
}

TEST(OnnxMalformed, FunctionsThatCallThemselves) {
  ModelBuilder b;
  b.Input("x", {1}).Output("y").Node("F", {"x"}, {"y"});
  auto* const function = b.model().add_functions();
  function->set_name("F");
  function->add_input("a");
  function->add_output("b");
  function->add_opset_import()->set_version(17);
  *function->add_node() = OnnxNode("F", {"a"}, {"b"});
  EXPECT_THAT(Message(ImportOnnx(b.model(), "", {}).status()), HasSubstr("too deep"));
}

TEST(OnnxMalformed, FunctionsThatDoubleAtEachLevel) {
  ModelBuilder b;
  b.Input("x", {1}).Output("y").Node("F39", {"x"}, {"y"});
  for (int i = 0; i < 40; ++i) {
    auto* const function = b.model().add_functions();
    function->set_name(StrCat("F", i));
    function->add_input("a");
    function->add_output("c");
    function->add_opset_import()->set_version(17);
    const std::string callee = i == 0 ? "Neg" : StrCat("F", i - 1);
    *function->add_node() = OnnxNode(callee, {"a"}, {"b"});
    *function->add_node() = OnnxNode(callee, {"b"}, {"c"});
  }
  EXPECT_THAT(Message(ImportOnnx(b.model(), "", {}).status()),
              HasSubstr("the model has more than 200000 nodes"));
}

// A model with most kinds of parts.
std::string SampleModel() {
  ModelBuilder b;
  b.Input("x", {1, 2, 5, 5}).Initializer("w", Floats({4, 2, 3, 3})).Output("y");
  b.Ints("shape", {1, -1});
  b.Node("Conv", {"x", "w"}, {"h"}, {OnnxInts("pads", {1, 1, 1, 1})});
  b.Node("Constant", {}, {"c"}, {OnnxTensor("value", Floats({1}))});
  b.Node("Add", {"h", "c"}, {"s"}).Node("Reshape", {"s", "shape"}, {"y"});
  return b.model().SerializeAsString();
}

StatusOr<std::unique_ptr<Module>> ImportBytes(const std::string& bytes) {
  onnx::ModelProto model;
  KILN_RETURN_IF_ERROR(ParseProtobuf(bytes, &model));
  return ImportOnnx(std::move(model), "", {});
}

TEST(OnnxMalformed, CutShortAnywhere) {
  const std::string bytes = SampleModel();
  ASSERT_TRUE(ImportBytes(bytes).ok());
  for (size_t size = 0; size < bytes.size(); ++size) {
    const auto module = ImportBytes(bytes.substr(0, size));
    EXPECT_FALSE(module.ok()) << size;
  }
}

TEST(OnnxMalformed, BytesChangedAtRandom) {
  const std::string bytes = SampleModel();
  std::mt19937 random(1);
  for (int round = 0; round < 20000; ++round) {
    std::string changed = bytes;
    for (int i = random() % 3; i >= 0; --i) {
      changed[random() % changed.size()] = static_cast<char>(random());
    }
    const auto module = ImportBytes(changed);
    if (module.ok()) {
      ASSERT_EQ(Verify(**module), OkStatus());
    }
  }
}

TEST(OnnxMalformed, NestingAndNumberOfPartsAreBounded) {
  onnx::GraphProto inner;
  for (int i = 0; i < 200; ++i) {
    onnx::GraphProto outer;
    *outer.add_node() = OnnxNode("If", {"c"}, {"y"});
    auto* const attribute = outer.mutable_node(0)->add_attribute();
    attribute->set_name("then_branch");
    attribute->mutable_g()->Swap(&inner);
    inner.Swap(&outer);
  }
  onnx::ModelProto model;
  model.mutable_graph()->Swap(&inner);
  onnx::ModelProto read;
  EXPECT_THAT(Message(ParseProtobuf(model.SerializeAsString(), &read)), HasSubstr("100 deep"));
  // 3 nodes of 2 bytes each, against a limit of 3 parts: the graph is one.
  const std::string nodes("\x3a\x06\x0a\x00\x0a\x00\x0a\x00", 8);
  EXPECT_THAT(Message(ParseProtobuf(nodes, &read, {.messages = 3})),
              HasSubstr("more than 3 parts"));
  EXPECT_EQ(ParseProtobuf(nodes, &read, {.messages = 4}), OkStatus());
}

}  // namespace
}  // namespace kiln
