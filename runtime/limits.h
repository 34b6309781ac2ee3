// What this machine can do at most, measured: the yardsticks of profiles and benchmarks.
#pragma once

#include "runtime/threads/thread_pool.h"

namespace kiln {

/// The rate of fused multiply-adds on registers, in GFLOP/s of f32 (a multiply-add counts as two),
/// of all threads of the pool together. Takes some 20 ms.
double MeasureFmaPeak(ThreadPool& pool);

/// The rate at which all threads together read memory that no cache holds, in GB/s. Takes some 200
/// ms and 256 MiB; 0 when there is no memory for it.
double MeasureReadBandwidth(ThreadPool& pool);

}  // namespace kiln
