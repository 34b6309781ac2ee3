// The model of `kiln train`: its training functions, its parameters.
#include <algorithm>
#include <cstring>

#include "ir/graph/builder.h"
#include "tools/train.h"

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

double Bytes(const Parameter& parameter) {
  return static_cast<double>(parameter.value.type().bytes());
}

}  // namespace

std::vector<std::string> LossNames() {
  std::vector<std::string> names;
  for (const LossKind& kind : LossKinds()) names.emplace_back(kind.name);
  return names;
}

StatusOr<std::unique_ptr<Module>> MakeTrainingModule(const Module& model,
                                                     const TrainOptions& options) {
  std::unique_ptr<Module> module = model.Clone();
  if (module->FindFunction(kLoss) == nullptr) {
    const LossKind& loss = FindLoss(options.loss);
    KILN_RETURN_IF_ERROR(AddLoss(*module, {{.kind = loss.op, .attributes = loss.attributes}}));
  }
  KILN_RETURN_IF_ERROR(AddTrainStep(*module, {.solver = options.solver, .mode = {}}));
  std::vector<std::string> functions = {kLoss, kTrainStep};
  if (options.solver.iter_size > 1) functions.emplace_back(kAccumulate);
  KILN_RETURN_IF_ERROR(SelectFunctions(*module, functions));
  return module;
}

float YesThreshold(const Module& model, const TrainOptions& options) {
  const Graph* const forward = model.FindFunction(kForward);
  const bool logits = options.loss == "sigmoid-cross-entropy" && forward != nullptr &&
                      !forward->outputs().empty() && !forward->outputs()[0].value->Is("sigmoid");
  return logits ? 0.0f : 0.5f;
}

void StoreParameters(Module& module, const kiln_library_info& library, const char* block) {
  for (int32_t i = 0; i < library.num_parameters; ++i) {
    const Parameter* const parameter = module.FindParameter(library.parameters[i].name);
    if (parameter == nullptr) continue;
    const char* const start = block + library.parameter_offsets[i];
    Tensor value(parameter->value.type(),
                 std::vector<char>(start, start + library.parameters[i].bytes));
    module.SetParameter({parameter->name, std::move(value), parameter->trainable});
  }
}

std::string FindFirstNotFinite(const Module& training, const kiln_library_info& library,
                               const char* block, const CompileOptions& compile,
                               const TrainerOptions& trainer, const Dataset& dataset,
                               const Transform& transform, const Batch& batch, int64_t step) {
  std::unique_ptr<Module> module = training.Clone();
  StoreParameters(*module, library, block);
  if (!SelectFunctions(*module, {kTrainStep}).ok()) return "";
  Graph& function = *module->FindFunction(kTrainStep);
  const Op* loss = nullptr;
  for (const Graph::Output& output : function.outputs()) {
    if (!output.update && output.name == kLoss) loss = output.value;
  }
  while (!function.outputs().empty()) function.EraseOutput(0);
  for (Op* const op : function.Snapshot()) {
    if (op->element() != ElementType::kF32 || op->Is("constant")) continue;
    const std::string name =
        op->Is("parameter") ? StrCat("the parameter ", op->String("name")) : op->name();
    const std::string of = op->sources().empty() ? "" : StrCat(" of ", op->sources()[0]);
    function.AddOutput(StrCat(name, of, " (", op->kind(), ", ", op->type().ToString(), ")"), op);
    if (op == loss) break;
  }
  function.EraseDeadOps();
  CompileOptions plain = compile;
  plain.optimize = false;
  plain.max_memory = 0;
  const auto executable = CompileForHost(std::move(module), plain);
  if (!executable.ok()) return "";
  TrainerOptions options = trainer;
  options.library = &(*executable)->library();
  options.parameters = (*executable)->parameters();
  const auto found = FirstNotFinite(options, kTrainStep, dataset, transform, batch, step);
  return found.ok() ? *found : "";
}

void Introduce(const Module& model, const Module& training, const Executable& executable,
               const DatasetSplit& data, const TrainOptions& options, const Globals& globals) {
  int64_t trainable = 0;
  double weights = 0, frozen = 0, state = 0;
  for (const auto& [name, parameter] : training.parameters()) {
    const bool trained = parameter.trainable && IsFloat(parameter.value.type().element);
    if (trained) trainable += parameter.value.type().count();
    (trained ? weights : model.FindParameter(name) != nullptr ? frozen : state) += Bytes(parameter);
  }
  const kiln_library_info& library = executable.library();
  const double constants = static_cast<double>(library.parameters_bytes) - weights - frozen - state;
  Note(globals,
       StrCat(trainable, " trainable parameters: ", FormatBytes(weights), " of weights, ",
              FormatBytes(frozen), " of statistics, ", FormatBytes(state), " of solver state, ",
              FormatBytes(std::max(constants, 0.0)), " of constants"));
  for (int32_t i = 0; i < library.num_functions; ++i) {
    const kiln_function_info& function = library.functions[i];
    double buffers = 0;
    for (int32_t k = 0; k < function.num_inputs; ++k) {
      buffers += static_cast<double>(function.inputs[k].bytes);
    }
    for (int32_t k = 0; k < function.num_outputs; ++k) {
      buffers += static_cast<double>(function.outputs[k].bytes);
    }
    Note(globals,
         StrCat(function.name, ": ", FormatBytes(static_cast<double>(function.workspace_bytes)),
                " of intermediates, gradients included; ", FormatBytes(buffers),
                " of inputs and outputs"));
  }
  const std::string expected = data.train.target_count > 0
                                   ? StrCat(data.train.target_count, " numbers to meet")
                                   : StrCat(data.train.classes, " classes");
  Note(globals, StrCat(data.train.size(), " items of ", FormatInts(data.train.item_shape),
                       " to train with, ", data.test.size(), " to test with, ", expected, "; seed ",
                       options.run.seed));
}

}  // namespace kiln
