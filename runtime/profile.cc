#include "runtime/profile.h"

#include <algorithm>
#include <chrono>

namespace kiln {
namespace {

int64_t Median(std::vector<int64_t> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

ProfilingExecutor::ProfilingExecutor(const kiln_executor* inner) : inner_(inner) {
  executor_.context = this;
  executor_.threads = inner == nullptr ? 1 : inner->threads;
  executor_.parallel_for = [](void* context, int64_t count, kiln_task task, void* argument) {
    static_cast<ProfilingExecutor*>(context)->ParallelFor(count, task, argument);
  };
}

void ProfilingExecutor::ParallelFor(int64_t count, kiln_task task, void* argument) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  if (inner_ != nullptr) {
    inner_->parallel_for(inner_->context, count, task, argument);
  } else if (count > 0) {
    task(argument, 0, count);
  }
  const auto elapsed = std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start);
  if (runs_.empty()) runs_.emplace_back();
  runs_.back().push_back(elapsed.count());
}

std::vector<StepTime> StepTimes(const kiln_function_info& function,
                                const ProfilingExecutor& profile) {
  std::vector<StepTime> steps;
  for (int32_t i = 0; i < function.num_steps; ++i) {
    std::vector<int64_t> times;
    for (const std::vector<int64_t>& run : profile.runs()) {
      if (static_cast<size_t>(i) < run.size()) times.push_back(run[i]);
    }
    const kiln_step_info& info = function.steps[i];
    steps.push_back({info.kernel, info.sources, Median(times), info.flops, info.bytes});
  }
  return steps;
}

}  // namespace kiln
