// libFuzzer harness of the text form. No text may crash the parser or make it eat memory; what it
// accepts must verify, and print as a text that gives an equal module.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "ir/graph/parser.h"
#include "tests/support/round_trip.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto module = kiln::ParseModule({reinterpret_cast<const char*>(data), size});
  if (!module.ok()) return 0;
  const kiln::Status status = kiln::CheckTextRoundTrip(**module);
  if (status.ok()) return 0;
  std::fprintf(stderr, "%s\n", kiln::Message(status).c_str());
  std::abort();
}
