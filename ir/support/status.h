// Errors: library code returns absl::Status or absl::StatusOr and never throws, aborts or exits.
// Three kinds, kept apart: the user's input is wrong (InvalidInput), the input is fine but Kiln
// does not support it (Unsupported), Kiln itself is wrong (InternalError).
#pragma once

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ir/support/strings.h"

namespace kiln {

using absl::Status;
using absl::StatusOr;

inline Status OkStatus() { return absl::OkStatus(); }

template <typename... Pieces>
Status InvalidInput(const Pieces&... pieces) {
  return absl::InvalidArgumentError(StrCat(pieces...));
}

template <typename... Pieces>
Status Unsupported(const Pieces&... pieces) {
  return absl::UnimplementedError(StrCat(pieces...));
}

template <typename... Pieces>
Status InternalError(const Pieces&... pieces) {
  return absl::InternalError(StrCat(pieces...));
}

/// The message of `status` as a std::string.
inline std::string Message(const Status& status) { return std::string(status.message()); }

/// Puts "context: " before the message of a status that is not OK; the code stays.
inline Status Annotate(const Status& status, const std::string& context) {
  if (status.ok()) return status;
  return Status(status.code(), StrCat(context, ": ", Message(status)));
}

}  // namespace kiln

#define KILN_CONCAT_INNER(a, b) a##b
#define KILN_CONCAT(a, b) KILN_CONCAT_INNER(a, b)

#define KILN_RETURN_IF_ERROR(expression)                      \
  do {                                                        \
    if (auto kiln_status = (expression); !kiln_status.ok()) { \
      return kiln_status;                                     \
    }                                                         \
  } while (false)

#define KILN_ASSIGN_OR_RETURN(target, expression) \
  KILN_ASSIGN_OR_RETURN_IMPL(KILN_CONCAT(kiln_statusor_, __LINE__), target, expression)
#define KILN_ASSIGN_OR_RETURN_IMPL(temporary, target, expression) \
  auto temporary = (expression);                                  \
  if (!temporary.ok()) return temporary.status();                 \
  target = std::move(temporary).value()
