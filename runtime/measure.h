// How long a session takes: repeated calls on buffers that stay.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime/host_tensor.h"
#include "runtime/session.h"

namespace kiln {

/// A session with inputs and outputs of its own.
class BoundSession {
 public:
  /// `inputs` must fit the session's function.
  BoundSession(Session session, std::vector<HostTensor> inputs);

  absl::Status Run() {
    return session_.RunUnchecked(input_pointers_.data(), output_pointers_.data());
  }
  void set_executor(const kiln_executor* executor) { session_.set_executor(executor); }

 private:
  Session session_;
  std::vector<HostTensor> inputs_;
  std::vector<std::vector<char>> outputs_;  // of operator new, so aligned to any element
  std::vector<const void*> input_pointers_;
  std::vector<void*> output_pointers_;
};

/// Milliseconds.
struct Measurement {
  std::vector<double> times;  ///< of each run, ascending; at least one
  double wall = 0;            ///< of all runs together
  double cpu = 0;             ///< likewise, over all threads of the process
  double waited = 0;          ///< for a CPU that another process had, over all threads

  double Quantile(double q) const;
};

/// Runs for `seconds`, at least `min_runs` times; or exactly `runs` times if that is not 0.
absl::StatusOr<Measurement> Measure(BoundSession& session, double seconds, size_t min_runs,
                                    int64_t runs = 0);

/// The largest resident set that this process has had.
int64_t PeakMemoryBytes();

}  // namespace kiln
