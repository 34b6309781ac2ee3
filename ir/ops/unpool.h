// The way back from a pool's result to its input: what the gradients of the pools are made of.
#pragma once

#include "ir/graph/op_def.h"

namespace kiln {

/// The attributes of the unpool op that undoes the pool `op`: kernel, window, and the spatial
/// extents of its input.
AttributeMap UnpoolAttributesOf(const Op& op);

}  // namespace kiln
