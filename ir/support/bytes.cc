#include "ir/support/bytes.h"

#include <sys/mman.h>

#include <new>

namespace kiln {

std::shared_ptr<char> AllocateBytes(size_t size) {
  constexpr size_t kHugePage = size_t{1} << 21;
  constexpr size_t kCacheLine = 64;
  const std::align_val_t alignment{size >= kHugePage ? kHugePage : kCacheLine};
  const std::shared_ptr<char> bytes(
      static_cast<char*>(::operator new[](size, alignment)),
      [alignment](char* start) { ::operator delete[](start, alignment); });
  // A hint: failing is fine.
  if (size >= kHugePage) madvise(bytes.get(), size / kHugePage * kHugePage, MADV_HUGEPAGE);
  return bytes;
}

}  // namespace kiln
