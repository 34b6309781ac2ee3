// `kiln bench`: how long a model's function takes, and where.
#include <algorithm>
#include <chrono>
#include <string_view>

#include "runtime/limits.h"
#include "runtime/measure.h"
#include "runtime/threads/thread_pool.h"
#include "tools/inputs.h"
#include "tools/numbers.h"
#include "tools/profile.h"
#include "tools/runner.h"
#include "tools/training_functions.h"

namespace kiln {

namespace {

using Clock = std::chrono::steady_clock;

struct BenchOptions {
  ModelOptions model;
  CompileFlags compile;
  InputOptions input;
  std::string function = "forward";
  bool train = false;  ///< a step of training instead
  double seconds = 2;
  int64_t runs = 0;  ///< 0: as many as take `seconds`
  bool profile = false;
};

/// A learning rate that is not given is 0: steps of random size would let the weights explode.
void KeepWeights(const InputOptions& options, const kiln_function_info& function,
                 std::vector<HostTensor>& inputs) {
  constexpr std::string_view kRate = "learning_rate";
  const bool given = std::ranges::any_of(options.inputs, [&](const std::string& text) {
    return text.starts_with(StrCat(kRate, "="));
  });
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!given && function.inputs[i].name == kRate) std::ranges::fill(inputs[i].bytes, 0);
  }
}

StatusOr<BoundSession> NewBoundSession(const CompiledFunction& function,
                                       const BenchOptions& options, const kiln_executor* executor) {
  KILN_ASSIGN_OR_RETURN(std::vector<HostTensor> inputs,
                        LoadInputs(ModelFile(options.model), options.input,
                                   InputsOf(*function.info), MissingInputs::kRandom));
  if (options.train) KeepWeights(options.input, *function.info, inputs);
  KILN_ASSIGN_OR_RETURN(Session session,
                        InFile(ModelFile(options.model), function.NewSession(executor)));
  return BoundSession(std::move(session), std::move(inputs));
}

double TotalFlops(const kiln_function_info& function) {
  double flops = 0;
  for (int32_t i = 0; i < function.num_steps; ++i) flops += function.steps[i].flops;
  return flops;
}

/// Runs for `seconds` under the profiler, at least 5 times.
StatusOr<Json> Profile(BoundSession& session, const CompiledFunction& function, ThreadPool& pool,
                       const MachineLimits& limits, double seconds) {
  ProfilingExecutor profile(pool.executor());
  session.set_executor(profile.executor());
  const Clock::time_point start = Clock::now();
  do {
    profile.StartRun();
    KILN_RETURN_IF_ERROR(session.Run());
  } while (profile.runs().size() < 5 || MillisecondsSince(start) < seconds * 1e3);
  return ProfileRows(*function.info, profile, limits);
}

void PrintResult(const Json& result) {
  PrintOut(StrCat("latency      ", Format("%.4f ms median", result["median_ms"]),
                  Format(", %.4f p10", result["p10_ms"]), Format(", %.4f p90", result["p90_ms"]),
                  " (", int64_t{result["runs"]}, " runs, ", int{result["threads"]}, " threads)\n"));
  PrintOut(StrCat("rate         ", Format("%.1f GFLOP/s", result["gflops"]),
                  Format(", %.0f%% of the FMA peak",
                         100 * double{result["gflops"]} / double{result["peak_gflops"]}),
                  Format(" (%.3f GFLOP a run)\n", result["gflop"])));
  PrintOut(StrCat(Format("compilation  %.0f ms", result["compile_ms"]),
                  Format(" (%.0f ms with reading the model)\n", result["load_ms"])));
  PrintOut(StrCat("memory       arena ", FormatBytes(result["arena_bytes"]), ", parameters ",
                  FormatBytes(result["parameter_bytes"]), ", process peak ",
                  FormatBytes(result["peak_memory_bytes"]), "\n"));
}

