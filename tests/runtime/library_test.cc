#include "runtime/library.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <iterator>

#include "runtime/file.h"
#include "tests/support/temporary_folder.h"

namespace kiln {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string OpenError(const std::string& path) {
  const absl::StatusOr<std::shared_ptr<const Library>> library = Library::Open(path);
  EXPECT_FALSE(library.ok());
  const std::string message(library.status().message());
  EXPECT_THAT(message, StartsWith(path + ": "));
  return message.substr(std::min(message.size(), path.size() + 2));
}

TEST(LibraryTest, DescribesItself) {
  const absl::StatusOr<std::shared_ptr<const Library>> library = Library::Open(KILN_TEST_LIBRARY);
  ASSERT_TRUE(library.ok()) << library.status();
  EXPECT_STREQ((*library)->info().model, "scale");
  ASSERT_TRUE((*library)->Function("forward").ok());
  EXPECT_EQ((*library)->Function("backward").status().message(),
            "no function 'backward' in the library; it has: forward");
}

TEST(LibraryTest, CopiesItsParameters) {
  const absl::StatusOr<std::shared_ptr<const Library>> library = Library::Open(KILN_TEST_LIBRARY);
  ASSERT_TRUE(library.ok()) << library.status();
  const kiln_library_info& info = (*library)->info();
  for (int time = 0; time < 2; ++time) {  // what a copy drops from memory comes back for the next
    const absl::StatusOr<std::shared_ptr<const Pages>> copy = (*library)->CopyParameters();
    ASSERT_TRUE(copy.ok()) << copy.status();
    ASSERT_EQ((*copy)->size(), info.parameters_bytes);
    EXPECT_NE((*copy)->data(), info.parameters_data);
    EXPECT_EQ(std::memcmp((*copy)->data(), info.parameters_data, info.parameters_bytes), 0);
  }
}

TEST(LibraryTest, NamesWithoutASlashAreFilesHere) {
  // The C library is on the search path, but no file of that name lies here.
  EXPECT_THAT(OpenError("libc.so.6"), HasSubstr("No such file"));
}

TEST(LibraryTest, RefusesWhatIsNoKilnLibrary) {
  const TemporaryFolder folder;
  EXPECT_THAT(OpenError(folder / "missing.so"), HasSubstr("No such file"));
  EXPECT_EQ(OpenError(folder.path()), "is a directory");
  EXPECT_EQ(OpenError(folder.Write("empty.so", "")), "not a shared library");
  EXPECT_EQ(OpenError(folder.Write("text.so", std::string(200, 'a'))), "not a shared library");
  EXPECT_EQ(OpenError(KILN_TEST_LIBRARY_NO_ENTRY),
            "not a Kiln library (it has no symbol 'kiln_library')");
}

TEST(LibraryTest, RefusesAnotherAbiVersion) {
  EXPECT_EQ(OpenError(KILN_TEST_LIBRARY_OTHER_ABI),
            "the library has ABI version 999, this Kiln reads version 1");
}

// A library cut short anywhere is refused; loading it would kill the process.
TEST(LibraryTest, RefusesTruncatedLibraries) {
  const TemporaryFolder folder;
  const absl::StatusOr<std::vector<char>> whole = ReadFile(KILN_TEST_LIBRARY, 1 << 20);
  ASSERT_TRUE(whole.ok());
  for (size_t size = 0; size < whole->size(); size += 97) {
    const std::string path = folder.Write("cut.so", std::string_view(whole->data(), size));
    EXPECT_THAT(OpenError(path), ::testing::AnyOf("not a shared library", "truncated library"));
  }
}

TEST(LibraryTest, RefusesAnotherCpu) {
  const TemporaryFolder folder;
  absl::StatusOr<std::vector<char>> library = ReadFile(KILN_TEST_LIBRARY, 1 << 20);
  ASSERT_TRUE(library.ok());
  (*library)[18] = 8;  // e_machine: MIPS
  (*library)[19] = 0;
  const std::string path =
      folder.Write("mips.so", std::string_view(library->data(), library->size()));
  EXPECT_THAT(OpenError(path), StartsWith("cannot be loaded: "));
}

}  // namespace
}  // namespace kiln
