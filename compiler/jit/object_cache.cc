#include "compiler/jit/object_cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <vector>

#include "ir/support/strings.h"

namespace kiln {

namespace fs = std::filesystem;

namespace {

constexpr char kMagic[8] = {'K', 'I', 'L', 'N', 'O', 'B', 'J', '1'};

/// Stands before the bytes of every entry. The key is stored whole, so that a collision of file
/// names is a miss and not a wrong answer.
struct Header {
  char magic[8];
  uint64_t key_bytes;
  uint64_t value_bytes;
  XXH128_canonical_t digest;  ///< of key and value
};

XXH128_canonical_t Digest(std::string_view text) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(text.data(), text.size()));
  return canonical;
}

std::string Hex(const XXH128_canonical_t& digest) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  for (const unsigned char byte : digest.digest) {
    text += kHex[byte >> 4];
    text += kHex[byte & 15];
  }
  return text;
}

std::optional<std::string> ReadWhole(const std::string& path) {
  std::error_code error;
  const auto size = fs::file_size(path, error);
  if (error) return std::nullopt;
  std::ifstream file(path, std::ios::binary);
  std::string bytes(size, '\0');
  file.read(bytes.data(), static_cast<std::streamsize>(size));
  return file ? std::optional(std::move(bytes)) : std::nullopt;
}

}  // namespace

std::string ObjectCache::DefaultDirectory() {
  const char* const xdg = std::getenv("XDG_CACHE_HOME");
  if (xdg != nullptr && xdg[0] == '/') return StrCat(xdg, "/kiln");
  const char* const home = std::getenv("HOME");
  if (home != nullptr && home[0] == '/') return StrCat(home, "/.cache/kiln");
  return "";
}

std::string ObjectCache::PathOf(const std::string& key) const {
  return StrCat(directory_, "/objects/", Hex(Digest(key)));
}

std::optional<std::string> ObjectCache::Find(const std::string& key) const {
  if (directory_.empty()) return std::nullopt;
  const std::string path = PathOf(key);
  const std::optional<std::string> entry = ReadWhole(path);
  Header header;
  if (!entry || entry->size() < sizeof(header) + key.size()) return std::nullopt;
  std::memcpy(&header, entry->data(), sizeof(header));
  const std::string_view content = std::string_view(*entry).substr(sizeof(header));
  const XXH128_canonical_t digest = Digest(content);
  const bool sound = std::memcmp(header.magic, kMagic, sizeof(kMagic)) == 0 &&
                     header.key_bytes == key.size() &&
                     header.value_bytes == content.size() - key.size() &&
                     std::memcmp(&digest, &header.digest, sizeof(digest)) == 0 &&
                     content.compare(0, key.size(), key) == 0;
  if (!sound) return std::nullopt;
  // The time of last use decides what Trim throws away.
  utimensat(AT_FDCWD, path.c_str(), nullptr, 0);
  return std::string(content.substr(key.size()));
}

void ObjectCache::Insert(const std::string& key, const std::string& bytes) const {
  if (directory_.empty()) return;
  std::error_code error;
  fs::create_directories(directory_ + "/objects", error);
  if (error) return;
  static std::atomic<int64_t> counter{0};
  const int64_t serial = counter++;
  const std::string path = PathOf(key);
  const std::string aside = StrCat(path, ".", static_cast<int64_t>(getpid()), ".", serial);
  const std::string content = key + bytes;
  Header header;
  std::memcpy(header.magic, kMagic, sizeof(kMagic));
  header.key_bytes = key.size();
  header.value_bytes = bytes.size();
  header.digest = Digest(content);
  std::ofstream file(aside, std::ios::binary);
  file.write(reinterpret_cast<const char*>(&header), sizeof(header));
  file << content;
  file.close();
  // No sync: after a crash a short entry fails its digest and is made again.
  if (file) fs::rename(aside, path, error);
  if (!file || error) fs::remove(aside, error);
  // Trimming reads the whole directory, so only now and then.
  if (serial % 64 == 0) Trim();
}

void ObjectCache::Trim() const {
  struct Entry {
    fs::file_time_type used;
    int64_t bytes;
    fs::path path;
  };
  std::vector<Entry> entries;
  int64_t total = 0;
  std::error_code error;
  for (fs::directory_iterator it(directory_ + "/objects", error), end; !error && it != end;
       it.increment(error)) {
    std::error_code entry_error;
    const auto size = static_cast<int64_t>(it->file_size(entry_error));
    const fs::file_time_type used = it->last_write_time(entry_error);
    if (entry_error) continue;
    entries.push_back({used, size, it->path()});
    total += size;
  }
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.used < b.used; });
  for (const Entry& entry : entries) {
    if (total <= max_bytes_) break;
    fs::remove(entry.path, error);
    total -= entry.bytes;
  }
}

}  // namespace kiln
