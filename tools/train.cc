// `kiln train`: trains a model on a data set with a compiled train_step.
#include <algorithm>
#include <chrono>
#include <cmath>

#include "passes/training/train_step.h"
#include "runtime/threads/thread_pool.h"
#include "runtime/train/trainer.h"
#include "tools/model.h"

namespace kiln {

namespace {

using Clock = std::chrono::steady_clock;

struct TrainOptions {
  ModelOptions model;
  CompileFlags compile;
  std::string data;
  std::string loss = "softmax-cross-entropy";
  std::string output;
  int epochs = 10;
  uint64_t seed = 1;
  double mean = 0;
  double scale = 1.0 / 255;
  std::string optimizer = "sgd";
  SolverOptions solver;
  std::string policy = "fixed";
  RatePolicy rate;
};

/// "softmax-cross-entropy" for the op softmax_cross_entropy.
std::string OpName(std::string name) {
  std::ranges::replace(name, '-', '_');
  return name;
}

/// The functions `loss` and `train_step`, and nothing else.
Status AddTraining(Module& module, const TrainOptions& options) {
  if (module.FindFunction(kLoss) == nullptr) {
    LossTerm term{.kind = OpName(options.loss)};
    if (term.kind == "softmax_cross_entropy") {
      term.attributes.emplace("ignore_labels", std::vector<int64_t>{kNoLabel});
    }
    KILN_RETURN_IF_ERROR(AddLoss(module, {term}));
  }
  KILN_RETURN_IF_ERROR(AddTrainStep(module, {.solver = options.solver, .mode = {}}));
  return SelectFunctions(module, {kLoss, kTrainStep});
}

int64_t CountTrainable(const Module& module) {
  int64_t count = 0;
  for (const auto& [name, op] : TrainableReads(*module.FindFunction(kTrainStep))) {
    count += op->type().count();
  }
  return count;
}

void Introduce(const Module& module, const Executable& executable, const DatasetSplit& data,
               const TrainOptions& options, const Globals& globals) {
  const kiln_library_info& library = executable.library();
  std::string arenas;
  for (int32_t i = 0; i < library.num_functions; ++i) {
    const kiln_function_info& function = library.functions[i];
    arenas += StrCat(", ", function.name, " ",
                     FormatBytes(static_cast<double>(function.workspace_bytes)));
  }
  Note(globals, StrCat(CountTrainable(module), " trainable parameters; ",
                       FormatBytes(static_cast<double>(library.parameters_bytes)),
                       " of weights, constants and solver state", arenas));
  Note(globals, StrCat(data.train.size(), " images to train with, ", data.test.size(),
                       " to test with, ", data.train.classes, " classes; seed ", options.seed));
}

/// One epoch; the mean of its losses.
StatusOr<double> TrainEpoch(Trainer& trainer, const Dataset& data, int epoch,
                            const TrainOptions& options, const Globals& globals) {
  const std::vector<int64_t> order = ShuffledOrder(data.size(), options.seed, epoch);
  const int64_t batch = trainer.batch(), steps = data.size() / batch;
  Progress progress(globals, StrCat("epoch ", int64_t{epoch}), steps);
  double sum = 0;
  for (int64_t i = 0; i < steps; ++i) {
    KILN_ASSIGN_OR_RETURN(const double loss, trainer.Step(data, {order.data() + i * batch,
                                                                 static_cast<size_t>(batch)}));
    if (!std::isfinite(loss)) {
      return InvalidInput("the loss is ", loss, " at step ", trainer.steps(),
                          ": try a lower learning rate");
    }
    sum += loss;
    progress.Advance();
  }
  return sum / static_cast<double>(std::max<int64_t>(steps, 1));
}

Status TrainAll(Trainer& trainer, const DatasetSplit& data, const TrainOptions& options,
                const Globals& globals) {
  const Clock::time_point start = Clock::now();
  Evaluation test;
  for (int epoch = 1; epoch <= options.epochs; ++epoch) {
    const Clock::time_point begin = Clock::now();
    const double rate = trainer.rate();
    KILN_ASSIGN_OR_RETURN(const double loss,
                          TrainEpoch(trainer, data.train, epoch, options, globals));
    const double seconds = MillisecondsSince(begin) / 1000;
    KILN_ASSIGN_OR_RETURN(test, trainer.Evaluate(data.test));
    PrintOut(StrCat(
        "epoch ", int64_t{epoch}, " loss=", Format("%.4f", loss), " rate=", Format("%.6g", rate),
        " test_accuracy=", Format("%.4f", test.accuracy), " test_loss=", Format("%.4f", test.loss),
        " images_per_second=", Format("%.0f", static_cast<double>(data.train.size()) / seconds),
        "\n"));
    KILN_RETURN_IF_ERROR(FlushOutput());
  }
  PrintOut(StrCat("final test_accuracy=", Format("%.4f", test.accuracy),
                  " test_loss=", Format("%.4f", test.loss),
                  " seconds=", Format("%.1f", MillisecondsSince(start) / 1000), "\n"));
  return OkStatus();
}

/// `module` with the weights that the run has left.
Status StoreWeights(Module& module, const kiln_library_info& library, const Trainer& trainer) {
  for (int32_t i = 0; i < library.num_parameters; ++i) {
    const Parameter* const parameter = module.FindParameter(library.parameters[i].name);
    if (parameter == nullptr) continue;
    const char* const start = trainer.parameters().data() + library.parameter_offsets[i];
    Tensor value(parameter->value.type(),
                 std::vector<char>(start, start + library.parameters[i].bytes));
    module.SetParameter({parameter->name, std::move(value), parameter->trainable});
  }
  return OkStatus();
}

Status Train(TrainOptions options, const Globals& globals) {
  options.solver.kind = *ParseSolverKind(options.optimizer);
  options.rate.kind = *ParseRateKind(options.policy);
  KILN_RETURN_IF_ERROR(Check(options.solver));
  KILN_RETURN_IF_ERROR(Check(options.rate));
  KILN_ASSIGN_OR_RETURN(CompileOptions compile, ToCompileOptions(options.compile, globals));
  KILN_ASSIGN_OR_RETURN(const DatasetSplit data, LoadDataset(options.data));
  const std::string path = ModelFile(options.model);
  KILN_ASSIGN_OR_RETURN(const auto model, LoadModel(options.model, globals));
  const std::unique_ptr<Module> module = model->Clone();
  KILN_RETURN_IF_ERROR(InFile(path, AddTraining(*module, options)));
  Note(globals, StrCat("compiling for ", compile.target.cpu));
  KILN_ASSIGN_OR_RETURN(const auto executable,
                        InFile(path, CompileForHost(module->Clone(), compile)));
  Introduce(*module, *executable, data, options, globals);
  ThreadPool pool(globals.Threads());
  KILN_ASSIGN_OR_RETURN(const auto trainer,
                        InFile(path, Trainer::Create({.library = &executable->library(),
                                                      .parameters = executable->parameters(),
                                                      .executor = pool.executor(),
                                                      .rate = options.rate,
                                                      .seed = options.seed,
                                                      .mean = options.mean,
                                                      .scale = options.scale},
                                                     data.train)));
  KILN_RETURN_IF_ERROR(InFile(path, TrainAll(*trainer, data, options, globals)));
  if (options.output.empty()) return OkStatus();
  KILN_RETURN_IF_ERROR(StoreWeights(*model, executable->library(), *trainer));
  return SaveModule(*model, options.output);
}

template <typename Kinds>
std::vector<std::string> Names(const Kinds& kinds) {
  std::vector<std::string> names;
  for (const auto kind : kinds) names.emplace_back(Name(kind));
  return names;
}

void AddSolverOptions(CLI::App& app, TrainOptions& options) {
  app.add_option("--optimizer", options.optimizer, "How gradients change the weights [sgd]")
      ->check(CLI::IsMember(Names(std::vector{
          SolverKind::kSgd, SolverKind::kNesterov, SolverKind::kAdaGrad, SolverKind::kRmsProp,
          SolverKind::kAdaDelta, SolverKind::kAdam, SolverKind::kAdamW})));
  app.add_option("--lr", options.rate.base, "The learning rate [0.01]")->type_name("X");
  app.add_option("--momentum", options.solver.momentum, "Momentum, or Adam's first decay [0.9]");
  app.add_option("--weight-decay", options.solver.weight_decay, "L2 regularisation [0]");
  app.add_option("--clip-norm", options.solver.clip_norm,
                 "Scale gradients to this norm where theirs is larger [0: never]");
  app.add_option("--lr-policy", options.policy, "How the rate changes from step to step [fixed]")
      ->check(CLI::IsMember(Names(std::vector{RateKind::kFixed, RateKind::kStep, RateKind::kExp,
                                              RateKind::kInv, RateKind::kMultistep, RateKind::kPoly,
                                              RateKind::kSigmoid, RateKind::kCosine})));
  app.add_option("--lr-gamma", options.rate.gamma, "The policy's gamma [0.1]");
  app.add_option("--lr-power", options.rate.power, "The policy's power [1]");
  app.add_option("--lr-step", options.rate.step_size, "The policy's step size, in steps");
  app.add_option("--lr-steps", options.rate.step_values, "The steps of multistep")->delimiter(',');
  app.add_option("--max-steps", options.rate.max_iterations, "Where poly and cosine end");
  app.add_option("--warmup", options.rate.warmup, "Steps over which the rate grows [0]");
}

}  // namespace

void AddTrainCommand(CLI::App& app, const Globals& globals, Action& action) {
  const auto options = std::make_shared<TrainOptions>();
  CLI::App* const command =
      app.add_subcommand("train",
                         "Train a model on a data set. The last line on stdout is\n"
                         "`final test_accuracy=... test_loss=... seconds=...`.");
  AddModelOptions(*command, options->model);
  command->add_option("--data", options->data, "The data set: idx:FOLDER (MNIST's files)")
      ->required()
      ->type_name("KIND:PATH");
  command->add_option("--loss", options->loss, "The loss, where the model does not end in one")
      ->check(CLI::IsMember({"softmax-cross-entropy"}));
  command->add_option("--epochs", options->epochs, "How often all images are seen [10]")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--seed", options->seed, "Of the order of the images and of dropout [1]");
  command->add_option("--mean", options->mean, "Subtracted from pixels, 0 to 255 [0]");
  command->add_option("--scale", options->scale, "What pixels are multiplied by then [1/255]");
  command->add_option("-o,--output", options->output, "Write the trained model, as .kir text")
      ->type_name("FILE");
  AddSolverOptions(*command, *options);
  AddCompileFlags(*command, options->compile);
  command->callback([options, &globals, &action] {
    action = [=, &globals] { return Train(*options, globals); };
  });
}

}  // namespace kiln
