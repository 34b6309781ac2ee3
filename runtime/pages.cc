#include "runtime/pages.h"

#include <sys/mman.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace kiln {
namespace {

constexpr uint64_t kHugePage = uint64_t{1} << 21;

}  // namespace

absl::StatusOr<Pages> Pages::Map(uint64_t bytes, uint64_t alignment) {
  Pages pages;
  if (bytes == 0) return pages;
  if (bytes >= kHugePage) alignment = std::max(alignment, kHugePage);
  const absl::Status failure =
      absl::ResourceExhaustedError(absl::StrCat("no memory for ", bytes, " bytes"));
  if (bytes > std::numeric_limits<uint64_t>::max() - alignment) return failure;
  const uint64_t mapped = bytes + alignment;
  void* mapping = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) return failure;
  pages.mapping_ = mapping;
  pages.mapped_ = mapped;
  const uintptr_t start = (reinterpret_cast<uintptr_t>(mapping) + alignment - 1) & ~(alignment - 1);
  pages.data_ = reinterpret_cast<char*>(start);
  pages.size_ = bytes;
  if (bytes >= kHugePage) madvise(pages.data_, bytes, MADV_HUGEPAGE);  // A hint: failing is fine.
  return pages;
}

Pages::Pages(Pages&& other) noexcept
    : mapping_(std::exchange(other.mapping_, nullptr)),
      mapped_(std::exchange(other.mapped_, 0)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

Pages& Pages::operator=(Pages&& other) noexcept {
  std::swap(mapping_, other.mapping_);
  std::swap(mapped_, other.mapped_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

Pages::~Pages() {
  if (mapping_ != nullptr) munmap(mapping_, mapped_);
}

}  // namespace kiln
