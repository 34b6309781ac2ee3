// A content-addressed cache of object files on disk: key text -> bytes.
//
// Safe when several processes share it: entries are written aside and renamed into place, readers
// check a digest of the whole entry and ignore one that is corrupt or cut short. The total size is
// capped; the entries used longest ago go first. A cache that cannot be written is simply missed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace kiln {

class ObjectCache {
 public:
  /// `directory` is made when first needed. An empty one switches the cache off.
  explicit ObjectCache(std::string directory, int64_t max_bytes = int64_t{512} << 20)
      : directory_(std::move(directory)), max_bytes_(max_bytes) {}

  /// $XDG_CACHE_HOME/kiln, else ~/.cache/kiln, else "" (off).
  static std::string DefaultDirectory();

  std::optional<std::string> Find(const std::string& key) const;
  void Insert(const std::string& key, const std::string& bytes) const;
  /// Removes the entries used longest ago until the size is below the cap.
  void Trim() const;

 private:
  std::string PathOf(const std::string& key) const;

  std::string directory_;
  int64_t max_bytes_;
};

}  // namespace kiln
