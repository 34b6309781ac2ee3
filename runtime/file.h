// Files: read safely, written so that no reader ever sees half of one. Every error begins with the
// path.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace kiln {

/// A regular file, open for reading. Move-only.
class InputFile {
 public:
  /// Refuses directories, devices and pipes (without waiting for a pipe's writer).
  static absl::StatusOr<InputFile> Open(const std::string& path);
  InputFile(InputFile&& other) noexcept;
  InputFile& operator=(InputFile&& other) noexcept;
  ~InputFile();

  const std::string& path() const { return path_; }
  /// The size when it was opened. Bytes of a sparse file cost nothing, so compare it with what you
  /// expect before allocating as much.
  uint64_t size() const { return size_; }
  /// Bytes [offset, offset + count); an error when the file ends before, or when there is not
  /// memory enough.
  absl::StatusOr<std::vector<char>> Read(uint64_t offset, uint64_t count) const;

 private:
  InputFile(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  std::string path_;
  int fd_ = -1;
  uint64_t size_ = 0;
};

/// The contents of a file of at most `max_bytes`.
absl::StatusOr<std::vector<char>> ReadFile(const std::string& path, uint64_t max_bytes);

/// Writes the pieces, one after the other, to a new file beside `path`, forces it to disk and moves
/// it into place; on failure nothing is left behind and an earlier file stays as it was. A symbolic
/// link is followed; a device or pipe is written straight through. `first`, if any, runs before the
/// file is moved into place (before a device is written); where it fails, that counts as a failure.
absl::Status WriteFile(const std::string& path, const std::vector<std::span<const char>>& pieces,
                       const std::function<absl::Status()>& first = nullptr);

/// Adds `bytes` to the end of a file, which is there. On failure a part of them may have been
/// added.
absl::Status AppendToFile(const std::string& path, std::span<const char> bytes);

}  // namespace kiln
