// Read-only mappings of files: the bytes of a model, and of the data files beside it.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "ir/support/status.h"

namespace kiln {

/// A regular file's content. The bytes live as long as this object.
class MappedFile {
 public:
  MappedFile(const char* data, size_t size) : data_(data), size_(size) {}
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const char> bytes() const { return {data_, size_}; }

 private:
  const char* data_;
  size_t size_;
};

/// Maps the file at `path`, which must be a regular file (links are followed).
StatusOr<std::shared_ptr<const MappedFile>> MapFile(const std::string& path);

/// Maps a file that an untrusted model names, so that nothing outside `folder` can be reached:
/// `location` must be relative and without "..", no component may be a symbolic link, and the file
/// must be regular and have no second (hard) link.
StatusOr<std::shared_ptr<const MappedFile>> MapFileInside(const std::string& folder,
                                                          const std::string& location);

/// The folder that the file at `path` lies in: "." for a bare name.
std::string FolderOf(const std::string& path);

}  // namespace kiln
