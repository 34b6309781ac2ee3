// libFuzzer harness of the Caffe reader: text and binary nets. No file may crash it or make it eat
// memory, and what it accepts must verify.
#include "compiler/import/caffe/caffe_import.h"
#include "tests/fuzz/check_module.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const char> bytes(reinterpret_cast<const char*>(data), size);
  kiln::DetectCaffe(bytes);
  kiln::ImportOptions options;
  options.training = size % 2 == 1;
  return kiln::CheckImported(kiln::ImportCaffe(bytes, {}, options));
}
