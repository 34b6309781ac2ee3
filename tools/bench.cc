// `kiln bench`: how long a model's function takes, and where.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <ctime>

#include "runtime/profile.h"
#include "runtime/threads/thread_pool.h"
#include "tools/inputs.h"
#include "tools/model.h"
#include "tools/runner.h"

namespace kiln {

namespace {

using Clock = std::chrono::steady_clock;

struct BenchOptions {
  ModelOptions model;
  CompileFlags compile;
  InputOptions input;
  std::string function = "forward";
  double seconds = 2;
  int64_t runs = 0;  ///< 0: as many as take `seconds`
  bool profile = false;
};

/// A session with inputs and outputs of its own.
class Subject {
 public:
  static StatusOr<Subject> Create(const CompiledFunction& function, const BenchOptions& options,
                                  const kiln_executor* executor) {
    KILN_ASSIGN_OR_RETURN(std::vector<HostTensor> inputs,
                          LoadInputs(ModelFile(options.model), options.input,
                                     InputsOf(*function.info), MissingInputs::kRandom));
    KILN_ASSIGN_OR_RETURN(Session session, function.NewSession(executor));
    Subject subject(std::move(session), std::move(inputs));
    for (int32_t i = 0; i < function.info->num_outputs; ++i) {
      subject.outputs_.emplace_back(function.info->outputs[i].bytes);
    }
    for (HostTensor& input : subject.inputs_) {
      subject.input_pointers_.push_back(input.bytes.data());
    }
    for (auto& output : subject.outputs_) subject.output_pointers_.push_back(output.data());
    return subject;
  }

  Status Run() { return session_.RunUnchecked(input_pointers_.data(), output_pointers_.data()); }
  void set_executor(const kiln_executor* executor) { session_.set_executor(executor); }

 private:
  Subject(Session session, std::vector<HostTensor> inputs)
      : session_(std::move(session)), inputs_(std::move(inputs)) {}

  Session session_;
  std::vector<HostTensor> inputs_;
  std::vector<std::vector<char>> outputs_;  // of operator new, so aligned to any element
  std::vector<const void*> input_pointers_;
  std::vector<void*> output_pointers_;
};

/// Milliseconds.
struct Measurement {
  std::vector<double> times;  ///< of each run, ascending
  double wall = 0;            ///< of all runs together
  double cpu = 0;             ///< likewise, over all threads of the process

  double Quantile(double q) const {
    return times[static_cast<size_t>(q * static_cast<double>(times.size() - 1) + 0.5)];
  }
};

double CpuMilliseconds() {
  timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) * 1e-6;
}

/// Runs for `seconds`, at least `min_runs` times; or exactly `runs` times if that is not 0.
StatusOr<Measurement> Repeat(Subject& subject, double seconds, size_t min_runs, int64_t runs) {
  Measurement measured;
  const double cpu = CpuMilliseconds();
  const Clock::time_point start = Clock::now();
  const auto done = [&] {
    if (runs > 0) return measured.times.size() >= static_cast<size_t>(runs);
    return measured.times.size() >= min_runs && MillisecondsSince(start) >= seconds * 1e3;
  };
  while (!done()) {
    const Clock::time_point run = Clock::now();
    KILN_RETURN_IF_ERROR(subject.Run());
    measured.times.push_back(MillisecondsSince(run));
  }
  measured.wall = MillisecondsSince(start);
  measured.cpu = CpuMilliseconds() - cpu;
  std::ranges::sort(measured.times);
  return measured;
}

double TotalFlops(const kiln_function_info& function) {
  double flops = 0;
  for (int32_t i = 0; i < function.num_steps; ++i) flops += function.steps[i].flops;
  return flops;
}

/// The largest resident set that this process has had.
int64_t PeakMemoryBytes() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return int64_t{usage.ru_maxrss} * 1024;
}

/// Steps by falling time: {kernel, nodes, ms, share, gflops, gbps}.
StatusOr<Json> Profile(Subject& subject, const CompiledFunction& function, ThreadPool& pool,
                       double seconds) {
  ProfilingExecutor profile(pool.executor());
  subject.set_executor(profile.executor());
  const Clock::time_point start = Clock::now();
  do {
    profile.StartRun();
    KILN_RETURN_IF_ERROR(subject.Run());
  } while (profile.runs().size() < 5 || MillisecondsSince(start) < seconds * 1e3);
  std::vector<StepTime> steps = StepTimes(*function.info, profile);
  std::ranges::stable_sort(steps, std::greater(), &StepTime::ns);
  double total = 1e-9;
  for (const StepTime& step : steps) total += static_cast<double>(step.ns);
  Json rows = Json::array();
  for (const StepTime& step : steps) {
    const double ns = static_cast<double>(std::max<int64_t>(step.ns, 1));
    rows.push_back({{"kernel", step.kernel},
                    {"nodes", step.sources},
                    {"ms", static_cast<double>(step.ns) * 1e-6},
                    {"share", static_cast<double>(step.ns) / total},
                    {"gflops", step.flops / ns},
                    {"gbps", step.bytes / ns}});
  }
  return rows;
}

void PrintProfile(const Json& rows) {
  size_t width = 6;
  for (const Json& row : rows) width = std::max(width, std::string(row["kernel"]).size());
  const int columns = static_cast<int>(std::min<size_t>(width, 40)) + 2;
  PrintOut(StrCat("\n      ms   share  GFLOP/s     GB/s  ", Pad("kernel", columns), "nodes\n"));
  for (const Json& row : rows) {
    PrintOut(StrCat(Format("%8.3f", row["ms"]), Format(" %6.1f%%", 100 * double{row["share"]}),
                    Format(" %8.1f", row["gflops"]), Format(" %8.1f  ", row["gbps"]),
                    Pad(std::string(row["kernel"]), columns), std::string(row["nodes"]), "\n"));
  }
}

