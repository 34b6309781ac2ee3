// Data in files beside the model: only regular files inside its folder are ever read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "compiler/import/import.h"
#include "tests/compiler/import/onnx/model_builder.h"
#include "tests/support/temporary_folder.h"

namespace kiln {
namespace {

using testing::HasSubstr;

class ExternalData : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(folder_ / "model/data");
    folder_.Write("model/data/weights.bin", std::string(64, '\1'));
    folder_.Write("secret", std::string(64, '\2'));
  }

  // Imports a model whose parameter of two floats lies at `location`.
  StatusOr<std::unique_ptr<Module>> Import(const std::string& location,
                                           const std::string& offset = "",
                                           const std::string& length = "") {
    ModelBuilder b;
    b.Input("x", {2}).Output("y").Node("Add", {"x", "w"}, {"y"});
    auto* const tensor = b.graph().add_initializer();
    tensor->set_name("w");
    tensor->set_data_type(onnx::TensorProto::FLOAT);
    tensor->add_dims(2);
    tensor->set_data_location(onnx::TensorProto::EXTERNAL);
    const auto entry = [&](const std::string& key, const std::string& value) {
      if (value.empty()) return;
      auto* const added = tensor->add_external_data();
      added->set_key(key);
      added->set_value(value);
    };
    entry("location", location);
    entry("offset", offset);
    entry("length", length);
    const std::string path = folder_.Write("model/net.onnx", b.model().SerializeAsString());
    return ImportModel({path}, {});
  }

  void ExpectRefused(const StatusOr<std::unique_ptr<Module>>& module, const std::string& reason) {
    ASSERT_FALSE(module.ok());
    EXPECT_THAT(Message(module.status()), HasSubstr("net.onnx: w: external data"));
    EXPECT_THAT(Message(module.status()), HasSubstr(reason));
  }

  TemporaryFolder folder_;
};

TEST_F(ExternalData, IsReadFromAnyOffset) {
  for (const char* const offset : {"0", "8", "3", "56"}) {
    const auto module = Import("data/weights.bin", offset, "8");
    ASSERT_TRUE(module.ok()) << module.status();
    const Tensor& value = (*module)->FindParameter("w")->value;
    EXPECT_EQ(std::string(value.bytes().begin(), value.bytes().end()), std::string(8, '\1'));
  }
  EXPECT_TRUE(Import("./data//weights.bin").ok());
}

TEST_F(ExternalData, PathsThatLeadOutAreRefused) {
  ExpectRefused(Import(folder_ / "secret"), "absolute");
  ExpectRefused(Import("../secret"), "'..'");
  ExpectRefused(Import("data/../../secret"), "'..'");
  ExpectRefused(Import(""), "the path is empty");
  ExpectRefused(Import("."), "names no file");
}

TEST_F(ExternalData, LinksAreRefused) {
  std::filesystem::create_symlink(folder_ / "secret", folder_ / "model/link");
  ExpectRefused(Import("link"), "symbolic link");
  std::filesystem::create_directory_symlink(folder_.path(), folder_ / "model/up");
  ExpectRefused(Import("up/secret"), "cannot open");
  std::filesystem::create_hard_link(folder_ / "secret", folder_ / "model/hard");
  ExpectRefused(Import("hard"), "more than one hard link");
}

TEST_F(ExternalData, OnlyRegularFilesAreRead) {
  ExpectRefused(Import("data"), "not a regular file");
  ASSERT_EQ(mkfifo((folder_ / "model/pipe").c_str(), 0600), 0);
  ExpectRefused(Import("pipe"), "not a regular file");
  ExpectRefused(Import("nothing"), "No such file");
}

TEST_F(ExternalData, RangesAreChecked) {
  ExpectRefused(Import("data/weights.bin", "57"), "past its end");
  ExpectRefused(Import("data/weights.bin", "9223372036854775807"), "past its end");
  ExpectRefused(Import("data/weights.bin", "-1"), "offset is");
  ExpectRefused(Import("data/weights.bin", "0x4"), "offset is");
  ExpectRefused(Import("data/weights.bin", "0", "4"), "length is 4, the shape needs 8");
}

}  // namespace
}  // namespace kiln
