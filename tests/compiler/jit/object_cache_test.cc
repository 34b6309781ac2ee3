// The cache of object files: hits, the cap on its size, damage, and processes that share it.
#include "compiler/jit/object_cache.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "ir/support/strings.h"
#include "tests/support/temporary_folder.h"

namespace kiln {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> Entries(const std::string& directory) {
  std::vector<fs::path> entries;
  for (const auto& entry : fs::directory_iterator(directory + "/objects")) {
    entries.push_back(entry.path());
  }
  return entries;
}

std::string Read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void Write(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

TEST(ObjectCache, KeepsWhatIsInserted) {
  const TemporaryFolder folder;
  const ObjectCache cache(folder / "cache");
  EXPECT_EQ(cache.Find("key"), std::nullopt);
  cache.Insert("key", std::string("a\0b", 3));
  cache.Insert("other", "");
  EXPECT_EQ(cache.Find("key"), std::string("a\0b", 3));
  EXPECT_EQ(cache.Find("other"), "");
  EXPECT_EQ(cache.Find("ke"), std::nullopt);
  cache.Insert("key", "new");
  EXPECT_EQ(cache.Find("key"), "new");
  // Another process sees the same, and nothing is left beside the entries.
  EXPECT_EQ(ObjectCache(folder / "cache").Find("key"), "new");
  EXPECT_EQ(Entries(folder / "cache").size(), 2u);
}

TEST(ObjectCache, IgnoresDamagedEntries) {
  const TemporaryFolder folder;
  const ObjectCache cache(folder.path());
  cache.Insert("the key", "the value");
  const fs::path entry = Entries(folder.path()).at(0);
  const std::string whole = Read(entry);
  for (size_t size = 0; size < whole.size(); ++size) {
    Write(entry, whole.substr(0, size));
    EXPECT_EQ(cache.Find("the key"), std::nullopt) << size;
  }
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    Write(entry, damaged);
    EXPECT_EQ(cache.Find("the key"), std::nullopt) << at;
  }
  Write(entry, whole + "x");
  EXPECT_EQ(cache.Find("the key"), std::nullopt);
  // An entry of another key under this name, as after a collision of hashes.
  const TemporaryFolder other;
  ObjectCache(other.path()).Insert("another", "value");
  Write(entry, Read(Entries(other.path()).at(0)));
  EXPECT_EQ(cache.Find("the key"), std::nullopt);
  cache.Insert("the key", "the value");
  EXPECT_EQ(cache.Find("the key"), "the value");
}

TEST(ObjectCache, ThrowsAwayWhatWasUsedLongestAgo) {
  const TemporaryFolder folder;
  const std::string kilobyte(1000, 'x');
  const ObjectCache cache(folder.path(), 5 * 1100);
  for (int i = 0; i < 8; ++i) {
    cache.Insert(StrCat("key", i), kilobyte);
    // The file system's clock is coarse, so the entries are dated by hand.
    for (const fs::path& path : Entries(folder.path())) {
      const auto age = fs::file_time_type::clock::now() - fs::last_write_time(path);
      if (age < std::chrono::minutes(1)) {
        fs::last_write_time(path, fs::file_time_type::clock::now() - std::chrono::hours(100 - i));
      }
    }
  }
  EXPECT_TRUE(cache.Find("key1").has_value());  // used again: now the newest
  cache.Trim();
  int64_t bytes = 0;
  for (const fs::path& path : Entries(folder.path())) {
    bytes += static_cast<int64_t>(fs::file_size(path));
  }
  EXPECT_LE(bytes, 5 * 1100);
  std::string kept;
  for (int i = 0; i < 8; ++i) {
    if (cache.Find(StrCat("key", i))) kept += StrCat(i);
  }
  EXPECT_EQ(kept, "14567");
}

// Four processes write and read the same few entries over and over, under a cap that keeps throwing
// them away. A reader sees the right value or none.
TEST(ObjectCache, IsSharedByProcesses) {
  const TemporaryFolder folder;
  const auto value_of = [](int key) { return std::string(3000 + 1000 * key, 'a' + key); };
  std::vector<pid_t> children;
  for (int child = 0; child < 4; ++child) {
    const pid_t pid = fork();
    ASSERT_GE(pid, 0);
    if (pid == 0) {
      const ObjectCache cache(folder.path(), 12000);
      int wrong = 0;
      int found = 0;
      for (int i = 0; i < 400; ++i) {
        const int key = (i * (child + 3)) % 5;
        cache.Insert(StrCat("key", key), value_of(key));
        if (i % 7 == 0) cache.Trim();
        for (int other = 0; other < 5; ++other) {
          const auto value = cache.Find(StrCat("key", other));
          if (!value) continue;
          ++found;
          wrong += *value != value_of(other);
        }
      }
      _exit(wrong > 0 ? 1 : found == 0 ? 2 : 0);
    }
    children.push_back(pid);
  }
  for (const pid_t pid : children) {
    int status = -1;
    ASSERT_EQ(waitpid(pid, &status, 0), pid);
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0);
  }
  for (const fs::path& path : Entries(folder.path())) {
    EXPECT_EQ(path.filename().string().find('.'), std::string::npos) << path;  // nothing aside
  }
}

TEST(ObjectCache, IsSimplyMissedWhereItCannotBeWritten) {
  const TemporaryFolder folder;
  const std::string file = folder.Write("file", "");
  for (const std::string& place : {std::string(), file + "/below", std::string("/dev/null")}) {
    const ObjectCache cache(place);
    cache.Insert("key", "value");
    EXPECT_EQ(cache.Find("key"), std::nullopt) << place;
    cache.Trim();
  }
}

TEST(ObjectCache, LivesWhereXdgSays) {
  const char* const xdg = std::getenv("XDG_CACHE_HOME");
  const std::string saved = xdg == nullptr ? "" : xdg;
  setenv("XDG_CACHE_HOME", "/some/cache", 1);
  EXPECT_EQ(ObjectCache::DefaultDirectory(), "/some/cache/kiln");
  setenv("XDG_CACHE_HOME", "relative", 1);  // to be ignored, says the specification
  EXPECT_NE(ObjectCache::DefaultDirectory(), "relative/kiln");
  if (xdg == nullptr) {
    unsetenv("XDG_CACHE_HOME");
  } else {
    setenv("XDG_CACHE_HOME", saved.c_str(), 1);
  }
}

}  // namespace
}  // namespace kiln
