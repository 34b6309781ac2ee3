// `kiln run`: compiles a model just in time, or loads a library, and runs it once.
#include "runtime/threads/thread_pool.h"
#include "tools/inputs.h"
#include "tools/model.h"
#include "tools/outputs.h"
#include "tools/runner.h"

namespace kiln {

namespace {

struct RunOptions {
  ModelOptions model;
  CompileFlags compile;
  InputOptions input;
  std::string function = "forward";
  OutputOptions output;
  bool reference = false;
};

struct Result {
  std::vector<TensorSignature> signature;
  std::vector<HostTensor> tensors;
};

StatusOr<Result> RunCompiled(const CompiledFunction& function, std::span<const HostTensor> inputs,
                             const Globals& globals) {
  Note(globals, "running in " + function.memory().ToString());
  ThreadPool pool(globals.Threads());
  KILN_ASSIGN_OR_RETURN(Session session, function.NewSession(pool.executor()));
  Result result{OutputsOf(*function.info), {}};
  KILN_ASSIGN_OR_RETURN(result.tensors, session.Run(inputs));
  return result;
}

StatusOr<Result> RunLibrary(const std::string& path, const RunOptions& options,
                            const Globals& globals) {
  if (options.reference) return InvalidInput(path, ": a library cannot be interpreted");
  KILN_ASSIGN_OR_RETURN(
      const CompiledFunction function,
      InFile(path, LoadFunction(path, options.function, options.compile.max_memory)));
  KILN_ASSIGN_OR_RETURN(
      const std::vector<HostTensor> inputs,
      LoadInputs(path, options.input, InputsOf(*function.info), MissingInputs::kError));
  return InFile(path, RunCompiled(function, inputs, globals));
}

StatusOr<Result> RunModule(const std::string& path, std::unique_ptr<Module> module,
                           const RunOptions& options, const Globals& globals) {
  KILN_ASSIGN_OR_RETURN(const Graph* const graph,
                        InFile(path, FindFunction(*module, options.function)));
  // The inputs are checked before the compiler starts.
  KILN_RETURN_IF_ERROR(InFile(path, CheckMemory(InputsOf(*graph), OutputsOf(*graph))));
  KILN_ASSIGN_OR_RETURN(const std::vector<HostTensor> inputs,
                        LoadInputs(path, options.input, InputsOf(*graph), MissingInputs::kError));
  if (options.reference) {
    Note(globals, "interpreting");
    Result result{OutputsOf(*graph), {}};
    KILN_ASSIGN_OR_RETURN(result.tensors, InFile(path, InterpretFunction(*graph, inputs)));
    return result;
  }
  Note(globals, "compiling");
  KILN_ASSIGN_OR_RETURN(const CompileOptions compile, ToCompileOptions(options.compile, globals));
  KILN_ASSIGN_OR_RETURN(
      const CompiledFunction function,
      InFile(path, CompileFunction(std::move(module), options.function, compile)));
  return InFile(path, RunCompiled(function, inputs, globals));
}

StatusOr<Result> RunModel(const RunOptions& options, const Globals& globals) {
  const std::string path = ModelFile(options.model);
  if (IsLibrary(options.model)) return RunLibrary(path, options, globals);
  KILN_ASSIGN_OR_RETURN(auto module, LoadModel(options.model, globals));
  return RunModule(path, std::move(module), options, globals);
}

Status Run(const RunOptions& options, const Globals& globals) {
  KILN_ASSIGN_OR_RETURN(OutputWriter writer, OutputWriter::Create(options.output));
  KILN_ASSIGN_OR_RETURN(const Result result, RunModel(options, globals));
  Json outputs = Json::array();
  for (size_t i = 0; i < result.tensors.size(); ++i) {
    KILN_ASSIGN_OR_RETURN(Json output, writer.Write(result.signature[i].name, result.tensors[i]));
    if (!globals.json) PrintOutput(output);
    outputs.push_back(std::move(output));
  }
  if (globals.json) PrintJson({{"model", options.model.model}, {"outputs", std::move(outputs)}});
  return OkStatus();
}

}  // namespace

void AddRunCommand(CLI::App& app, const Globals& globals, Action& action) {
  const auto options = std::make_shared<RunOptions>();
  CLI::App* const command = app.add_subcommand(
      "run",
      "Run a model, compiled just in time, or a library that `kiln compile` has made.\n"
      "Writes each output as NAME.npy and prints its shape and range.");
  AddModelOptions(*command, options->model);
  AddInputOptions(*command, options->input);
  AddOutputOptions(*command, options->output);
  command->add_option("--function", options->function, "The function to run [forward]")
      ->type_name("NAME");
  command->add_flag("--reference", options->reference,
                    "Run the reference interpreter instead of compiled code");
  AddCompileFlags(*command, options->compile);
  AddMemoryFlag(*command, options->compile);
  command->callback(
      [options, &globals, &action] { action = [=, &globals] { return Run(*options, globals); }; });
}

}  // namespace kiln
