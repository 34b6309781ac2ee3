// Checks that hold for every module, whatever it computes.
#pragma once

#include "ir/graph/graph.h"
#include "ir/support/status.h"

namespace kiln {

/// The module verifies, and its text parses back to an equal module with the same text.
Status CheckTextRoundTrip(const Module& module);

}  // namespace kiln
