// recompute: values of a training step that its backward half reads are computed again there,
// instead of being kept through the loss.
//
//   x = f(a); ... loss ...; g(x)   =   x = f(a); ... loss ...; x' = f(a); g(x')
//
// What comes before the loss is cut into segments where few bytes cross (Chen et al. 2016,
// "Training Deep Nets with Sublinear Memory Cost"). Only what crosses a cut is kept, and the last
// segment; any other is computed again, as far as it is needed, when the backward half first reads
// something of it. Nothing is computed more than twice, and the numbers are the same to the bit.
//
// Must run last: merging equal values would undo it, and it counts the bytes of values as they will
// lie in memory, in the order of the ops.
#pragma once

#include <cstdint>

#include "ir/graph/graph.h"
#include "passes/pass.h"

namespace kiln {

/// The bytes that `function` keeps from before the output "loss" to after it; 0 without a loss.
/// Views count with what they show, parameters and inputs not at all.
int64_t BytesKept(const Graph& function);

/// For functions with an output "loss": the fewest segments with which checkpoints and the largest
/// segment come to no more than `max_bytes`, or to the fewest there can be. A function that keeps
/// no more as it is stays as it is.
Pass Recompute(int64_t max_bytes);

}  // namespace kiln
