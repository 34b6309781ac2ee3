// libFuzzer harness of Caffe's databases and what they hold. No file may crash the reader or make
// it eat memory, and what it accepts must be a data set.
#include "tests/fuzz/file_in_memory.h"
#include "tools/train_data.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const kiln::FileInMemory file({reinterpret_cast<const char*>(data), size});
  kiln::DataOptions options;
  options.data = "lmdb:" + file.path();
  return kiln::CheckLoaded(kiln::LoadData(options));
}
