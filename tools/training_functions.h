// The functions of training that the command makes of a model, and the options that decide what is
// compiled into them.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ir/graph/graph.h"
#include "passes/training/train_step.h"
#include "tools/model.h"

namespace kiln {

struct StepOptions {
  std::optional<std::string> loss;  ///< none: the model's own, softmax-cross-entropy if it has none
  std::string optimizer = "sgd";
  SolverOptions solver;
};

/// Declares --loss, --optimizer, --momentum, --weight-decay, --clip-norm and --iter-size.
void AddStepOptions(CLI::App& app, StepOptions& options);

/// Sets the solver's kind from the optimizer's name and checks the solver's numbers.
Status ResolveSolver(StepOptions& options);

/// Adds "loss" and "train_step" (with it "accumulate", if an update takes several batches) where
/// `functions` names them and the module lacks them. The solver must be resolved.
Status AddTrainingFunctions(Module& module, const std::vector<std::string>& functions,
                            const StepOptions& options);

/// Reads a model for one of its functions alone. "loss" and "train_step" are made where the model
/// lacks them, from the model in its phase to train where it has phases.
StatusOr<std::unique_ptr<Module>> LoadForFunction(const ModelOptions& model,
                                                  const std::string& function,
                                                  const Globals& globals);

}  // namespace kiln
