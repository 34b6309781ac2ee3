// libFuzzer harness of the Caffe2 reader: text and binary nets; the init net stands behind a zero
// byte. No file may crash it or make it eat memory, and what it accepts must verify.
#include <algorithm>

#include "compiler/import/caffe2/caffe2_import.h"
#include "tests/fuzz/check_module.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const char> bytes(reinterpret_cast<const char*>(data), size);
  kiln::DetectCaffe2(bytes);
  const auto end = static_cast<size_t>(std::find(bytes.begin(), bytes.end(), '\0') - bytes.begin());
  kiln::ImportOptions options;
  options.input_shapes["x"] = {1, 3, 8, 8};
  options.input_shapes["data"] = {2, 4};
  kiln::CheckImported(kiln::ImportCaffe2(bytes, {}, options));
  if (end == size) return 0;
  return kiln::CheckImported(kiln::ImportCaffe2(bytes.first(end), bytes.subspan(end + 1), options));
}
