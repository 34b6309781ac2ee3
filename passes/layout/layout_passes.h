// The passes that choose how values lie in memory. `lanes` are the f32 lanes of the target's
// vectors.
#pragma once

#include "passes/pass.h"

namespace kiln {

Pass ReorderFlatten(int lanes);
Pass AssignLayouts(int lanes);
Pass PackWeights(int lanes);

}  // namespace kiln
