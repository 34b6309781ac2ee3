// libFuzzer harness of Caffe's solver and mean files. No file may crash the readers or make them
// eat memory.
#include "compiler/import/caffe/solver.h"
#include "tests/fuzz/file_in_memory.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const char> bytes(reinterpret_cast<const char*>(data), size);
  (void)kiln::ParseCaffeSolver(bytes);
  const kiln::FileInMemory file(bytes);
  (void)kiln::ReadCaffeMean(file.path());
  return 0;
}
