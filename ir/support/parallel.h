// Loops over the elements of large tensors while a model is compiled, on all cores. (Compiled code
// has a pool of its own: runtime/threads.)
#pragma once

#include <cstdint>
#include <functional>

namespace kiln {

/// Calls `body(begin, end)` for consecutive parts of [0, count), each on a thread of its own, and
/// waits for them. One call on this thread when the loop touches too few `bytes` to be worth more.
/// The parts must not depend on each other: how many there are is up to the machine.
void ParallelFor(int64_t count, int64_t bytes,
                 const std::function<void(int64_t begin, int64_t end)>& body);

}  // namespace kiln
