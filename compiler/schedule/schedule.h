// Scheduling: an unscheduled kernel (serial loops) to one with parallel, vector and tiled loops for
// a target. The result computes the same values; which bits does not depend on the thread count.
#pragma once

#include <vector>

#include "compiler/schedule/contraction.h"
#include "compiler/schedule/target.h"
#include "ir/loop/stmt.h"

namespace kiln {

/// Picks and applies a schedule. With `shape` the register tiles of contractions have that shape,
/// as far as their loops reach; else the one that costs least by the model.
loop::Kernel Schedule(const loop::Kernel& kernel, const Target& target,
                      const TileShape* shape = nullptr);

/// The shapes worth trying for `kernel`, at most `count`, the best by the model first; empty when
/// there is no contraction in it.
std::vector<TileShape> CandidateShapes(const loop::Kernel& kernel, const Target& target,
                                       size_t count);

}  // namespace kiln
