// A training run over compiled functions: `train_step` and `loss` (see
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
#include "runtime/train/rate_policy.h"

namespace kiln {

/// The label of places in a batch that do not count: the loss must ignore it.
inline constexpr int64_t kNoLabel = -1;

struct TrainerOptions {
  const kiln_library_info* library = nullptr;  ///< must outlive the trainer
  const void* parameters = nullptr;            ///< the block to start from; copied
  const kiln_executor* executor = nullptr;     ///< null: everything on the caller
  RatePolicy rate;
  uint64_t seed = 0;  ///< of dropout
  double mean = 0;    ///< of pixels; subtracted first
  double scale = 1;   ///< then multiplied
};

struct Evaluation {
  double loss = 0;  ///< the mean over all items
  double accuracy = 0;
};

class Trainer {
 public:
  /// Checks that the functions take images of the data set's form and labels. An error names the
  /// input, what was expected and what was found.
  static absl::StatusOr<std::unique_ptr<Trainer>> Create(const TrainerOptions& options,
                                                         const Dataset& dataset);

  int64_t batch() const { return batch_; }
  /// Updates done so far.
  int64_t steps() const { return steps_; }
  double rate() const { return Rate(options_.rate, steps_); }

  /// One update from `items` of the data set, as many as batch(); the loss before it.
  absl::StatusOr<double> Step(const Dataset& dataset, std::span<const int64_t> items);

  /// The loss and the part of right answers over a whole data set. The last batch is filled up with
  /// items that do not count.
  absl::StatusOr<Evaluation> Evaluate(const Dataset& dataset);

  /// The parameter block: weights, solver state, statistics. Of library().parameters_bytes.
  std::span<const char> parameters() const;

 private:
  struct Function;
  explicit Trainer(const TrainerOptions& options) : options_(options) {}
  absl::StatusOr<std::unique_ptr<Function>> Open(const char* name, const Dataset& dataset);
  void Fill(Function& function, const Dataset& dataset, std::span<const int64_t> items);

  struct FreeBlock {
    void operator()(char* block) const;
  };

  TrainerOptions options_;
  std::unique_ptr<char[], FreeBlock> block_;
  std::shared_ptr<Function> step_, loss_;
  int64_t batch_ = 0;
  int64_t steps_ = 0;
};

}  // namespace kiln