void PrintResult(const Json& result) {
  PrintOut(StrCat("latency      ", Format("%.4f ms median", result["median_ms"]),
                  Format(", %.4f p10", result["p10_ms"]), Format(", %.4f p90", result["p90_ms"]),
                  " (", int64_t{result["runs"]}, " runs, ", int{result["threads"]}, " threads)\n"));
  PrintOut(StrCat("rate         ", Format("%.1f GFLOP/s", result["gflops"]),
                  Format(" (%.3f GFLOP a run)\n", result["gflop"])));
  PrintOut(Format("compilation  %.0f ms\n", result["compile_ms"]));
  PrintOut(StrCat("memory       arena ", FormatBytes(result["arena_bytes"]), ", parameters ",
                  FormatBytes(result["parameter_bytes"]), ", process peak ",
                  FormatBytes(result["peak_memory_bytes"]), "\n"));
  if (result.contains("profile")) PrintProfile(result["profile"]);
}

/// Compiles the model, or loads it when it is a library; sets `compile_ms`.
StatusOr<CompiledFunction> Prepare(const BenchOptions& options, const Globals& globals,
                                   double& compile_ms) {
  const std::string path = ModelFile(options.model);
  if (IsLibrary(options.model)) {
    const Clock::time_point start = Clock::now();
    auto function = InFile(path, LoadFunction(path, options.function));
    compile_ms = MillisecondsSince(start);
    return function;
  }
  KILN_ASSIGN_OR_RETURN(const auto module, LoadModel(options.model, globals));
  KILN_ASSIGN_OR_RETURN(const CompileOptions compile, ToCompileOptions(options.compile, globals));
  KILN_ASSIGN_OR_RETURN(const Graph* const graph,
                        InFile(path, FindFunction(*module, options.function)));
  KILN_RETURN_IF_ERROR(InFile(path, CheckMemory(InputsOf(*graph), OutputsOf(*graph))));
  Note(globals, "compiling");
  const Clock::time_point start = Clock::now();
  CompileTimes times;
  auto function = InFile(path, CompileFunction(*module, options.function, compile, &times));
  compile_ms = MillisecondsSince(start);
  if (globals.verbose) {
    Note(globals,
         StrCat(Format("passes %.1f ms", times.passes), Format(", lowering %.1f ms", times.lower),
                Format(", code generation %.1f ms", times.codegen)));
  }
  return function;
}

Status Bench(const BenchOptions& options, const Globals& globals) {
  double compile_ms = 0;
  KILN_ASSIGN_OR_RETURN(const CompiledFunction function, Prepare(options, globals, compile_ms));
  ThreadPool pool(globals.Threads());
  KILN_ASSIGN_OR_RETURN(Subject subject, Subject::Create(function, options, pool.executor()));
  Note(globals, "measuring");
  KILN_RETURN_IF_ERROR(Repeat(subject, options.seconds / 4, 1, 0).status());  // warms up
  KILN_ASSIGN_OR_RETURN(const Measurement measured,
                        Repeat(subject, options.seconds, 10, options.runs));
  const double flops = TotalFlops(*function.info);
  Json result = {{"model", options.model.model},
                 {"function", function.info->name},
                 {"threads", pool.threads()},
                 {"runs", measured.times.size()},
                 {"median_ms", measured.Quantile(0.5)},
                 {"p10_ms", measured.Quantile(0.1)},
                 {"p90_ms", measured.Quantile(0.9)},
                 {"gflop", flops * 1e-9},
                 {"gflops", flops * 1e-6 / measured.Quantile(0.5)},
                 {"wall_ms", measured.wall},
                 {"cpu_ms", measured.cpu},
                 {"compile_ms", compile_ms},
                 {"arena_bytes", function.info->workspace_bytes},
                 {"parameter_bytes", function.library->parameters_bytes},
                 {"peak_memory_bytes", PeakMemoryBytes()}};
  if (options.profile) {
    KILN_ASSIGN_OR_RETURN(result["profile"], Profile(subject, function, pool, options.seconds / 2));
  }
  if (globals.json) {
    PrintJson(result);
  } else {
    PrintResult(result);
  }
  return OkStatus();
}

}  // namespace

void AddBenchCommand(CLI::App& app, const Globals& globals, Action& action) {
  const auto options = std::make_shared<BenchOptions>();
  CLI::App* const command = app.add_subcommand(
      "bench",
      "Measure a model: latency, rate, compile time, memory. Inputs that are not given\n"
      "are random. The process peak includes what the compiler used.");
  AddModelOptions(*command, options->model);
  AddInputOptions(*command, options->input);
  command->add_option("--function", options->function, "The function to run [forward]")
      ->type_name("NAME");
  command->add_option("--seconds", options->seconds, "How long to measure [2]")
      ->check(CLI::Range(0.0, 3600.0))
      ->type_name("S");
  command->add_option("--runs", options->runs, "How often to run, instead of --seconds")
      ->check(CLI::PositiveNumber)
      ->type_name("N");
  command->add_flag("--profile", options->profile,
                    "Time of each kernel, with the model's nodes that it computes");
  AddCompileFlags(*command, options->compile);
  command->callback([options, &globals, &action] {
    action = [=, &globals] { return Bench(*options, globals); };
  });
}

}  // namespace kiln
