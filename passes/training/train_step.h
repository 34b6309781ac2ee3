// The functions of training, made from "forward": "loss", and "train_step", which computes the
// loss, its gradients and the updates of all trainable parameters in one call.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "ir/graph/graph.h"
#include "ir/support/status.h"
#include "passes/training/solver.h"
#include "passes/training/training_mode.h"

namespace kiln {

inline constexpr char kForward[] = "forward";
inline constexpr char kLoss[] = "loss";
inline constexpr char kTrainStep[] = "train_step";
inline constexpr char kAccumulate[] = "accumulate";

/// The trainable parameters of floats that `function` reads, and for each one op that reads it.
std::map<std::string, Op*> TrainableReads(const Graph& function);

/// One term of the loss: weight * kind(scores, targets).
struct LossTerm {
  std::string kind = "softmax_cross_entropy";  ///< an op of ir/ops/losses.cc
  std::string scores;                          ///< an output of "forward"; empty: the first
  std::string targets;  ///< the input that holds them; empty: "labels" or "targets", as they are
  double weight = 1;
  AttributeMap attributes;
};

/// Adds the function "loss" to a module with the function "forward": the same inputs and outputs,
/// the inputs that hold the targets (labels are i64), and in front the output "loss", the sum of
/// the terms. Scores [N, C, 1, ..] count as [N, C]. Where a softmax cross-entropy reads the result
/// of a softmax, or a sigmoid cross-entropy that of a sigmoid, it reads its operand instead.
Status AddLoss(Module& module, const std::vector<LossTerm>& terms);

/// Whether "forward" ends in a loss: its metadata has "loss_weights" ("OUTPUT=WEIGHT,...", as a
/// Caffe net leaves them) or one of its outputs is a single float called "loss".
bool EndsInLoss(const Module& module);

/// Adds the function "loss" to such a module: the sum of the losses by their weights, called
/// "loss", and the outputs of "forward" but for those of the same name.
Status AddOwnLoss(Module& module);

struct TrainingOptions {
  SolverOptions solver;
  TrainingModeOptions mode;
};

/// Adds the function "train_step" to a module with the function "loss", whose output "loss" is one
/// float: the same inputs, those that training mode and the solver ask for (learning_rate, step,
/// seed), the output "loss", and the updates of the trainable parameters, the solver's state and
/// the running statistics. With iter_size > 1 also "accumulate", to be called for all batches of an
/// update but the last. State that the module lacks is added to it as frozen parameters.
Status AddTrainStep(Module& module, const TrainingOptions& options);

}  // namespace kiln
