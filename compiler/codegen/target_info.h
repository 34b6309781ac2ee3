// Fills in a Target from LLVM's knowledge of CPUs.
#pragma once

#include <string>

#include "compiler/schedule/target.h"
#include "ir/support/status.h"

namespace kiln {

/// The machine this process runs on, cache sizes included.
StatusOr<Target> HostTarget();
/// A target by LLVM triple and CPU name; an empty triple means the host's, an empty cpu the host's
/// CPU (host triple) or the triple's generic one. Unknown names are errors that say so.
StatusOr<Target> MakeTarget(const std::string& triple, const std::string& cpu);
/// LLVM's version, e.g. "19.1.7".
std::string LlvmVersion();

}  // namespace kiln
