// training-mode: from what a function computes when a model is used to what it computes when the
// model learns.
//
//   batch_norm(x, s, b, mean, variance) = standardize(x) s + b      mean, variance parameters:
//                                         they follow the statistics of the batch
//   dropout(x) = x m / (1 - ratio)        m drawn anew for every step and layer
//
// Both need what an inference graph lacks: updates of parameters, and the inputs `seed` and `step`.
#pragma once

#include "ir/graph/graph.h"
#include "ir/support/status.h"

namespace kiln {

struct TrainingModeOptions {
  /// The part of the running statistics that a step keeps: r = momentum r + (1 - momentum) batch.
  double statistics_momentum = 0.9;
  /// Caffe's running statistics: a step weighs 1 / (1 + momentum + momentum^2 + ...), one term for
  /// each step done, which is 1 - momentum in the end, and 1 at the first step.
  bool weigh_by_steps = false;
};

/// Rewrites `function`, which must belong to a module. The running variance gets the unbiased
/// estimate of the batch's (n / (n-1) times its mean square), as in Caffe and PyTorch. A batch_norm
/// whose statistics are no parameters stays as it is.
Status EnterTrainingMode(Graph& function, const TrainingModeOptions& options);

/// The function's input of that public name and type; made when there is none yet. An error when it
/// has another type.
StatusOr<Op*> InputNamed(Graph& function, const std::string& name, const TensorType& type);

}  // namespace kiln
