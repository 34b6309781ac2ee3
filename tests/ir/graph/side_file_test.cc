#include "ir/graph/side_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "ir/graph/builder.h"
#include "ir/graph/equal.h"
#include "ir/graph/kir_file.h"
#include "tests/support/temporary_folder.h"

namespace kiln {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

Tensor Ramp(int64_t count, int64_t start) {
  std::vector<int64_t> values;
  for (int64_t i = 0; i < count; ++i) values.push_back(start + i);
  return Tensor::FromInts(ElementType::kI32, {count}, values);
}

// A module with large tensors: two equal parameters, one other, and a constant.
std::unique_ptr<Module> LargeModule() {
  auto module = std::make_unique<Module>();
  module->SetParameter({"a", Ramp(100, 0)});
  module->SetParameter({"b", Ramp(100, 0)});
  module->SetParameter({"c", Ramp(333, 5)});
  module->SetParameter({"small", Ramp(64, 0)});
  Builder builder(module->AddFunction("f"));
  builder.graph()->AddOutput("k", *builder.Constant(Ramp(70, 9)));
  return module;
}

TEST(SideFileTest, KirFilesKeepLargeTensors) {
  const TemporaryFolder folder;
  const std::string path = folder / "m.kir";
  const auto module = LargeModule();
  ASSERT_TRUE(SaveKir(*module, path).ok());
  EXPECT_EQ(folder.Count(), 2);
  const auto loaded = LoadKir(path);
  ASSERT_TRUE(loaded.ok()) << Message(loaded.status());
  EXPECT_TRUE(Equal(*module, **loaded));
  const Tensor& c = (*loaded)->FindParameter("c")->value;
  ASSERT_TRUE(c.known());
  EXPECT_EQ(reinterpret_cast<uintptr_t>(c.bytes().data()) % 64, 0u);
  EXPECT_EQ(c.GetInt(332), 337);
}

TEST(SideFileTest, StoresEqualTensorsOnce) {
  const TemporaryFolder folder;
  ASSERT_TRUE(SaveKir(*LargeModule(), folder / "m.kir").ok());
  const auto loaded = LoadKir(folder / "m.kir");
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ((*loaded)->FindParameter("a")->value.bytes().data(),
            (*loaded)->FindParameter("b")->value.bytes().data());
}

TEST(SideFileTest, WithoutItTensorsAreUnknown) {
  const TemporaryFolder folder;
  const auto module = LargeModule();
  ASSERT_TRUE(SaveKir(*module, folder / "m.kir").ok());
  std::filesystem::remove(folder / "m.kir.data");
  const auto loaded = LoadKir(folder / "m.kir");
  ASSERT_TRUE(loaded.ok()) << Message(loaded.status());
  EXPECT_FALSE((*loaded)->FindParameter("c")->value.known());
  EXPECT_TRUE((*loaded)->FindParameter("small")->value.known());
  EXPECT_TRUE(Equal(*module, **loaded));
  // And saved again they stay what they are.
  ASSERT_TRUE(SaveKir(**loaded, folder / "n.kir").ok());
  EXPECT_EQ(ReadAll(folder / "m.kir"), ReadAll(folder / "n.kir"));
}

TEST(SideFileTest, CanBeReplacedWhileItIsMapped) {
  const TemporaryFolder folder;
  ASSERT_TRUE(SaveKir(*LargeModule(), folder / "m.kir").ok());
  const auto loaded = LoadKir(folder / "m.kir");
  ASSERT_TRUE(loaded.ok());
  ASSERT_TRUE(SaveKir(**loaded, folder / "m.kir").ok());
  EXPECT_EQ((*loaded)->FindParameter("c")->value.GetInt(0), 5);
}

TEST(SideFileTest, EveryTruncationIsAnError) {
  const TemporaryFolder folder;
  ASSERT_TRUE(SaveKir(*LargeModule(), folder / "m.kir").ok());
  const std::string bytes = ReadAll(folder / "m.kir.data");
  for (size_t size = 0; size < bytes.size(); size += size < 200 ? 1 : 37) {
    folder.Write("m.kir.data", bytes.substr(0, size));
    const auto loaded = LoadKir(folder / "m.kir");
    EXPECT_THAT(Message(loaded.status()), StartsWith(folder / "m.kir")) << size;
  }
}

TEST(SideFileTest, EveryFlippedBitIsAnErrorOrPadding) {
  const TemporaryFolder folder;
  const auto module = LargeModule();
  ASSERT_TRUE(SaveKir(*module, folder / "m.kir").ok());
  const std::string bytes = ReadAll(folder / "m.kir.data");
  int errors = 0;
  for (size_t at = 0; at < bytes.size(); ++at) {
    std::string damaged = bytes;
    damaged[at] ^= static_cast<char>(1 << (at % 8));
    folder.Write("m.kir.data", damaged);
    const auto loaded = LoadKir(folder / "m.kir");
    if (!loaded.ok()) {
      ++errors;
    } else {
      EXPECT_TRUE(Equal(*module, **loaded)) << at;
    }
  }
  // All but the reserved word and the padding between the contents.
  EXPECT_GT(errors, static_cast<int>(bytes.size()) - 4 * 64);
}

TEST(SideFileTest, SaysWhatIsWrong) {
  const TemporaryFolder folder;
  const std::string path = folder.Write("x", std::string(64, 'a'));
  EXPECT_THAT(Message(SideFile::Open(path).status()), HasSubstr("is not a side file of Kiln"));
  EXPECT_THAT(Message(SideFile::Open(folder.path()).status()), HasSubstr("is a directory"));
  EXPECT_TRUE(absl::IsNotFound(SideFile::Open(folder / "none").status()));
}

TEST(SideFileTest, UnwritablePlacesAreErrors) {
  const TemporaryFolder folder;
  const Status status = SaveKir(*LargeModule(), folder / "missing/m.kir");
  EXPECT_THAT(Message(status), HasSubstr("No such file"));
  std::filesystem::create_directory(folder / "taken");
  EXPECT_THAT(Message(SaveKir(Module(), folder / "taken")), HasSubstr("cannot replace"));
  EXPECT_EQ(folder.Count(), 1);  // nothing is left behind
  EXPECT_THAT(Message(SaveKir(Module(), "/dev/full/x")), HasSubstr("Not a directory"));
}

TEST(SideFileTest, BadKirFilesAreErrorsWithTheirPath) {
  const TemporaryFolder folder;
  EXPECT_THAT(Message(LoadKir(folder / "no.kir").status()), StartsWith(folder / "no.kir"));
  EXPECT_THAT(Message(LoadKir(folder.path()).status()), HasSubstr("is a directory"));
  EXPECT_EQ(Message(LoadKir(folder.Write("e.kir", "")).status()),
            folder / "e.kir" + ":1:1: expected 'module', found the end of the text");
}

}  // namespace
}  // namespace kiln
