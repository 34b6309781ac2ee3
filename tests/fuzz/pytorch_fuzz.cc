// libFuzzer harness of the PyTorch reader: archives, pickles of tensors, and programs, whose
// weights are zeros of the types that they name. No file may crash it or make it eat memory, and
// what it accepts must verify.
#include "compiler/import/pytorch/archive.h"
#include "compiler/import/pytorch/pickle.h"
#include "compiler/import/pytorch/program.h"
#include "compiler/import/pytorch/pytorch_import.h"
#include "tests/fuzz/check_module.h"

namespace kiln {
namespace {

using pytorch_import::Archive;
using pytorch_import::InputSpec;

// The weights that the program asks for, as far as they are small.
Archive WithZeros(std::span<const char> bytes) {
  constexpr int64_t kMaxBytes = 1 << 16;
  Archive archive{{bytes.begin(), bytes.end()}, {}, {}};
  const auto program = pytorch_import::ReadProgram(bytes);
  if (!program.ok()) return archive;
  for (const InputSpec& spec : program->inputs) {
    const auto meta = program->values.find(spec.name);
    if (meta == program->values.end() || !meta->second.element) continue;
    TensorType type{*meta->second.element, {}, {}};
    for (const auto& extent : meta->second.sizes) type.shape.push_back(extent.value);
    const auto size = CheckedByteSize(type);
    if (!size.ok() || *size > kMaxBytes) continue;
    archive.weights[spec.target] = Tensor(type, std::vector<char>(static_cast<size_t>(*size)));
  }
  return archive;
}

}  // namespace
}  // namespace kiln

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const char> bytes(reinterpret_cast<const char*>(data), size);
  kiln::ImportOptions options;
  options.batch = 2;
  if (kiln::DetectPytorch(bytes)) {
    return kiln::CheckImported(kiln::ImportPytorch(bytes, options));
  }
  if (!bytes.empty() && bytes[0] == '\x80') {
    (void)kiln::pytorch_import::ReadPickle(bytes);
    return 0;
  }
  return kiln::CheckImported(kiln::ImportPytorch(kiln::WithZeros(bytes), options));
}
