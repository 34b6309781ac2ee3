#include "passes/training/train_step.h"

#include <algorithm>
#include <map>

#include "ir/graph/builder.h"
#include "ir/graph/op_def.h"
#include "passes/training/differentiate.h"

namespace kiln {

namespace {

constexpr char kLossWeights[] = "loss_weights";

StatusOr<const Graph*> Function(const Module& module, const char* name) {
  const Graph* const function = module.FindFunction(name);
  if (function == nullptr) return InvalidInput("the module has no function @", name);
  return function;
}

StatusOr<Op*> OutputNamed(const Graph& function, const std::string& name) {
  const auto& outputs = function.outputs();
  const auto it = std::find_if(outputs.begin(), outputs.end(), [&](const Graph::Output& output) {
    return !output.update && (name.empty() || output.name == name);
  });
  if (it != outputs.end()) return it->value;
  return InvalidInput("@", function.name(), " has no output '", name, "'");
}

/// The scores that `term` compares, in the form that it takes.
StatusOr<Op*> Scores(Builder& b, const LossTerm& term, Op* scores) {
  const bool undone = (term.kind == "softmax_cross_entropy" && scores->Is("softmax")) ||
                      (term.kind == "sigmoid_cross_entropy" && scores->Is("sigmoid"));
  if (undone) scores = scores->operand(0);
  const Shape& shape = scores->shape();
  const bool trailing_ones = shape.size() > 2 && std::all_of(shape.begin() + 2, shape.end(),
                                                             [](int64_t d) { return d == 1; });
  if (!trailing_ones) return scores;
  return b.Reshape(scores, {shape[0], shape[1]});
}

/// Labels, a class for each position, or targets of the shape of the scores.
TensorType TargetsType(const std::string& kind, const Op& scores) {
  const OpDef* const def = FindOp(kind);
  if (def->operands[1].name != "labels") return {scores.element(), scores.shape(), {}};
  Shape shape = scores.shape();
  if (shape.size() > 1) shape.erase(shape.begin() + 1);
  return {ElementType::kI64, std::move(shape), {}};
}

StatusOr<Op*> AddTerm(Graph& function, Builder& b, const LossTerm& term) {
  const OpDef* const def = FindOp(term.kind);
  const bool is_loss = def != nullptr && def->operands.size() == 2 &&
                       (def->operands[1].name == "labels" || def->operands[1].name == "targets");
  if (!is_loss) return InvalidInput("there is no loss '", term.kind, "'");
  KILN_ASSIGN_OR_RETURN(Op* const output, OutputNamed(function, term.scores));
  KILN_ASSIGN_OR_RETURN(Op* const scores, Scores(b, term, output));
  const std::string name = term.targets.empty() ? def->operands[1].name : term.targets;
  KILN_ASSIGN_OR_RETURN(Op* const targets,
                        InputNamed(function, name, TargetsType(term.kind, *scores)));
  return b.MulScalar(b.Make(term.kind, {scores, targets}, term.attributes), term.weight);
}

/// A copy of "loss" under `name`, in training mode, that returns the loss alone; and the gradients.
struct Backward {
  Graph* function;
  std::vector<ParameterGradient> gradients;
};

StatusOr<Backward> AddBackward(Module& module, const char* name, const TrainingOptions& options) {
  KILN_ASSIGN_OR_RETURN(const Graph* const loss_function, Function(module, kLoss));
  if (module.FindFunction(name) != nullptr) {
    return InvalidInput("the module has a function @", name, " already");
  }
  Graph& function = *CloneFunction(*loss_function, module, name);
  KILN_RETURN_IF_ERROR(EnterTrainingMode(function, options.mode));
  const std::map<std::string, Op*> reads = TrainableReads(function);
  std::vector<Op*> wanted;
  for (const auto& [parameter, op] : reads) wanted.push_back(op);
  KILN_ASSIGN_OR_RETURN(Op* const loss, OutputNamed(function, kLoss));
  KILN_ASSIGN_OR_RETURN(const std::vector<Op*> gradients, Differentiate(loss, wanted));
  Backward backward{&function, {}};
  size_t i = 0;
  for (const auto& [parameter, op] : reads) {
    if (Op* const gradient = gradients[i++]) backward.gradients.push_back({parameter, gradient});
  }
  if (backward.gradients.empty()) {
    return InvalidInput("the loss does not depend on any trainable parameter");
  }
  for (size_t k = function.outputs().size(); k-- > 0;) {
    const Graph::Output& output = function.outputs()[k];
    if (!output.update && output.name != kLoss) function.EraseOutput(k);
  }
  return backward;
}

}  // namespace

std::map<std::string, Op*> TrainableReads(const Graph& function) {
  std::map<std::string, Op*> reads;
  for (const auto& op : function.ops()) {
    if (!op->Is("parameter") || !IsFloat(op->element())) continue;
    const std::string& name = op->String("name");
    if (function.module()->FindParameter(name)->trainable) reads.emplace(name, op.get());
  }
  return reads;
}

Status AddLoss(Module& module, const std::vector<LossTerm>& terms) {
  KILN_ASSIGN_OR_RETURN(const Graph* const forward, Function(module, kForward));
  if (module.FindFunction(kLoss) != nullptr) {
    return InvalidInput("the module has a function @", kLoss, " already");
  }
  Graph& function = *CloneFunction(*forward, module, kLoss);
  Builder b(&function);
  b.SetSources({kLoss});
  StatusOr<Op*> sum = nullptr;
  for (const LossTerm& term : terms) {
    const StatusOr<Op*> value = AddTerm(function, b, term);
    KILN_RETURN_IF_ERROR(value.status());
    sum = *sum == nullptr ? value : b.Add(sum, value);
    KILN_RETURN_IF_ERROR(sum.status());
  }
  if (*sum == nullptr) return InvalidInput("a loss needs at least one term");
  std::vector<Graph::Output> outputs = function.outputs();
  while (!function.outputs().empty()) function.EraseOutput(0);
  function.AddOutput(kLoss, *sum);
  for (const Graph::Output& output : outputs) {
    if (output.name == kLoss) return InvalidInput("@", kForward, " has an output '", kLoss, "'");
    function.AddOutput(output.name, output.value);
  }
  return OkStatus();
}

bool EndsInLoss(const Module& module) {
  const Graph* const forward = module.FindFunction(kForward);
  if (forward == nullptr) return false;
  if (module.metadata.contains(kLossWeights)) return true;
  return std::any_of(forward->outputs().begin(), forward->outputs().end(), [](const auto& output) {
    return output.name == kLoss && output.value->type().count() == 1 &&
           output.value->element() == ElementType::kF32;
  });
}

Status AddOwnLoss(Module& module) {
  KILN_ASSIGN_OR_RETURN(const Graph* const forward, Function(module, kForward));
  if (module.FindFunction(kLoss) != nullptr) {
    return InvalidInput("the module has a function @", kLoss, " already");
  }
  Graph& function = *CloneFunction(*forward, module, kLoss);
  Builder b(&function);
  b.SetSources({kLoss});
  const auto given = module.metadata.find(kLossWeights);
  const std::string terms = given == module.metadata.end() ? StrCat(kLoss, "=1") : given->second;
  StatusOr<Op*> sum = nullptr;
  for (const std::string& term : StrSplit(terms, ',')) {
    const size_t equals = term.rfind('=');
    double weight;
    if (equals == term.npos || !ParseDouble(term.substr(equals + 1), &weight)) {
      return InvalidInput(kLossWeights, ": expected OUTPUT=WEIGHT, found '", term, "'");
    }
    // A loss of the other phase.
    const StatusOr<Op*> value = OutputNamed(function, term.substr(0, equals));
    if (!value.ok()) continue;
    const StatusOr<Op*> weighted = b.MulScalar(b.Reshape(value, {}), weight);
    KILN_RETURN_IF_ERROR(Annotate(weighted.status(), term));
    sum = *sum == nullptr ? weighted : b.Add(sum, weighted);
    KILN_RETURN_IF_ERROR(sum.status());
  }
  if (*sum == nullptr) return InvalidInput("@", kForward, " returns none of the losses ", terms);
  std::vector<Graph::Output> outputs = function.outputs();
  while (!function.outputs().empty()) function.EraseOutput(0);
  function.AddOutput(kLoss, *sum);
  for (const Graph::Output& output : outputs) {
    if (output.name != kLoss) function.AddOutput(output.name, output.value);
  }
  return OkStatus();
}

Status AddTrainStep(Module& module, const TrainingOptions& options) {
  KILN_RETURN_IF_ERROR(Check(options.solver));
  KILN_ASSIGN_OR_RETURN(const Backward step, AddBackward(module, kTrainStep, options));
  KILN_RETURN_IF_ERROR(AppendUpdates(*step.function, step.gradients, options.solver));
  step.function->EraseDeadOps();
  if (options.solver.iter_size == 1) return OkStatus();
  KILN_ASSIGN_OR_RETURN(const Backward accumulate, AddBackward(module, kAccumulate, options));
  KILN_RETURN_IF_ERROR(AppendAccumulation(*accumulate.function, accumulate.gradients));
  accumulate.function->EraseDeadOps();
  return OkStatus();
}

}  // namespace kiln
