#include "runtime/measure.h"

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

namespace kiln {
namespace {

using Clock = std::chrono::steady_clock;

double MillisecondsSince(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

double CpuMilliseconds() {
  timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) * 1e-6;
}

// How long this process's threads have been ready to run while others had the CPU: the second
// number of schedstat. 0 where the kernel does not say.
double WaitedMilliseconds() {
  double total = 0;
  std::error_code error;
  for (std::filesystem::directory_iterator it("/proc/self/task", error), end; !error && it != end;
       it.increment(error)) {
    std::ifstream file(it->path() / "schedstat");
    double ran = 0, waited = 0;
    if (file >> ran >> waited) total += waited;
  }
  return total * 1e-6;
}

}  // namespace

BoundSession::BoundSession(Session session, std::vector<HostTensor> inputs)
    : session_(std::move(session)), inputs_(std::move(inputs)) {
  const kiln_function_info& function = session_.function();
  for (int32_t i = 0; i < function.num_outputs; ++i) {
    outputs_.emplace_back(function.outputs[i].bytes);
  }
  for (const HostTensor& input : inputs_) input_pointers_.push_back(input.bytes.data());
  for (std::vector<char>& output : outputs_) output_pointers_.push_back(output.data());
}

double Measurement::Quantile(double q) const {
  return times[static_cast<size_t>(q * static_cast<double>(times.size() - 1) + 0.5)];
}

absl::StatusOr<Measurement> Measure(BoundSession& session, double seconds, size_t min_runs,
                                    int64_t runs) {
  Measurement measured;
  const double cpu = CpuMilliseconds(), waited = WaitedMilliseconds();
  const Clock::time_point start = Clock::now();
  const auto done = [&] {
    if (runs > 0) return measured.times.size() >= static_cast<size_t>(runs);
    return measured.times.size() >= min_runs && MillisecondsSince(start) >= seconds * 1e3;
  };
  while (!done()) {
    const Clock::time_point run = Clock::now();
    if (absl::Status status = session.Run(); !status.ok()) return status;
    measured.times.push_back(MillisecondsSince(run));
  }
  measured.wall = MillisecondsSince(start);
  measured.cpu = CpuMilliseconds() - cpu;
  measured.waited = WaitedMilliseconds() - waited;
  std::ranges::sort(measured.times);
  return measured;
}

// getrusage would count what the parent had before exec; /proc tells of this program alone.
int64_t PeakMemoryBytes() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    int64_t kilobytes = 0;
    if (word == "VmHWM:" && status >> kilobytes) return kilobytes * 1024;
  }
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return int64_t{usage.ru_maxrss} * 1024;
}

}  // namespace kiln
