// A training run from its first step, or from a snapshot, to its last: steps, tests, snapshots,
// logs, early stops, signals.
//
// The parameters after N steps are the same bytes whether the run was interrupted and resumed, at
// whatever moment and however often, or not.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime/train/run_state.h"
#include "runtime/train/trainer.h"

namespace kiln {

struct RunOptions {
  int64_t max_steps = 0;
  int64_t test_interval = 0;      ///< steps between tests; 0: at the end of every epoch
  int64_t test_batches = 0;       ///< of a test; 0: all of the test set
  bool test_first = false;        ///< test before the first step as well
  int64_t snapshot_interval = 0;  ///< steps between snapshots; 0: at every test
  int64_t log_interval = 100;     ///< steps between rows of the history
  int64_t average_loss = 0;       ///< steps that the smoothed loss is the mean of; 0: exponential
  int64_t early_stop = 0;         ///< tests without a better one before the run ends; 0: never
  bool keep_best = false;         ///< leave the parameters of the best test
  std::string folder;             ///< for snapshots and logs; empty: none are written
  int keep = 3;                   ///< newest snapshots to keep
  bool resume = false;            ///< go on from the newest snapshot, where there is one
  uint64_t seed = 1;
  LoaderOptions loader;  ///< of training; batch and seed are set by the run
};

/// What a run tells while it goes on. Calls come from the thread that runs it.
class RunObserver {
 public:
  virtual ~RunObserver() = default;
  virtual void OnStep(const RunState& state, double rate) = 0;
  /// The history has a new row; `test` is what was found if it holds a test.
  virtual void OnRow(const RunState& state, const Evaluation* test) = 0;
  virtual void OnSnapshot(const RunState& state) = 0;
  virtual void OnResume(const RunState& state) = 0;
  /// Something to know which does not end the run.
  virtual void OnWarning(const std::string& text) = 0;
  /// The loss of a step was not finite. `parameters` is the block from before it, `batch` what it
  /// read: says where the first number went wrong.
  virtual std::string Diagnose(const char* parameters, const Batch& batch, int64_t step) = 0;
};

struct RunResult {
  enum class End { kFinished, kStoppedEarly, kInterrupted };
  End end = End::kFinished;
  int signal = 0;   ///< that interrupted it
  Evaluation test;  ///< of the parameters that are left; of the last test where interrupted
  RunState state;
};

/// Trains; `trainer` is left with the parameters of the last step, or of the best test.
absl::StatusOr<RunResult> RunTraining(Trainer& trainer, const DatasetSplit& data,
                                      const RunOptions& options, RunObserver& observer);

}  // namespace kiln
