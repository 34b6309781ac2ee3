// libFuzzer harness of snapshots: as they are, and with the checksum made right, which no random
// change would. No file may crash the reader or make it eat memory; one that is refused changes
// nothing, and what is accepted must be a state that a run can have.
#include <xxhash.h>

#include <cstring>
#include <string>

#include "runtime/train/snapshot.h"
#include "tests/fuzz/file_in_memory.h"

namespace {

using kiln::RunState;

// A library with two parameters, at places of their own.
const kiln_library_info& Library() {
  static const int64_t shape[] = {2, 3};
  static const kiln_tensor_info parameters[] = {{"w", KILN_F32, 2, shape, 24},
                                                {"b", KILN_F32, 1, shape, 8}};
  static const uint64_t offsets[] = {64, 0};
  static const kiln_library_info library = [] {
    kiln_library_info info = {};
    info.num_parameters = 2;
    info.parameters = parameters;
    info.parameter_offsets = offsets;
    info.parameters_bytes = 88;
    return info;
  }();
  return library;
}

void Read(std::span<const char> bytes) {
  const kiln::FileInMemory file(bytes);
  RunState state;
  state.step_items = -1;
  std::string block(Library().parameters_bytes, '?');
  const bool good = kiln::ReadSnapshot(file.path(), Library(), state, block.data()).ok();
  const bool untouched = state.step_items == -1 && block.find_first_not_of('?') == block.npos;
  const bool possible = state.step >= 0 && state.step_items > 0 && state.position >= 0;
  if (good ? possible : untouched) return;
  std::fprintf(stderr, good ? "an impossible state was accepted\n" : "a refusal left traces\n");
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string bytes(reinterpret_cast<const char*>(data), size);
  Read(bytes);
  const XXH64_hash_t checksum = XXH3_64bits(bytes.data(), bytes.size());
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(checksum >> (8 * i));
  Read(bytes);
  return 0;
}
