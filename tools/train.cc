// `kiln train`: trains a model on a data set with a compiled train_step.
#include "tools/train.h"

#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <optional>

#include "compiler/export/onnx/onnx_export.h"
#include "compiler/import/onnx/onnx_import.h"
#include "runtime/threads/thread_pool.h"
#include "runtime/train/report.h"
#include "tools/numbers.h"

namespace kiln {

namespace {

namespace fs = std::filesystem;

class Observer : public RunObserver {
 public:
  Observer(const Module& training, const CompileOptions& compile, const TrainerOptions& trainer,
           const Dataset& dataset, const TrainOptions& options, const Globals& globals)
      : training_(training),
        compile_(compile),
        trainer_(trainer),
        dataset_(dataset),
        options_(options),
        globals_(globals),
        progress_(globals, "training", options.run.max_steps) {}

  void OnStep(const RunState& state, double rate) override {
    const double seconds = MillisecondsSince(start_) / 1e3;
    const double items = static_cast<double>((state.step - first_step_) * state.step_items);
    const double epoch =
        static_cast<double>(state.position) / static_cast<double>(state.train_size);
    progress_.SetDetail(StrCat(", epoch ", Format("%.2f", epoch), ", loss ",
                               Format("%.4f", state.smoothed_loss), ", rate ", Format("%.4g", rate),
                               ", ", Format("%.0f", items / seconds), " items/s"));
    progress_.Advance();
  }

  void OnRow(const RunState& state, const Evaluation* test) override {
    const HistoryRow& row = state.history.back();
    if (options_.display > 0 && !std::isnan(row.loss)) {
      progress_.Hide();
      Note(globals_, StrCat("step ", row.step, ", loss ", Format("%.6g", state.smoothed_loss),
                            ", rate ", Format("%.6g", row.rate)));
    }
    if (test == nullptr || globals_.json) return;
    progress_.Hide();
    std::string line = StrCat("step ", row.step, " epoch=", Format("%.2f", row.epoch));
    if (!std::isnan(row.loss)) line += StrCat(" loss=", Format("%.4f", row.loss));
    line += StrCat(" rate=", Format("%.6g", row.rate), AccuracyText(*test, "test_"),
                   " test_loss=", Format("%.4f", test->loss));
    if (!std::isnan(row.items_per_second)) {
      line += StrCat(" items_per_second=", Format("%.0f", row.items_per_second));
    }
    PrintOut(line + "\n");
    std::fflush(stdout);
  }

  void OnSnapshot(const RunState& state) override {
    if (!globals_.verbose) return;
    progress_.Hide();
    Note(globals_, StrCat("snapshot at step ", state.step));
  }

  void OnResume(const RunState& state) override {
    first_step_ = state.step;
    progress_.Skip(state.step);
    Note(globals_, StrCat("resumed at step ", state.step));
  }

  void OnWarning(const std::string& text) override {
    progress_.Hide();
    Note(globals_, text);
  }

  std::string Diagnose(const char* parameters, const Batch& batch, int64_t step) override {
    progress_.Hide();
    return FindFirstNotFinite(training_, *trainer_.library, parameters, compile_, trainer_,
                              dataset_, options_.transform, batch, step);
  }

  void Done() { progress_.Hide(); }

  /// " test_accuracy=0.9123 test_top5=0.9987", as far as there is any.
  static std::string AccuracyText(const Evaluation& test, const char* prefix) {
    std::string text;
    if (!std::isnan(test.accuracy)) {
      text += StrCat(" ", prefix, "accuracy=", Format("%.4f", test.accuracy));
    }
    if (!std::isnan(test.top5)) text += StrCat(" ", prefix, "top5=", Format("%.4f", test.top5));
    return text;
  }

