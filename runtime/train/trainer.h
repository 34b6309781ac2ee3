// Compiled training: `train_step`, `accumulate` and the function to test with (see
// passes/training/train_step.h) on one parameter block, which is all the state there is beside the
// number of steps done.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/abi/kiln.h"
#include "runtime/session.h"
#include "runtime/train/dataset.h"
#include "runtime/train/loader.h"
#include "runtime/train/rate_policy.h"

namespace kiln {

struct TrainerOptions {
  const kiln_library_info* library = nullptr;  ///< must outlive the trainer
  const void* parameters = nullptr;            ///< the block to start from; copied
  const kiln_executor* executor = nullptr;     ///< null: everything on the caller
  RatePolicy rate;
  uint64_t seed = 0;          ///< of dropout
  int iter_size = 1;          ///< batches to a step
  std::string test = "loss";  ///< the function to test with
  float yes = 0.5;            ///< from where on a single score names the second of two classes
};

/// What testing has found. Where the data set has targets for labels, or the function returns no
/// scores, accuracies are NaN and the confusion matrix is empty.
struct Evaluation {
  double loss = 0;                 ///< the mean over all items
  double accuracy = 0;             ///< the part of items whose highest score is their label's
  double top5 = 0;                 ///< of those whose label is among the five highest
  std::vector<int64_t> confusion;  ///< [classes, classes]: items by label and by highest score
};

class Trainer {
 public:
  /// Checks that the functions take items of the shape that `transform` makes of the data set's,
  /// and its labels or targets. An error names the input, what was expected and what was found.
  static absl::StatusOr<std::unique_ptr<Trainer>> Create(const TrainerOptions& options,
                                                         const Dataset& dataset,
                                                         const Transform& transform);

  /// Items to a batch of training.
  int64_t batch() const;
  /// Items to a step.
  int64_t step_items() const { return batch() * options_.iter_size; }
  /// Updates done so far.
  int64_t steps() const { return steps_; }
  void set_steps(int64_t steps) { steps_ = steps; }
  double rate() const { return Rate(options_.rate, steps_); }

  /// One update from the next iter_size batches; the mean of their losses before it.
  absl::StatusOr<double> Step(BatchLoader& loader);

  /// The function's results over a whole data set, or over the first `max_batches` of its batches
  /// where that is not 0.
  absl::StatusOr<Evaluation> Evaluate(const Dataset& dataset, const Transform& transform,
                                      int64_t max_batches = 0);

  /// The parameter block: weights, solver state, statistics. Of library().parameters_bytes.
  std::span<char> parameters() const;
  const kiln_library_info& library() const { return *options_.library; }

 private:
  friend absl::StatusOr<std::string> FirstNotFinite(const TrainerOptions& options,
                                                    const char* function, const Dataset& dataset,
                                                    const Transform& transform, const Batch& batch,
                                                    int64_t step);
  class Function;
  class Tally;
  explicit Trainer(const TrainerOptions& options) : options_(options) {}

  struct FreeBlock {
    void operator()(char* block) const;
  };

  TrainerOptions options_;
  std::unique_ptr<char[], FreeBlock> block_;
  std::shared_ptr<Function> step_, accumulate_, test_;
  int64_t steps_ = 0;
};

/// Calls `function` of options.library, with its own parameters, for one batch of training: the
/// name of its first f32 output with a number that is not finite, and which; empty when all are.
absl::StatusOr<std::string> FirstNotFinite(const TrainerOptions& options, const char* function,
                                           const Dataset& dataset, const Transform& transform,
                                           const Batch& batch, int64_t step);

}  // namespace kiln