/// Compiles the model, or loads it when it is a library; sets `compile_ms`.
StatusOr<CompiledFunction> Prepare(const BenchOptions& options, const Globals& globals,
                                   double& compile_ms) {
  const std::string path = ModelFile(options.model);
  if (IsLibrary(options.model)) {
    const Clock::time_point start = Clock::now();
    auto function = InFile(path, LoadFunction(path, options.function, options.compile.max_memory));
    compile_ms = MillisecondsSince(start);
    return function;
  }
  KILN_ASSIGN_OR_RETURN(auto module, options.train
                                         ? LoadForFunction(options.model, kTrainStep, globals)
                                         : LoadModel(options.model, globals));
  KILN_ASSIGN_OR_RETURN(const CompileOptions compile, ToCompileOptions(options.compile, globals));
  KILN_ASSIGN_OR_RETURN(const Graph* const graph,
                        InFile(path, FindFunction(*module, options.function)));
  KILN_RETURN_IF_ERROR(InFile(path, CheckMemory(InputsOf(*graph), OutputsOf(*graph))));
  Note(globals, "compiling");
  const Clock::time_point start = Clock::now();
  CompileTimes times;
  auto function =
      InFile(path, CompileFunction(std::move(module), options.function, compile, &times));
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
  const Clock::time_point start = Clock::now();
  KILN_ASSIGN_OR_RETURN(const CompiledFunction function, Prepare(options, globals, compile_ms));
  const double load_ms = MillisecondsSince(start);
  ThreadPool pool(globals.Threads());
  KILN_ASSIGN_OR_RETURN(BoundSession session, NewBoundSession(function, options, pool.executor()));
  Note(globals, "measuring, in " + function.memory().ToString());
  KILN_RETURN_IF_ERROR(Measure(session, options.seconds / 4, 1).status());  // warms up
  KILN_ASSIGN_OR_RETURN(const Measurement measured,
                        Measure(session, options.seconds, 10, options.runs));
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
                 {"waited_ms", measured.waited},
                 {"compile_ms", compile_ms},
                 {"load_ms", load_ms},
                 {"arena_bytes", function.info->workspace_bytes},
                 {"parameter_bytes", function.library->parameters_bytes},
                 {"peak_memory_bytes", PeakMemoryBytes()}};
  MachineLimits limits{.gflops = MeasureFmaPeak(pool)};
  result["peak_gflops"] = limits.gflops;
  if (options.profile) {
    limits.gbps = MeasureReadBandwidth(pool);
    result["read_gbps"] = limits.gbps;
    KILN_ASSIGN_OR_RETURN(result["profile"],
                          Profile(session, function, pool, limits, options.seconds / 2));
  }
  if (globals.json) {
    PrintJson(result);
    return OkStatus();
  }
  PrintResult(result);
  if (options.profile) PrintProfile(result["profile"], limits, measured.Quantile(0.5));
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
  CLI::Option* const function =
      command->add_option("--function", options->function, "The function to run [forward]")
          ->type_name("NAME");
  command
      ->add_flag_callback(
          "--train",
          [raw = options.get()] {
            raw->train = true;
            raw->function = kTrainStep;
          },
          "Measure a step of training: forward, backward and SGD with momentum; the loss is the "
          "model's own, softmax-cross-entropy if it has none")
      ->excludes(function);
  command->add_option("--seconds", options->seconds, "How long to measure [2]")
      ->check(Number(0, 3600))
      ->type_name("S");
  command->add_option("--runs", options->runs, "How often to run, instead of --seconds")
      ->check(WholeNumber(1))
      ->type_name("N");
  command->add_flag("--profile", options->profile,
                    "Time of each kernel, with the model's nodes that it computes");
  AddCompileFlags(*command, options->compile);
  AddTargetFlags(*command, options->compile);
  AddMemoryFlag(*command, options->compile);
  command->callback([options, &globals, &action] {
    action = [=, &globals] { return Bench(*options, globals); };
  });
}

}  // namespace kiln
