// LmdbFile: the entries of an LMDB database, read only.
//
// liblmdb maps a file and believes it: one that is cut off or damaged ends the process. Here the
// file is hostile: every page is checked before it is followed, and what is read is copied. Read is
// the main database of files as 64-bit little-endian machines write them, without duplicate keys,
// as Caffe makes them; the structures are those of LMDB 0.9's mdb.c.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ir/support/status.h"
#include "runtime/file.h"

namespace kiln {

class LmdbFile {
 public:
  /// Opens `path`, or data.mdb in the folder `path`, and finds all entries. Every error begins with
  /// `path`.
  static StatusOr<LmdbFile> Open(const std::string& path);

  const std::string& path() const { return path_; }
  int64_t size() const { return static_cast<int64_t>(values_.size()); }
  /// The value of entry `entry`, in the order of the keys. May be called from any thread.
  StatusOr<std::vector<char>> Value(int64_t entry) const;

 private:
  friend class LmdbWalk;
  /// Bytes of the file.
  struct Range {
    uint64_t offset;
    uint64_t size;
  };

  LmdbFile(std::string path, InputFile file) : path_(std::move(path)), file_(std::move(file)) {}

  std::string path_;
  InputFile file_;
  std::vector<Range> values_;
};

}  // namespace kiln