 private:
  const Module& training_;
  const CompileOptions& compile_;
  const TrainerOptions& trainer_;
  const Dataset& dataset_;
  const TrainOptions& options_;
  const Globals& globals_;
  Progress progress_;
  int64_t first_step_ = 0;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

Json RowsAsJson(const std::vector<HistoryRow>& history) {
  Json rows = Json::array();
  for (const HistoryRow& row : history) {
    rows.push_back({{"step", row.step},
                    {"epoch", row.epoch},
                    {"loss", row.loss},
                    {"rate", row.rate},
                    {"test_loss", row.test_loss},
                    {"test_accuracy", row.test_accuracy},
                    {"test_top5", row.test_top5},
                    {"items_per_second", row.items_per_second},
                    {"seconds", row.seconds}});
  }
  return rows;
}

void PrintResult(const RunResult& result, const Globals& globals) {
  if (globals.json) {
    PrintJson({{"test_accuracy", result.test.accuracy},
               {"test_loss", result.test.loss},
               {"test_top5", result.test.top5},
               {"seconds", result.state.seconds},
               {"steps", result.state.step},
               {"best_step", result.state.best_step},
               {"history", RowsAsJson(result.state.history)}});
    return;
  }
  const double accuracy = result.test.accuracy;  // of a regression there is none
  PrintOut(StrCat("final",
                  std::isnan(accuracy) ? "" : StrCat(" test_accuracy=", Format("%.4f", accuracy)),
                  " test_loss=", Format("%.4f", result.test.loss),
                  " seconds=", Format("%.1f", result.state.seconds), "\n"));
}

/// Sets what follows from others: steps from epochs, the end of the rate policy.
void FillIn(TrainOptions& options, int64_t step_items, int64_t train_size) {
  RunOptions& run = options.run;
  if (run.max_steps == 0) {
    run.max_steps = static_cast<int64_t>(std::floor(
        options.epochs * static_cast<double>(train_size) / static_cast<double>(step_items)));
  }
  if (options.rate.max_iterations == 0) options.rate.max_iterations = run.max_steps;
}

/// Items to a step of the module's train_step: the batch of its first input, iter_size times.
int64_t StepItems(const Module& training, const TrainOptions& options) {
  const auto& inputs = training.FindFunction(kTrainStep)->inputs();
  const int64_t batch = inputs.empty() || inputs[0]->shape().empty() ? 1 : inputs[0]->shape()[0];
  return std::max<int64_t>(batch, 1) * options.step.solver.iter_size;
}

std::vector<std::pair<std::string, std::string>> Configuration(const RunResult& result,
                                                               const DatasetSplit& data,
                                                               const TrainOptions& options) {
  const RunState& state = result.state;
  std::vector<std::pair<std::string, std::string>> rows = {
      {"model", options.model.model},
      {"data", options.data.data},
      {"items to train with", StrCat(data.train.size())},
      {"items to test with", StrCat(data.test.size())},
      {"items to a step", StrCat(state.step_items)},
      {"seed", StrCat(state.seed)},
      {"optimizer", options.step.optimizer},
      {"learning rate", StrCat(options.policy, ", ", FormatDouble(options.rate.base))},
      {"momentum", FormatDouble(options.step.solver.momentum)},
      {"weight decay", FormatDouble(options.step.solver.weight_decay)},
      {"scale", Format("%.6g", options.transform.scale)},
  };
  if (!options.solver_file.empty()) rows.emplace_back("solver", options.solver_file);
  if (options.transform.crop > 0) rows.emplace_back("crop", StrCat(options.transform.crop));
  if (options.transform.pad > 0) rows.emplace_back("pad", StrCat(options.transform.pad));
  if (options.transform.mirror) rows.emplace_back("mirror", "yes");
  return rows;
}

/// The model as ONNX, for any batch where it can be: read back to see that it can.
Status SaveAsOnnx(const Module& model, const std::string& path) {
  OnnxExportOptions open{.open_batch = true};
  StatusOr<onnx::ModelProto> proto = ExportOnnx(model, open);
  KILN_RETURN_IF_ERROR(Annotate(proto.status(), path));
  ImportOptions other;
  constexpr int64_t kOtherBatch = 3;
  other.batch = kOtherBatch;
  open.open_batch = ImportOnnx(*std::move(proto), "", other).ok();
  return SaveOnnx(model, path, open);
}

/// What is left in the run's folder: curves, the report, the trained model.
Status WriteResults(const Module& model, const RunResult& result, const DatasetSplit& data,
                    const TrainOptions& options, const Globals& globals) {
  if (!options.output.empty()) {
    KILN_RETURN_IF_ERROR(options.output.ends_with(".onnx") ? SaveAsOnnx(model, options.output)
                                                           : SaveModule(model, options.output));
  }
  const std::string& folder = options.run.folder;
  if (folder.empty()) return OkStatus();
  KILN_RETURN_IF_ERROR(WriteText(folder + "/curve.svg", HistorySvg(result.state.history)));
  KILN_RETURN_IF_ERROR(WriteText(folder + "/report.html",
                                 ReportHtml({.title = StrCat("Training of ", model.name),
                                             .configuration = Configuration(result, data, options),
                                             .state = &result.state,
                                             .test = &result.test,
                                             .class_names = data.train.class_names})));
  KILN_RETURN_IF_ERROR(SaveModule(model, folder + "/model.kiln"));
  const Status onnx = SaveAsOnnx(model, folder + "/model.onnx");
  // Not everything that can be trained can be said in ONNX.
  if (absl::IsUnimplemented(onnx)) {
    Note(globals, StrCat("no model.onnx: ", Message(onnx)));
    return OkStatus();
  }
  return onnx;
}

/// What can be known beforehand of a file that is written only after the training.
Status CheckOutput(const std::string& path) {
  if (path.empty()) return OkStatus();
  std::error_code error;
  if (fs::is_directory(path, error)) return InvalidInput(path, ": is a directory");
  const fs::path folder = fs::path(path).parent_path();
  if (access(folder.empty() ? "." : folder.c_str(), W_OK | X_OK) == 0) return OkStatus();
  return InvalidInput(path, ": ", std::strerror(errno));
}

Status Train(TrainOptions options, const Globals& globals) {
  KILN_RETURN_IF_ERROR(CheckOutput(options.output));
  KILN_RETURN_IF_ERROR(ApplySolver(options));
  KILN_RETURN_IF_ERROR(ResolveSolver(options.step));
  options.rate.kind = *ParseRateKind(options.policy);
  options.data.split.seed = options.run.seed;
  KILN_ASSIGN_OR_RETURN(CompileOptions compile, ToCompileOptions(options.compile, globals));
  KILN_ASSIGN_OR_RETURN(const DatasetSplit data, LoadData(options.data));
  const std::string path = ModelFile(options.model);
  KILN_ASSIGN_OR_RETURN(const TrainModel loaded, LoadTrainModel(options, data.train, globals));
  const auto& [model, training, test] = loaded;
  if (data.train.pixels && !options.given.contains("--scale")) {
    options.transform.scale = 1.0f / 255;
  }
  FillIn(options, StepItems(*training, options), data.train.size());
  KILN_RETURN_IF_ERROR(Check(options.rate));
  Note(globals, StrCat("compiling for ", compile.target.cpu));
  KILN_ASSIGN_OR_RETURN(const auto executable,
                        InFile(path, CompileForHost(training->Clone(), compile)));
  Introduce(*model, *training, *executable, data, options, globals);
  ThreadPool pool(globals.Threads());
  const TrainerOptions trainer_options{.library = &executable->library(),
                                       .parameters = executable->parameters(),
                                       .executor = pool.executor(),
                                       .rate = options.rate,
                                       .seed = options.run.seed,
                                       .iter_size = options.step.solver.iter_size,
                                       .test = test,
                                       .yes = YesThreshold(*model, options)};
  KILN_ASSIGN_OR_RETURN(
      const auto trainer,
      InFile(path, Trainer::Create(trainer_options, data.train, options.transform)));
  options.run.loader.transform = options.transform;
  Observer observer(*training, compile, trainer_options, data.train, options, globals);
  const StatusOr<RunResult> result = RunTraining(*trainer, data, options.run, observer);
  observer.Done();
  KILN_RETURN_IF_ERROR(result.status());
  if (result->end == RunResult::End::kInterrupted) {
    Note(globals, StrCat("stopped at step ", result->state.step,
                         options.run.folder.empty() ? "" : "; --resume goes on from there"));
    // As whoever sent the signal expects: the process ends by it.
    KILN_RETURN_IF_ERROR(FlushOutput());
    std::signal(result->signal, SIG_DFL);  // a shell's background ignores interrupts
    std::raise(result->signal);
  }
  if (result->end == RunResult::End::kStoppedEarly) {
    Note(globals, StrCat("stopped early: no better test since step ", result->state.best_step));
  }
  StoreParameters(*model, executable->library(), trainer->parameters().data());
  KILN_RETURN_IF_ERROR(WriteResults(*model, *result, data, options, globals));
  PrintResult(*result, globals);
  return OkStatus();
}

template <typename Kinds>
std::vector<std::string> Names(const Kinds& kinds) {
  std::vector<std::string> names;
  for (const auto kind : kinds) names.emplace_back(Name(kind));
  return names;
}

void AddSolverOptions(CLI::App& app, TrainOptions& options) {
  AddStepOptions(app, options.step);
  app.add_option("--lr", options.rate.base, "The learning rate [0.01]")->type_name("X");
  app.add_option("--lr-policy", options.policy, "How the rate changes from step to step [fixed]")
      ->check(CLI::IsMember(Names(std::vector{RateKind::kFixed, RateKind::kStep, RateKind::kExp,
                                              RateKind::kInv, RateKind::kMultistep, RateKind::kPoly,
                                              RateKind::kSigmoid, RateKind::kCosine})));
  app.add_option("--lr-gamma", options.rate.gamma, "The policy's gamma [0.1]");
  app.add_option("--lr-power", options.rate.power, "The policy's power [1]");
  app.add_option("--lr-step", options.rate.step_size, "The policy's step size, in steps");
  app.add_option("--lr-steps", options.rate.step_values, "The steps of multistep")->delimiter(',');
  options.rate.max_iterations = 0;
  app.add_option("--lr-end", options.rate.max_iterations,
                 "The step where poly and cosine end [the run's last]")
      ->check(WholeNumber(1));
  app.add_option("--warmup", options.rate.warmup, "Steps over which the rate grows [0]");
}

void AddRunOptions(CLI::App& app, TrainOptions& options) {
  RunOptions& run = options.run;
  app.add_option("--epochs", options.epochs, "How often all items are seen [10]")
      ->check(Number(0, 1e9));
  app.add_option("--max-steps", run.max_steps, "End after so many updates, whatever the epochs")
      ->check(WholeNumber(1));
  app.add_option("--seed", run.seed, "Of the order of the items, of crops and of dropout [1]");
  app.add_option("--test-every", run.test_interval, "Steps between tests [an epoch]")
      ->check(WholeNumber(1));
  app.add_option("--log-every", run.log_interval, "Steps between lines of metrics.csv [100]")
      ->check(WholeNumber(1));
  CLI::Option* const folder =
      app.add_option("--snapshot-dir", run.folder,
                     "A folder for snapshots, metrics, curves and the trained model")
          ->type_name("DIR");
  app.add_option("--snapshot-every", run.snapshot_interval, "Steps between snapshots [a test]")
      ->check(WholeNumber(1))
      ->needs(folder);
  app.add_option("--keep", run.keep, "How many of the newest snapshots stay [3]")
      ->check(WholeNumber(1))
      ->needs(folder);
  app.add_flag("--resume", run.resume, "Go on from the newest snapshot, where there is one")
      ->needs(folder);
  app.add_flag("--keep-best", run.keep_best, "End with the weights of the best test");
  app.add_option("--early-stop", run.early_stop, "Stop after so many tests without a better one")
      ->check(WholeNumber(1))
      ->type_name("N");
}

void AddDataOptions(CLI::App& app, TrainOptions& options) {
  const std::string kinds =
      "idx:DIR (MNIST's files), cifar10:DIR, npz:FILE, csv:FILE, images:DIR (a folder a class), "
      "lmdb:DIR (Caffe's)";
  app.add_option("--data", options.data.data, "The data set: " + kinds)
      ->required()
      ->type_name("KIND:PATH");
  app.add_option("--test-data", options.data.test, "Another one, to test with")
      ->type_name("KIND:PATH");
  app.add_option("--hold-out", options.data.split.held_out,
                 "The part to test with where there is nothing else; 0: all of it [0.1]")
      ->check(Number(0, 0.99));
  app.add_option("--targets", options.data.split.targets,
                 "Of csv: the last N columns are numbers to be met, not labels")
      ->check(WholeNumber(1))
      ->type_name("N");
  app.add_option("--resize", options.data.resize, "Make pictures squares of this side")
      ->check(WholeNumber(1));
  app.add_flag("--grey", options.data.grey, "Pictures have one channel");
  app.add_option("--mean", options.transform.mean,
                 "Subtracted from the numbers of an item (pixels are 0 to 255): one, or one a "
                 "channel [0]")
      ->delimiter(',');
  app.add_option("--scale", options.transform.scale,
                 "What they are multiplied by then [1/255 for pixels, 1 for other numbers]")
      ->check(FiniteNumber());
  app.add_option("--crop", options.transform.crop,
                 "Take squares of this side, anywhere while training and from the centre in tests")
      ->check(WholeNumber(1));
  app.add_option(
         "--pad", options.transform.pad,
         "Zeros on each side of an image before it is cropped; without --crop it only moves "
         "about by so many pixels while training")
      ->check(WholeNumber(1, 1 << 16));
  app.add_flag("--mirror", options.transform.mirror, "Mirror every other image while training");
  app.add_flag("!--no-shuffle", options.run.loader.shuffle, "Take the items as they come");
  app.add_option("--prefetch", options.run.loader.ahead, "Batches to prepare ahead [8]")
      ->check(WholeNumber(0, 1000));
}

}  // namespace

void AddTrainCommand(CLI::App& app, const Globals& globals, Action& action) {
  const auto options = std::make_shared<TrainOptions>();
  CLI::App* const command =
      app.add_subcommand("train",
                         "Train a model on a data set. The last line on stdout is\n"
                         "`final test_accuracy=... test_loss=... seconds=...`; a regression has no "
                         "accuracy.");
  AddModelOptions(*command, options->model);
  AddDataOptions(*command, *options);
  command
      ->add_option("--solver", options->solver_file,
                   "Train as this solver.prototxt of Caffe says, but for what other options say")
      ->type_name("FILE");
  AddRunOptions(*command, *options);
  command->add_option("-o,--output", options->output, "Write the trained model")->type_name("FILE");
  AddSolverOptions(*command, *options);
  AddCompileFlags(*command, options->compile);
  AddMemoryFlag(*command, options->compile);
  command->callback([options, command, &globals, &action] {
    for (const CLI::Option* option : command->get_options()) {
      if (option->count() > 0) options->given.insert(option->get_name());
    }
    action = [=, &globals] { return Train(*options, globals); };
  });
}

}  // namespace kiln
