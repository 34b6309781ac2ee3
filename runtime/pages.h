// Zeroed memory straight from the system: workspaces and parameter blocks.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"

namespace kiln {

/// A run of bytes, zero at first, on pages that take memory only once they are touched. Move-only.
class Pages {
 public:
  Pages() = default;
  /// `alignment` is a power of two. Large runs sit on huge pages where the system has them. An
  /// error when there is no memory for so many bytes.
  static absl::StatusOr<Pages> Map(uint64_t bytes, uint64_t alignment);
  Pages(Pages&& other) noexcept;
  Pages& operator=(Pages&& other) noexcept;
  ~Pages();

  /// Aligned; null when there are no bytes.
  char* data() const { return data_; }
  uint64_t size() const { return size_; }

 private:
  void* mapping_ = nullptr;
  uint64_t mapped_ = 0;
  char* data_ = nullptr;
  uint64_t size_ = 0;
};

}  // namespace kiln
