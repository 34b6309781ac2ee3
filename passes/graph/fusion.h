// Fusion groups: sets of ops that become one `fusion` op, one kernel.
//
// A group has one exit, the op whose result is the fusion's; the results of all others are used
// inside only. When a fusion is lowered, every op is inlined into its users, so an op that is read
// twice is written out twice; IsFusable bounds that.
#pragma once

#include <vector>

#include "passes/rewrite.h"

namespace kiln {

inline constexpr size_t kMaxGroupOps = 64;

/// Whether `group` (in graph order, exit last) may become one kernel: it reads at least one value
/// from outside, and its ops, operands and size written out are within bounds.
bool IsFusable(const std::vector<Op*>& group);

/// "conv 'conv1' fused with add 'bias1', relu 'relu1'": `op` first, then the rest of its group.
std::string DescribeFusion(const Op& op, const std::vector<Op*>& group);

/// Replaces a fusable `group` by one fusion in the exit's place, with the sources
/// of all, and erases the group. Constants that were copied into the body stay, perhaps unused.
StatusOr<Op*> MakeFusion(const std::vector<Op*>& group);

}  // namespace kiln
