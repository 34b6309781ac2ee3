// libFuzzer harness of the TensorFlow reader: text and binary graphs. No file may crash it or make
// it eat memory, and what it accepts must verify.
#include "compiler/import/tensorflow/tensorflow_import.h"
#include "tests/fuzz/check_module.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const char> bytes(reinterpret_cast<const char*>(data), size);
  kiln::DetectTensorflow(bytes);
  kiln::ImportOptions options;
  options.batch = 2;
  return kiln::CheckImported(kiln::ImportTensorflow(bytes, "", options));
}
