// plan-memory: gives every intermediate buffer an offset in one arena, from sizes and lifetimes.
//
// Invariants of a plan (property-tested): buffers whose lifetimes overlap never share bytes, unless
// one takes over the other in place, and then both start at the same offset; every offset is a
// multiple of the buffer's alignment; no buffer ends past the arena.
#pragma once

#include <cstdint>
#include <vector>

#include "ir/support/status.h"

namespace kiln {

/// A buffer that must keep its bytes from the step that writes it to the last step that reads it.
struct BufferLifetime {
  int64_t size;  ///< bytes; 0 is fine
  int first_step;
  int last_step;           ///< inclusive, >= first_step
  int64_t alignment = 64;  ///< a power of two
  /// The buffer whose bytes this one may take over: written in place by the step that reads the
  /// other for the last time. Ignored when the lifetimes do not meet in exactly that step, or when
  /// the other has been taken over already. -1: none.
  int in_place_of = -1;
};

struct MemoryPlan {
  std::vector<int64_t> offsets;  ///< bytes from the start of the arena, one a buffer
  int64_t arena_size = 0;        ///< bytes
  /// The most bytes alive at any one step (in-place pairs counted once): no plan can need less.
  int64_t lower_bound = 0;
};

/// Places the buffers; tries several orders and keeps the smallest arena. Deterministic.
/// An error when a lifetime is malformed or the arena would pass 2^48 bytes.
StatusOr<MemoryPlan> PlanMemory(const std::vector<BufferLifetime>& buffers);

}  // namespace kiln
