#include "compiler/import/import.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/compiler/import/onnx/model_builder.h"
#include "tests/support/temporary_folder.h"

namespace kiln {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::string OnnxBytes() {
  ModelBuilder b;
  b.Input("x", {2}).Output("y").Node("Relu", {"x"}, {"y"});
  return b.model().SerializeAsString();
}

constexpr char kKir[] = R"(// a comment
module "m" {
  func @f(%x: f32[2]) -> ("y": %y) {
    %y = relu(%x) : f32[2]
  }
}
)";

TEST(Import, TellsFormatsByContent) {
  const TemporaryFolder folder;
  const auto onnx = ImportModel({folder.Write("a.bin", OnnxBytes())}, {});
  ASSERT_TRUE(onnx.ok()) << onnx.status();
  EXPECT_EQ((*onnx)->metadata.at("format"), "onnx");
  const auto kir = ImportModel({folder.Write("b.onnx", kKir)}, {});
  ASSERT_TRUE(kir.ok()) << kir.status();
  EXPECT_NE((*kir)->FindFunction("f"), nullptr);
}

TEST(Import, ErrorsStartWithThePath) {
  const TemporaryFolder folder;
  const auto error = [&](const std::string& path, const ImportOptions& options = {}) {
    const auto module = ImportModel({path}, options);
    EXPECT_FALSE(module.ok());
    for (const std::string& line : StrSplit(Message(module.status()), '\n')) {
      EXPECT_THAT(line, StartsWith(path + ": "));
    }
    return Message(module.status());
  };
  EXPECT_THAT(error(folder / "missing"), HasSubstr("No such file"));
  EXPECT_THAT(error(folder.path()), HasSubstr("directory"));
  EXPECT_THAT(error(folder.Write("empty", "")), HasSubstr("the file is empty"));
  EXPECT_THAT(error(folder.Write("text", "hello, world\n")), HasSubstr("no known model format"));
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_THAT(error(folder / "pipe"), HasSubstr("not a regular file"));
  const std::string bytes = OnnxBytes();
  for (size_t size = 1; size < bytes.size(); ++size) {
    error(folder.Write("cut", bytes.substr(0, size)));
  }
  ModelBuilder b;
  b.Input("x", {2}).Output("y").Node("Foo", {"x"}, {"h"}).Node("Bar", {"h"}, {"y"});
  const std::string both = error(folder.Write("foo.onnx", b.model().SerializeAsString()));
  EXPECT_EQ(StrSplit(both, '\n').size(), 2u);
}

TEST(Import, TheFormatCanBeGiven) {
  const TemporaryFolder folder;
  const std::string path = folder.Write("a.onnx", OnnxBytes());
  ImportOptions options;
  options.format = "onnx";
  EXPECT_TRUE(ImportModel({path}, options).ok());
  options.format = "kir";
  EXPECT_FALSE(ImportModel({path}, options).ok());
  options.format = "nonsense";
  EXPECT_EQ(Message(ImportModel({path}, options).status()),
            "there is no model format 'nonsense', only kir, kiln, caffe, caffe2, mxnet, "
            "pytorch, tensorflow, onnx");
  EXPECT_THAT(Message(ImportModel({path, path}, {}).status()), HasSubstr("is one file"));
  EXPECT_FALSE(ImportModel({}, {}).ok());
}

}  // namespace
}  // namespace kiln
