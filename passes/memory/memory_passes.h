// The passes that choose when values are computed, so that few are in memory at a time. They run
// behind all others, on values as they will lie in memory. See also recompute.h.
#pragma once

#include "passes/pass.h"

namespace kiln {

Pass RecomputeElementwise();
Pass OrderForMemory();

}  // namespace kiln
