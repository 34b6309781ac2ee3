#include "tests/support/round_trip.h"

#include "ir/graph/equal.h"
#include "ir/graph/parser.h"
#include "ir/graph/printer.h"
#include "ir/graph/verifier.h"

namespace kiln {

namespace {

// Large tensors are unknown to the parsed module; they are equal to the known ones by their hash.
Status Check(const Module& module, const std::string& text) {
  KILN_ASSIGN_OR_RETURN(const auto parsed, ParseModule(text));
  std::string difference;
  if (!Equal(module, *parsed, &difference)) return InternalError("round trip: ", difference);
  if (Print(*parsed) != text) return InternalError("round trip: the text changes");
  return Verify(*parsed);
}

}  // namespace

Status CheckTextRoundTrip(const Module& module) {
  KILN_RETURN_IF_ERROR(Verify(module));
  const std::string text = Print(module);
  const Status status = Check(module, text);
  return status.ok() ? status : Status(status.code(), StrCat(Message(status), "\n", text));
}

}  // namespace kiln
