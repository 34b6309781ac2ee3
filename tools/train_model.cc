// The model of `kiln train`: its training functions, its parameters.
#include <algorithm>
#include <filesystem>
#include <functional>

#include "compiler/import/caffe/solver.h"
#include "ir/graph/builder.h"
#include "tools/train.h"

namespace kiln {

namespace {

/// "NAME=NUMBER,...", as an importer leaves it.
Status ForEachEntry(const Module& module, const char* key,
                    const std::function<Status(const std::string&, const std::string&)>& use) {
  const auto it = module.metadata.find(key);
  if (it == module.metadata.end()) return OkStatus();
  for (const std::string& entry : StrSplit(it->second, ',')) {
    const size_t equals = entry.rfind('=');
    if (equals == entry.npos) return InvalidInput(key, ": expected NAME=NUMBER, found ", entry);
    KILN_RETURN_IF_ERROR(use(entry.substr(0, equals), entry.substr(equals + 1)));
  }
  return OkStatus();
}

StatusOr<double> ToNumber(const std::string& text) {
  double value;
  if (!ParseDouble(text, &value)) return InvalidInput("expected a number, found ", Quote(text));
  return value;
}

/// The file that a Caffe file names: by its path, or by its name beside the solver or the model.
StatusOr<std::string> FindFile(const std::string& path, const std::string& beside) {
  namespace fs = std::filesystem;
  const fs::path folder = fs::path(beside).parent_path();
  for (const fs::path& candidate :
       {fs::path(path), folder / path, folder / fs::path(path).filename()}) {
    std::error_code error;
    if (fs::exists(candidate, error)) return candidate.string();
  }
  return InvalidInput(beside, ": names the file ", Quote(path), ", which is not there");
}

Status ApplyTransform(const Module& module, TrainOptions& options) {
  Transform& transform = options.transform;
  if (!module.metadata.contains("transform")) return OkStatus();
  const auto given = [&](const char* name) { return options.given.contains(name); };
  KILN_RETURN_IF_ERROR(ForEachEntry(
      module, "transform", [&](const std::string& name, const std::string& text) -> Status {
        if (name == "mean") {
          if (given("--mean")) return OkStatus();
          transform.mean.clear();
          for (const std::string& part : StrSplit(text, '+')) {
            KILN_ASSIGN_OR_RETURN(const double value, ToNumber(part));
            transform.mean.push_back(static_cast<float>(value));
          }
          return OkStatus();
        }
        KILN_ASSIGN_OR_RETURN(const double value, ToNumber(text));
        if (name == "scale" && !given("--scale")) {
          transform.scale = static_cast<float>(value);
          options.given.insert("--scale");
        }
        if (name == "mirror" && !given("--mirror")) transform.mirror = value != 0;
        if (name == "crop" && !given("--crop")) transform.crop = static_cast<int64_t>(value);
        return OkStatus();
      }));
  const auto mean_file = module.metadata.find("mean_file");
  if (mean_file == module.metadata.end() || given("--mean")) return OkStatus();
  const StatusOr<std::string> path = FindFile(mean_file->second, ModelFile(options.model));
  if (!path.ok()) return InvalidInput(Message(path.status()), "; --mean gives a mean without it");
  KILN_ASSIGN_OR_RETURN(transform.mean, ReadCaffeMean(*path));
  return OkStatus();
}

Status ApplyMetadata(const Module& module, TrainOptions& options) {
  KILN_RETURN_IF_ERROR(ApplyTransform(module, options));
  const auto multiply = [&](const char* key, double Multipliers::* which) {
    return ForEachEntry(module, key,
                        [&](const std::string& name, const std::string& text) -> Status {
                          KILN_ASSIGN_OR_RETURN(const double value, ToNumber(text));
                          options.step.solver.multipliers[name].*which = value;
                          return OkStatus();
                        });
  };
  KILN_RETURN_IF_ERROR(multiply("rate_multipliers", &Multipliers::rate));
  return multiply("decay_multipliers", &Multipliers::decay);
}

/// `train_step`, what goes with it, and the function to test with: that of `test` where it is
/// given, otherwise `loss`; and nothing else.
Status AddFunctions(Module& module, const Module* test, const TrainOptions& options,
                    std::string& test_name) {
  if (module.FindFunction(kLoss) == nullptr && (options.step.loss || !EndsInLoss(module))) {
    test = nullptr;
  }
  KILN_RETURN_IF_ERROR(AddTrainingFunctions(module, {kTrainStep}, options.step));
  std::vector<std::string> functions = {kTrainStep};
  if (options.step.solver.iter_size > 1) functions.emplace_back(kAccumulate);
  if (test == nullptr) {
    functions.emplace_back(kLoss);
  } else {
    test_name = "test";
    const std::unique_ptr<Module> with_loss = test->Clone();
    if (EndsInLoss(*with_loss)) KILN_RETURN_IF_ERROR(AddOwnLoss(*with_loss));
    const Graph* function = with_loss->FindFunction(kLoss);
    if (function == nullptr) function = with_loss->FindFunction(kForward);
    for (const auto& op : function->ops()) {
      if (!op->Is("parameter") || module.FindParameter(op->String("name")) != nullptr) continue;
      module.SetParameter(*with_loss->FindParameter(op->String("name")));
    }
    CloneFunction(*function, module, test_name);
    functions.push_back(test_name);
  }
  return SelectFunctions(module, functions);
}

double Bytes(const Parameter& parameter) {
  return static_cast<double>(parameter.value.type().bytes());
}

}  // namespace

StatusOr<TrainModel> LoadTrainModel(TrainOptions& options, const Dataset& data,
                                    const Globals& globals) {
  TrainModel result;
  ModelOptions source = options.model;
  if (!source.param_seed) source.param_seed = options.run.seed;
  source.item_shape = data.item_shape;
  KILN_ASSIGN_OR_RETURN(result.model, LoadModel(source, globals));
  const bool phases =
      result.model->metadata.contains("format") && result.model->metadata.at("format") == "caffe";
  const std::string path = ModelFile(source);
  if (!phases) {
    result.training = result.model->Clone();
  } else {
    Globals quiet = globals;
    quiet.quiet = true;
    source.training = true;
    KILN_ASSIGN_OR_RETURN(result.training, LoadModel(source, quiet));
    KILN_RETURN_IF_ERROR(InFile(path, ApplyMetadata(*result.training, options)));
  }
  std::unique_ptr<Module> test;
  if (phases && !options.test_net.empty()) {
    source.model = options.test_net;
    source.training = false;
    KILN_ASSIGN_OR_RETURN(test, LoadModel(source, globals));
  } else if (phases && EndsInLoss(*result.model)) {
    test = result.model->Clone();
  }
  KILN_RETURN_IF_ERROR(
      InFile(path, AddFunctions(*result.training, test.get(), options, result.test)));
  return result;
}

Status ApplySolver(TrainOptions& options) {
  if (options.solver_file.empty()) return OkStatus();
  KILN_ASSIGN_OR_RETURN(const CaffeSolver solver, ReadCaffeSolver(options.solver_file));
  const auto take = [&](const char* name, auto& to, const auto& from) {
    if (!options.given.contains(name)) to = from;
  };
  SolverOptions& s = options.step.solver;
  RatePolicy& rate = options.rate;
  RunOptions& run = options.run;
  take("--optimizer", options.step.optimizer, std::string(Name(solver.solver.kind)));
  const SolverOptions own = s;
  s = solver.solver;
  if (options.given.contains("--momentum")) s.momentum = own.momentum;
  if (options.given.contains("--weight-decay")) s.weight_decay = own.weight_decay;
  if (options.given.contains("--clip-norm")) s.clip_norm = own.clip_norm;
  if (options.given.contains("--iter-size")) s.iter_size = own.iter_size;
  take("--lr-policy", options.policy, std::string(Name(solver.rate.kind)));
  take("--lr", rate.base, solver.rate.base);
  take("--lr-gamma", rate.gamma, solver.rate.gamma);
  take("--lr-power", rate.power, solver.rate.power);
  take("--lr-step", rate.step_size, solver.rate.step_size);
  take("--lr-steps", rate.step_values, solver.rate.step_values);
  take("--lr-end", rate.max_iterations, solver.rate.max_iterations);
  if (!options.given.contains("--epochs")) {
    take("--max-steps", run.max_steps, solver.max_iterations);
  }
  // Without tests on the way there is still one in the end.
  const bool tests = solver.test_interval > 0 && solver.test_iterations > 0;
  take("--test-every", run.test_interval,
       tests ? solver.test_interval : std::max<int64_t>(solver.max_iterations, 1));
  run.test_batches = solver.test_iterations;
  run.test_first = tests && solver.test_initialization;
  options.display = solver.display;
  run.average_loss = solver.average_loss;
  if (solver.display > 0) take("--log-every", run.log_interval, solver.display);
  if (solver.snapshot > 0) take("--snapshot-every", run.snapshot_interval, solver.snapshot);
  if (solver.seed) take("--seed", run.seed, *solver.seed);
  if (!solver.test_net.empty()) {
    KILN_ASSIGN_OR_RETURN(options.test_net, FindFile(solver.test_net, options.solver_file));
  }
  if (solver.weights.size() > 1) {
    return Unsupported(options.solver_file, ": weights: more than one file is not supported");
  }
  if (!solver.weights.empty() && options.model.model.find(',') == std::string::npos) {
    KILN_ASSIGN_OR_RETURN(const std::string weights,
                          FindFile(solver.weights[0], options.solver_file));
    options.model.model += "," + weights;
  }
  return OkStatus();
}

float YesThreshold(const Module& model, const TrainOptions& options) {
  const Graph* const forward = model.FindFunction(kForward);
  const bool logits = options.step.loss == "sigmoid-cross-entropy" && forward != nullptr &&
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
                std::string_view(function.name) == kTrainStep
                    ? " of intermediates, gradients included; "
                    : " of intermediates; ",
                FormatBytes(buffers), " of inputs and outputs"));
  }
  const std::string expected = data.train.target_count > 0
                                   ? StrCat(data.train.target_count, " numbers to meet")
                                   : StrCat(data.train.classes, " classes");
  Note(globals, StrCat(data.train.size(), " items of ", FormatInts(data.train.item_shape),
                       " to train with, ", data.test.size(), " to test with, ", expected, "; seed ",
                       options.run.seed));
}

}  // namespace kiln
