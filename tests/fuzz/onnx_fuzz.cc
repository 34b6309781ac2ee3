// libFuzzer harness of the ONNX importer. No file may crash it or make it eat memory, and what it
// accepts must verify.
#include <cstdio>
#include <cstdlib>

#include "compiler/import/onnx/onnx_import.h"
#include "compiler/import/protobuf.h"
#include "ir/graph/verifier.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const char> bytes(reinterpret_cast<const char*>(data), size);
  kiln::onnx::ModelProto model;
  if (!kiln::ParseProtobuf(bytes, &model).ok()) return 0;
  kiln::ImportOptions options;
  options.batch = 1;
  const auto module = kiln::ImportOnnx(std::move(model), "", options);
  if (!module.ok()) return 0;
  const kiln::Status verified = kiln::Verify(**module);
  if (verified.ok()) return 0;
  std::fprintf(stderr, "%s\n", kiln::Message(verified).c_str());
  std::abort();
}
