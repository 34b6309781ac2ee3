#include "compiler/import/onnx/raw_data.h"

#include <gtest/gtest.h>

#include "compiler/import/onnx/onnx_import.h"
#include "compiler/import/onnx/tensor.h"
#include "compiler/import/protobuf.h"
#include "tests/support/temporary_folder.h"

namespace kiln::onnx_import {
namespace {

/// A model with one large initializer "w", one small one "b", y = x * w + b.
onnx::ModelProto SmallModel(int64_t count) {
  onnx::ModelProto model;
  model.set_ir_version(8);
  model.add_opset_import()->set_version(13);
  onnx::GraphProto& graph = *model.mutable_graph();
  std::vector<double> values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i) / 8;
  *graph.add_initializer() = ToProto(Tensor::FromDoubles(ElementType::kF32, {count}, values), "w");
  *graph.add_initializer() = ToProto(Tensor::FromDoubles(ElementType::kF32, {1}, {0.5}), "b");
  const auto io = [&](onnx::ValueInfoProto* value, const char* name) {
    value->set_name(name);
    auto* const type = value->mutable_type()->mutable_tensor_type();
    type->set_elem_type(onnx::TensorProto::FLOAT);
    type->mutable_shape()->add_dim()->set_dim_value(count);
  };
  io(graph.add_input(), "x");
  io(graph.add_output(), "y");
  const auto node = [&](const char* op, const char* a, const char* b, const char* y) {
    onnx::NodeProto* const added = graph.add_node();
    added->set_op_type(op);
    added->add_input(a);
    added->add_input(b);
    added->add_output(y);
  };
  node("Mul", "x", "w", "m");
  node("Add", "m", "b", "y");
  return model;
}

class RawDataTest : public ::testing::Test {
 protected:
  std::string Write(const std::string& bytes) { return folder_.Write("model.onnx", bytes); }

 private:
  TemporaryFolder folder_;
};

TEST_F(RawDataTest, LargeRawDataStayInTheFile) {
  const onnx::ModelProto model = SmallModel(100000);
  const std::string path = Write(model.SerializeAsString());
  auto file = MappedFile::Open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  RawData raw_data(*file);
  const auto bytes = CutOutRawData(raw_data);
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  EXPECT_LT(bytes->size(), 1000u);
  onnx::ModelProto parsed;
  ASSERT_TRUE(ParseProtobuf(*bytes, &parsed).ok());
  const auto cut = raw_data.Find(parsed.graph().initializer(0).raw_data());
  ASSERT_TRUE(cut.has_value());
  EXPECT_EQ(std::string(cut->begin(), cut->end()), model.graph().initializer(0).raw_data());
  EXPECT_GE(cut->data(), (*file)->bytes().data());
  EXPECT_FALSE(raw_data.Find(parsed.graph().initializer(1).raw_data()).has_value());
  // All else is as it was.
  *parsed.mutable_graph()->mutable_initializer(0)->mutable_raw_data() =
      model.graph().initializer(0).raw_data();
  EXPECT_EQ(parsed.SerializeAsString(), model.SerializeAsString());
}

TEST_F(RawDataTest, ImportReadsTheMappedValues) {
  const onnx::ModelProto model = SmallModel(100000);
  const auto mapped = ImportOnnxFile(Write(model.SerializeAsString()), {});
  const auto parsed = ImportOnnx(model, "", {});
  ASSERT_TRUE(mapped.ok()) << mapped.status();
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  ASSERT_EQ((*mapped)->parameters().size(), 2u);
  for (const auto& [name, parameter] : (*parsed)->parameters()) {
    EXPECT_EQ((*mapped)->FindParameter(name)->value, parameter.value) << name;
  }
}

TEST_F(RawDataTest, AWrongSizeIsToldAsBefore) {
  onnx::ModelProto model = SmallModel(100000);
  model.mutable_graph()->mutable_initializer(0)->mutable_raw_data()->resize(399996);
  const auto module = ImportOnnxFile(Write(model.SerializeAsString()), {});
  ASSERT_FALSE(module.ok());
  EXPECT_NE(Message(module.status()).find("holds 399996 bytes"), std::string::npos)
      << module.status();
}

// Whatever is cut off the end, the import fails or gives a model; nothing is read past the end.
TEST_F(RawDataTest, FilesCutShortAreRefused) {
  const std::string bytes = SmallModel(66000).SerializeAsString();
  for (size_t size = 1; size < bytes.size(); size += size < 100 ? 1 : 9973) {
    const auto module = ImportOnnxFile(Write(bytes.substr(0, size)), {});
    EXPECT_FALSE(module.ok()) << size;
  }
}

}  // namespace
}  // namespace kiln::onnx_import
