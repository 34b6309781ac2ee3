// The passes that choose how values lie in memory.
#pragma once

#include "passes/pass.h"

namespace kiln {

/// Blocks channels by `lanes` (the f32 lanes of the target's vectors).
Pass AssignLayouts(int lanes);

}  // namespace kiln
