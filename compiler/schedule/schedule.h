// Scheduling: an unscheduled kernel (serial loops) to one with parallel, vector and tiled loops for
// a target. The result computes the same values; which bits does not depend on the thread count.
#pragma once

#include "compiler/schedule/target.h"
#include "ir/loop/stmt.h"

namespace kiln {

/// Picks and applies a schedule.
loop::Kernel Schedule(const loop::Kernel& kernel, const Target& target);

}  // namespace kiln
