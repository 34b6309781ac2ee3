// `kiln check`: runs models with the inputs that they ship with and compares the outputs.
#include "compiler/check/check.h"

#include <stdlib.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "compiler/aot/library.h"
#include "tools/model.h"
#include "tools/numbers.h"
#include "tools/runner.h"

namespace kiln {

namespace {

struct CheckOptions {
  std::vector<std::string> paths;
  Tolerance tolerance;
  CompileFlags compile;
  bool reference = false;
  bool library = false;
};

/// A folder that lives as long as this object.
class TemporaryFolder {
 public:
  static StatusOr<std::unique_ptr<TemporaryFolder>> Create() {
    std::error_code error;
    std::string path = (std::filesystem::temp_directory_path(error) / "kiln-XXXXXX").string();
    if (error || mkdtemp(path.data()) == nullptr) {
      return InvalidInput(path, ": a temporary folder cannot be made");
    }
    return std::unique_ptr<TemporaryFolder>(new TemporaryFolder(path));
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  explicit TemporaryFolder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

StatusOr<std::vector<Tensor>> RunFunction(const CompiledFunction& function,
                                          const std::vector<Tensor>& inputs) {
  KILN_ASSIGN_OR_RETURN(Session session, function.NewSession(nullptr));
  std::vector<HostTensor> arguments;
  for (const Tensor& input : inputs) arguments.push_back(ToHostTensor(input));
  KILN_ASSIGN_OR_RETURN(const std::vector<HostTensor> results, session.Run(arguments));
  std::vector<Tensor> outputs;
  for (const HostTensor& result : results) outputs.push_back(ToTensor(result));
  return outputs;
}

StatusOr<std::vector<Tensor>> ExecuteJit(std::unique_ptr<Module> module,
                                         const std::vector<Tensor>& inputs,
                                         const CompileOptions& options) {
  KILN_ASSIGN_OR_RETURN(const CompiledFunction function,
                        CompileFunction(std::move(module), "forward", options));
  return RunFunction(function, inputs);
}

/// By way of a shared library on disk, as another program would load it.
StatusOr<std::vector<Tensor>> ExecuteLibrary(std::unique_ptr<Module> module,
                                             const std::vector<Tensor>& inputs,
                                             const CompileOptions& options) {
  KILN_ASSIGN_OR_RETURN(Program program, CompileToProgram(std::move(module), options));
  const ObjectCache cache(options.cache_directory);
  const ObjectOptions object{.target = options.target,
                             .threads = options.threads,
                             .cache = options.cache_directory.empty() ? nullptr : &cache};
  KILN_ASSIGN_OR_RETURN(const auto folder, TemporaryFolder::Create());
  const std::string path = folder->path() + "/libcase.so";
  KILN_RETURN_IF_ERROR(EmitLibrary(program, object, "libcase.so", path));
  KILN_ASSIGN_OR_RETURN(const CompiledFunction function, LoadFunction(path, "forward"));
  return RunFunction(function, inputs);
}

StatusOr<Executor> ChooseExecutor(const CheckOptions& options, const Globals& globals) {
  if (options.reference) return Executor(ExecuteReference);
  KILN_ASSIGN_OR_RETURN(CompileOptions compile, ToCompileOptions(options.compile, globals));
  compile.threads = 1;  // the cases themselves run side by side
  const auto execute = options.library ? ExecuteLibrary : ExecuteJit;
  return Executor([=](std::unique_ptr<Module> module, const std::vector<Tensor>& inputs) {
    return execute(std::move(module), inputs, compile);
  });
}

/// Runs the cases on several threads and hands out their results in order.
class CaseRunner {
 public:
  CaseRunner(const std::vector<CheckCase>& cases, const Executor& executor,
             const Tolerance& tolerance, int threads)
      : cases_(cases), executor_(executor), tolerance_(tolerance), results_(cases.size()) {
    const size_t count = std::min(static_cast<size_t>(threads), cases.size());
    for (size_t i = 0; i < count; ++i) {
      workers_.emplace_back([this] { Work(); });
    }
  }
  ~CaseRunner() {
    for (std::thread& worker : workers_) worker.join();
  }

  /// Waits until case `i` has run.
  CheckResult Wait(size_t i) {
    std::unique_lock lock(mutex_);
    finished_.wait(lock, [&] { return results_[i].has_value(); });
    return *results_[i];
  }

 private:
  void Work() {
    for (size_t i = next_++; i < cases_.size(); i = next_++) {
      CheckResult result = RunCase(cases_[i], executor_, tolerance_);
      const std::lock_guard lock(mutex_);
      results_[i] = std::move(result);
      finished_.notify_all();
    }
  }

  const std::vector<CheckCase>& cases_;
  const Executor& executor_;
  const Tolerance& tolerance_;
  std::atomic<size_t> next_{0};
  std::mutex mutex_;
  std::condition_variable finished_;
  std::vector<std::optional<CheckResult>> results_;  // guarded by mutex_
  std::vector<std::thread> workers_;
};

StatusOr<std::vector<CheckCase>> FindAllCases(const std::vector<std::string>& paths) {
  std::vector<CheckCase> cases;
  for (const std::string& path : paths) {
    KILN_ASSIGN_OR_RETURN(std::vector<CheckCase> found, InFile(path, FindCases(path)));
    std::ranges::move(found, std::back_inserter(cases));
  }
  return cases;
}

const char* VerdictName(CheckResult::Verdict verdict) {
  switch (verdict) {
    case CheckResult::Verdict::kPass: return "pass";
    case CheckResult::Verdict::kFail: return "fail";
    default: return "skip";
  }
}

Status Check(const CheckOptions& options, const Globals& globals) {
  KILN_ASSIGN_OR_RETURN(const std::vector<CheckCase> cases, FindAllCases(options.paths));
  KILN_ASSIGN_OR_RETURN(const Executor executor, ChooseExecutor(options, globals));
  CaseRunner runner(cases, executor, options.tolerance, globals.Threads());
  Progress progress(globals, "checking", static_cast<int64_t>(cases.size()));
  std::map<CheckResult::Verdict, int64_t> counts;
  Json list = Json::array();
  for (size_t i = 0; i < cases.size(); ++i) {
    const CheckResult result = runner.Wait(i);
    ++counts[result.verdict];
    if (globals.json) {
      list.push_back({{"name", cases[i].name},
                      {"verdict", VerdictName(result.verdict)},
                      {"reason", result.reason}});
    } else {
      progress.Hide();
      PrintOut(ResultLine(cases[i].name, result) + "\n");
    }
    progress.Advance();
  }
  progress.Hide();
  const int64_t passed = counts[CheckResult::Verdict::kPass];
  const int64_t failed = counts[CheckResult::Verdict::kFail];
  const int64_t skipped = counts[CheckResult::Verdict::kSkip];
  if (globals.json) {
    PrintJson({{"cases", list}, {"passed", passed}, {"failed", failed}, {"skipped", skipped}});
  } else {
    PrintOut(StrCat(passed, " passed, ", failed, " failed, ", skipped, " skipped\n"));
  }
  if (failed == 0) return OkStatus();
  return InvalidInput(failed, " of ", cases.size(), " cases failed");
}

}  // namespace

void AddCheckCommand(CLI::App& app, const Globals& globals, Action& action) {
  const auto options = std::make_shared<CheckOptions>();
  CLI::App* const command = app.add_subcommand(
      "check",
      "Run models with the inputs that they ship with and compare the outputs. A PATH holds\n"
      "model.onnx and test_data_set_*/{input,output}_*.pb, or is a folder of such. Prints\n"
      "`PASS name`, `FAIL name: reason` or `SKIP name: unsupported (reason)` for each case.");
  command->add_option("PATH", options->paths, "Folders of cases")->required();
  command->add_option("--rtol", options->tolerance.rtol, "Relative tolerance [1e-3]")
      ->check(Number(0, 1e30));
  command->add_option("--atol", options->tolerance.atol, "Absolute tolerance [1e-5]")
      ->check(Number(0, 1e30));
  CLI::Option* const reference = command->add_flag(
      "--reference", options->reference, "Run the reference interpreter instead of compiled code");
  command
      ->add_flag("--library", options->library,
                 "Compile each model to a shared library and load that")
      ->excludes(reference);
  AddCompileFlags(*command, options->compile);
  command->callback([options, &globals, &action] {
    action = [=, &globals] { return Check(*options, globals); };
  });
}

}  // namespace kiln
