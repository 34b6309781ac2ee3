// Files: mapped for reading, written so that a reader never sees half of one.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ir/support/status.h"

namespace kiln {

/// A regular file mapped read-only. (A file cut short by somebody else while it is mapped takes the
/// process down with SIGBUS; Kiln itself only ever replaces files by renaming.)
class MappedFile {
 public:
  /// NotFound when there is no such file; InvalidInput when it is none that can be read.
  static StatusOr<std::shared_ptr<const MappedFile>> Open(const std::string& path);
  /// Takes over a mapping.
  MappedFile(const char* data, size_t size) : data_(data), size_(size) {}
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const char> bytes() const { return {data_, size_}; }

 private:
  const char* data_;
  size_t size_;
};

/// Writes `pieces` one after another to a new file beside `path`, flushes it to the disk and
/// renames it to `path`. On failure `path` is as it was and nothing is left behind.
Status WriteFileAtomically(const std::string& path,
                           const std::vector<std::span<const char>>& pieces);

}  // namespace kiln
