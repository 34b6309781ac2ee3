// Work on several threads while a model is compiled. (Compiled code has a pool of its own:
// runtime/threads.)
#pragma once

#include <cstdint>
#include <functional>

namespace kiln {

/// The cores of this machine; 1 where that cannot be told.
int ProcessorCount();

/// Calls `body(begin, end)` for consecutive parts of [0, count), each on a thread of its own, and
/// waits for them. One call on this thread when the loop touches too few `bytes` to be worth more,
/// and inside a task.
/// The parts must not depend on each other: how many there are is up to the machine.
void ParallelFor(int64_t count, int64_t bytes,
                 const std::function<void(int64_t begin, int64_t end)>& body);

/// Calls `task(i)` once for every i in [0, count), on up to `threads` threads, each of which takes
/// the next when it is done with one, and waits for them. Loops inside tasks stay on one thread.
void ParallelTasks(int64_t count, int threads, const std::function<void(int64_t i)>& task);

}  // namespace kiln
