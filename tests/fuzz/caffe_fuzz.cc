// libFuzzer harness of the Caffe reader: text and binary nets; the weights stand behind a zero
// byte. No file may crash it or make it eat memory, and what it accepts must verify.
#include <algorithm>

#include "compiler/import/caffe/caffe_import.h"
#include "tests/fuzz/check_module.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const char> bytes(reinterpret_cast<const char*>(data), size);
  kiln::DetectCaffe(bytes);
  kiln::ImportOptions options;
  options.training = size % 2 == 1;
  kiln::CheckImported(kiln::ImportCaffe(bytes, {}, options));
  const auto end = static_cast<size_t>(std::find(bytes.begin(), bytes.end(), '\0') - bytes.begin());
  if (end == size) return 0;
  return kiln::CheckImported(kiln::ImportCaffe(bytes.first(end), bytes.subspan(end + 1), options));
}
