#include "tools/training_functions.h"

#include <algorithm>

#include "tools/numbers.h"

namespace kiln {

namespace {

struct LossKind {
  const char* name;
  const char* op;
  AttributeMap attributes;
};

const std::vector<LossKind>& LossKinds() {
  static const auto* const kinds = new std::vector<LossKind>{
      {"softmax-cross-entropy", "softmax_cross_entropy", {}},
      {"sigmoid-cross-entropy", "sigmoid_cross_entropy", {}},
      {"mse", "mean_squared_error", {}},
      {"euclidean", "euclidean_loss", {}},
      {"hinge", "hinge_loss", {{"norm", 1}}},
      {"hinge-l2", "hinge_loss", {{"norm", 2}}},
      {"l1", "l1_loss", {}},
      {"huber", "huber_loss", {}},
  };
  return *kinds;
}

const LossKind& FindLoss(const std::string& name) {
  return *std::ranges::find_if(LossKinds(), [&](const auto& kind) { return kind.name == name; });
}

TrainingModeOptions ModeOf(const Module& module) {
  TrainingModeOptions mode;
  const auto momentum = module.metadata.find("statistics_momentum");
  if (momentum == module.metadata.end()) return mode;
  double value;
  if (ParseDouble(momentum->second, &value)) mode.statistics_momentum = value;
  mode.weigh_by_steps = true;
  return mode;
}

Status AddLossFunction(Module& module, const std::optional<std::string>& named) {
  if (!named && EndsInLoss(module)) return AddOwnLoss(module);
  const LossKind& loss = FindLoss(named.value_or(LossKinds()[0].name));
  return AddLoss(module, {{.kind = loss.op, .attributes = loss.attributes}});
}

std::vector<std::string> LossNames() {
  std::vector<std::string> names;
  for (const LossKind& kind : LossKinds()) names.emplace_back(kind.name);
  return names;
}

std::vector<std::string> OptimizerNames() {
  std::vector<std::string> names;
  for (const SolverKind kind :
       {SolverKind::kSgd, SolverKind::kNesterov, SolverKind::kAdaGrad, SolverKind::kRmsProp,
        SolverKind::kAdaDelta, SolverKind::kAdam, SolverKind::kAdamW}) {
    names.emplace_back(Name(kind));
  }
  return names;
}

}  // namespace

void AddStepOptions(CLI::App& app, StepOptions& options) {
  app.add_option("--loss", options.loss,
                 "The loss [the model's own, softmax-cross-entropy if it has none]")
      ->check(CLI::IsMember(LossNames()));
  app.add_option("--optimizer", options.optimizer, "How gradients change the weights [sgd]")
      ->check(CLI::IsMember(OptimizerNames()));
  app.add_option("--momentum", options.solver.momentum, "Momentum, or Adam's first decay [0.9]");
  app.add_option("--weight-decay", options.solver.weight_decay, "L2 regularisation [0]");
  app.add_option("--clip-norm", options.solver.clip_norm,
                 "Scale gradients to this norm where theirs is larger [0: never]");
  app.add_option("--iter-size", options.solver.iter_size, "Batches to an update [1]")
      ->check(WholeNumber(1));
}

Status ResolveSolver(StepOptions& options) {
  options.solver.kind = *ParseSolverKind(options.optimizer);
  return Check(options.solver);
}

Status AddTrainingFunctions(Module& module, const std::vector<std::string>& functions,
                            const StepOptions& options) {
  const auto lacks = [&](const char* name) {
    return std::ranges::count(functions, name) > 0 && module.FindFunction(name) == nullptr;
  };
  const bool step = lacks(kTrainStep);
  if ((step || lacks(kLoss)) && module.FindFunction(kLoss) == nullptr) {
    KILN_RETURN_IF_ERROR(AddLossFunction(module, options.loss));
  }
  if (!step) return OkStatus();
  return AddTrainStep(module, {.solver = options.solver, .mode = ModeOf(module)});
}

StatusOr<std::unique_ptr<Module>> LoadForFunction(const ModelOptions& model,
                                                  const std::string& function,
                                                  const Globals& globals) {
  ModelOptions source = model;
  source.training = function == kTrainStep || function == kLoss;
  KILN_ASSIGN_OR_RETURN(auto module, LoadModel(source, globals));
  StepOptions step;
  const std::string path = ModelFile(model);
  KILN_RETURN_IF_ERROR(ResolveSolver(step));
  KILN_RETURN_IF_ERROR(InFile(path, AddTrainingFunctions(*module, {function}, step)));
  KILN_RETURN_IF_ERROR(InFile(path, SelectFunctions(*module, {function})));
  return module;
}

}  // namespace kiln
