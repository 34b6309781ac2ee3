// libFuzzer harness of the native format, binary and text. No file may crash the reader or make it
// eat memory; what it accepts must verify and survive being written and read again, as text too.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "compiler/import/kiln/native.h"
#include "ir/graph/equal.h"
#include "tests/support/round_trip.h"

namespace kiln {

namespace {

Status CheckNativeRoundTrip(const Module& module, NativeForm form) {
  KILN_ASSIGN_OR_RETURN(const std::string bytes, SerializeNative(module, {.form = form}));
  KILN_ASSIGN_OR_RETURN(const auto again, ParseNative(bytes, form));
  std::string difference;
  if (!Equal(module, *again, &difference)) return InternalError("round trip: ", difference);
  return OkStatus();
}

Status CheckFile(std::span<const char> bytes) {
  NativeForm form;
  if (!DetectNative(bytes, &form)) return OkStatus();
  const auto module = ParseNative(bytes, form);
  if (!module.ok()) return OkStatus();
  KILN_RETURN_IF_ERROR(CheckTextRoundTrip(**module));
  return CheckNativeRoundTrip(**module, form);
}

}  // namespace

}  // namespace kiln

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const kiln::Status status = kiln::CheckFile({reinterpret_cast<const char*>(data), size});
  if (status.ok()) return 0;
  std::fprintf(stderr, "%s\n", kiln::Message(status).c_str());
  std::abort();
}
