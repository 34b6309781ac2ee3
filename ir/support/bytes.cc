#include "ir/support/bytes.h"

#include <sys/mman.h>

#include <new>

namespace kiln {

// Large runs are mapped one by one, not taken from the heap, which would keep their pages when they
// are given back.
std::shared_ptr<char> AllocateBytes(size_t size) {
  constexpr size_t kHugePage = size_t{1} << 21;
  constexpr std::align_val_t kCacheLine{64};
  if (size < kHugePage) {
    return std::shared_ptr<char>(static_cast<char*>(::operator new[](size, kCacheLine)),
                                 [](char* start) { ::operator delete[](start, kCacheLine); });
  }
  void* const mapping =
      mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) throw std::bad_alloc();
  madvise(mapping, size, MADV_HUGEPAGE);  // A hint: failing is fine.
  return std::shared_ptr<char>(static_cast<char*>(mapping),
                               [size](char* start) { munmap(start, size); });
}

}  // namespace kiln
