// libFuzzer harness of pictures, PNG and JPEG. No file may crash the reader or make it eat memory.
#include <cstdint>

#include "tools/image.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  kiln::ImageOptions options;
  options.grey = size % 2 == 1;
  options.resize = options.crop = size % 3 == 0 ? 5 : 0;
  (void)kiln::DecodeToTensor({reinterpret_cast<const char*>(data), size}, options);
  return 0;
}
