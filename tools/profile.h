// The profile of `kiln bench --profile`: where the time of a function goes, kernel by kernel, and
// how near each kernel comes to what the machine can do.
#pragma once

#include "runtime/abi/kiln.h"
#include "runtime/profile.h"
#include "tools/common.h"

namespace kiln {

/// What a profile measures kernels against.
struct MachineLimits {
  double gflops = 0;  ///< the rate of fused multiply-adds on registers
  double gbps = 0;    ///< the rate of reading from memory
};

/// The steps of `function` by falling time: {kernel, nodes, ms, share, gflops, gbps, limit,
/// limit_share}. `share` is of the sum of all steps. `limit` is "fma" or "memory", whichever bounds
/// the kernel's time from below the most, and `limit_share` that bound over its time: above 1 where
/// a cache holds the data.
Json ProfileRows(const kiln_function_info& function, const ProfilingExecutor& profile,
                 const MachineLimits& limits);

/// A table of the rows, with the sum of all kernels beside `run_ms`, the time of a whole run.
void PrintProfile(const Json& rows, const MachineLimits& limits, double run_ms);

}  // namespace kiln
