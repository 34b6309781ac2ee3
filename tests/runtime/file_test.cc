#include "runtime/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/temporary_folder.h"

namespace kiln {
namespace {

using ::testing::HasSubstr;

std::string Contents(const std::string& path) {
  const absl::StatusOr<std::vector<char>> bytes = ReadFile(path, 1000);
  return bytes.ok() ? std::string(bytes->begin(), bytes->end()) : bytes.status().ToString();
}

absl::Status Write(const std::string& path, const std::string& a, const std::string& b = "") {
  return WriteFile(path, {std::span(a), std::span(b)});
}

TEST(FileTest, WritesAndReads) {
  const TemporaryFolder folder;
  ASSERT_TRUE(Write(folder / "a", "one", "two").ok());
  EXPECT_EQ(Contents(folder / "a"), "onetwo");
  ASSERT_TRUE(Write(folder / "a", "three").ok());
  EXPECT_EQ(Contents(folder / "a"), "three");
  EXPECT_EQ(folder.Count(), 1);
}

TEST(FileTest, ReadsNoMoreThanTheLimit) {
  const TemporaryFolder folder;
  const std::string path = folder.Write("a", "12345");
  EXPECT_TRUE(ReadFile(path, 5).ok());
  EXPECT_EQ(ReadFile(path, 4).status().message(), path + ": file of 5 bytes, the limit is 4");
}

TEST(FileTest, ReadsRanges) {
  const TemporaryFolder folder;
  const absl::StatusOr<InputFile> file = InputFile::Open(folder.Write("a", "12345"));
  EXPECT_EQ(file->size(), 5u);
  EXPECT_THAT(*file->Read(1, 3), ::testing::ElementsAre('2', '3', '4'));
  for (const auto& [offset, count] : {std::pair<uint64_t, uint64_t>{3, 3}, {6, 0}, {1, ~0ull}}) {
    EXPECT_EQ(file->Read(offset, count).status().message(),
              file->path() + ": unexpected end of file");
  }
}

TEST(FileTest, FollowsLinks) {
  const TemporaryFolder folder;
  const std::string target = folder.Write("target", "old"), link = folder / "link";
  ASSERT_EQ(symlink("target", link.c_str()), 0);
  ASSERT_TRUE(Write(link, "new").ok());
  EXPECT_EQ(Contents(target), "new");
  struct stat info;
  ASSERT_EQ(lstat(link.c_str(), &info), 0);
  EXPECT_TRUE(S_ISLNK(info.st_mode));
}

TEST(FileTest, SaysWhyItCannotWrite) {
  const TemporaryFolder folder;
  EXPECT_EQ(Write(folder.path(), "x").message(), folder.path() + ": is a directory");
  const std::string lost = folder / "no/such/folder";
  EXPECT_EQ(Write(lost, "x").message(), lost + ": No such file or directory");
  EXPECT_THAT(std::string(Write(folder.Write("file", "") + "/x", "x").message()),
              HasSubstr("Not a directory"));
  EXPECT_EQ(Write("/dev/full", "x").message(), "/dev/full: No space left on device");
  EXPECT_TRUE(Write("/dev/null", "x").ok());
}

}  // namespace
}  // namespace kiln
