// Time per kernel: an executor that times every section that passes through it.
//
// A compiled function makes one parallel_for call per step, in the order of its step table, so the
// i-th section since StartRun() is step i of the function. Not for use from two threads at once.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/abi/kiln.h"

namespace kiln {

class ProfilingExecutor {
 public:
  /// Sections go on to `inner`, or run on the calling thread when that is null.
  explicit ProfilingExecutor(const kiln_executor* inner);
  ProfilingExecutor(const ProfilingExecutor&) = delete;
  ProfilingExecutor& operator=(const ProfilingExecutor&) = delete;

  const kiln_executor* executor() const { return &executor_; }

  /// Call before each call of the function: the next section is its step 0.
  void StartRun() { runs_.emplace_back(); }
  /// Forgets all runs.
  void Clear() { runs_.clear(); }
  /// Nanoseconds of each section, for each run so far.
  const std::vector<std::vector<int64_t>>& runs() const { return runs_; }

 private:
  void ParallelFor(int64_t count, kiln_task task, void* argument);

  const kiln_executor* inner_;
  kiln_executor executor_;
  std::vector<std::vector<int64_t>> runs_;
};

/// One row of a profile.
struct StepTime {
  std::string kernel;
  std::string sources;  ///< the model's nodes, joined by commas
  int64_t ns = 0;       ///< median over the runs
  double flops = 0;
  double bytes = 0;
};

/// The steps of `function` with their median times over `profile.runs()`, in the order of
/// execution; a step that no run reached has 0 ns.
std::vector<StepTime> StepTimes(const kiln_function_info& function,
                                const ProfilingExecutor& profile);

}  // namespace kiln
