// libFuzzer harness of comma-separated data sets. No file may crash the reader or make it eat
// memory, and what it accepts must be a data set.
#include "runtime/train/dataset_files.h"
#include "tests/fuzz/file_in_memory.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const kiln::FileInMemory file({reinterpret_cast<const char*>(data), size});
  const kiln::DatasetOptions options{.targets = static_cast<int64_t>(size % 3)};
  return kiln::CheckLoaded(kiln::LoadDataset("csv:" + file.path(), options));
}
