// Fusion groups: sets of ops that become one `fusion` op, one kernel.
//
// A group has one exit, the op whose result is the fusion's; the results of all others are used
// inside only. When a fusion is lowered, every op is inlined into its users, so an op that is read
// twice is written out twice: WrittenSize bounds that.
#pragma once

#include <vector>

#include "passes/rewrite.h"

namespace kiln {

inline constexpr size_t kMaxGroupOps = 64;
inline constexpr size_t kMaxGroupOperands = 24;
inline constexpr int64_t kMaxWrittenSize = 256;

/// The values that `group` reads from outside, each once, in order of first use. Constants of one
/// element are left out: they are copied into the body.
std::vector<Op*> GroupOperands(const std::vector<Op*>& group);

/// The number of op instances when the ops of `group` (in graph order, exit last) are inlined into
/// the exit; saturates above kMaxWrittenSize.
int64_t WrittenSize(const std::vector<Op*>& group);

/// "conv 'conv1' fused with add 'bias1', relu 'relu1'": `op` first, then the rest of its group.
std::string DescribeFusion(const Op& op, const std::vector<Op*>& group);

/// Replaces `group` (in graph order, exit last) by one fusion in the exit's place, with the sources
/// of all, and erases the group. Constants that were copied into the body stay, perhaps unused.
StatusOr<Op*> MakeFusion(const std::vector<Op*>& group);

}  // namespace kiln
