// libFuzzer harness of the MXNet reader: symbols, and .params files behind a zero byte or alone. No
// file may crash it or make it eat memory, and what it accepts must verify.
#include <algorithm>

#include "compiler/import/mxnet/mxnet_import.h"
#include "compiler/import/mxnet/params.h"
#include "tests/fuzz/check_module.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const char> bytes(reinterpret_cast<const char*>(data), size);
  if (kiln::mxnet_import::LooksLikeParams(bytes)) {
    (void)kiln::mxnet_import::ReadParams(bytes, nullptr);
    return 0;
  }
  const auto end = static_cast<size_t>(std::find(bytes.begin(), bytes.end(), '\0') - bytes.begin());
  kiln::ImportOptions options;
  options.input_shapes["data"] = {1, 3, 8, 8};
  return kiln::CheckImported(kiln::ImportMxnet(
      bytes.first(end), end == size ? std::span<const char>() : bytes.subspan(end + 1), options));
}
