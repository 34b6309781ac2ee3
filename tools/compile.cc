// `kiln compile`: a model to a shared library, an object file or text.
#include <algorithm>
#include <filesystem>

#include "compiler/aot/library.h"
#include "tools/model.h"
#include "tools/training_functions.h"

namespace kiln {

namespace {

struct CompileCommandOptions {
  ModelOptions model;
  CompileFlags compile;
  std::string output;
  std::string emit = "lib";
  std::string header;
  std::vector<std::string> functions;
  StepOptions step;
};

/// "resnet50" for "out/libresnet50.so".
std::string LibraryPrefix(const std::string& path) {
  std::string name = std::filesystem::path(path).stem().string();
  if (name.starts_with("lib") && name.size() > 3) name = name.substr(3);
  return CIdentifier(name);
}

/// Where the header goes: beside the library, unless that is a device.
std::string HeaderPath(const CompileCommandOptions& options) {
  if (!options.header.empty()) return options.header;
  std::error_code error;
  const auto status = std::filesystem::status(options.output, error);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) return "";
  return std::filesystem::path(options.output).replace_extension(".h").string();
}

Status Emit(Program& program, const CompileCommandOptions& options, const CompileOptions& compile) {
  if (options.emit == "llvm" || options.emit == "asm") {
    const CodeForm form = options.emit == "llvm" ? CodeForm::kLlvmIr : CodeForm::kAssembly;
    KILN_ASSIGN_OR_RETURN(const std::string text, EmitText(program, compile.target, form));
    return WriteText(options.output, text);
  }
  const ObjectCache cache(compile.cache_directory);
  const ObjectOptions object{.target = compile.target,
                             .threads = compile.threads,
                             .cache = compile.cache_directory.empty() ? nullptr : &cache};
  if (options.emit == "obj") return EmitObject(program, object, options.output);
  return EmitLibrary(program, object, std::filesystem::path(options.output).filename().string(),
                     options.output);
}

/// What was written, for people or for machines.
void Report(const Program& program, const std::string& header, const CompileCommandOptions& options,
            const Globals& globals) {
  Json functions = Json::array();
  for (const FunctionProgram& function : program.functions) {
    functions.push_back({{"name", function.name},
                         {"arena_bytes", function.workspace_bytes},
                         {"steps", function.steps.size()}});
  }
  if (globals.json) {
    PrintJson({{"file", options.output},
               {"header", header},
               {"kernels", program.kernels.size()},
               {"parameter_bytes", program.parameters_bytes},
               {"functions", std::move(functions)}});
    return;
  }
  Note(globals,
       StrCat("wrote ", options.output, header.empty() ? "" : " and " + header, ": ",
              program.kernels.size(), " kernels, ",
              FormatBytes(static_cast<double>(program.parameters_bytes)), " of parameters"));
}

Status Compile(const CompileCommandOptions& options, const Globals& globals) {
  KILN_ASSIGN_OR_RETURN(const CompileOptions compile, ToCompileOptions(options.compile, globals));
  StepOptions step = options.step;
  KILN_RETURN_IF_ERROR(ResolveSolver(step));
  KILN_ASSIGN_OR_RETURN(auto module, LoadModel(options.model, globals));
  const std::string path = ModelFile(options.model);
  KILN_RETURN_IF_ERROR(InFile(path, AddTrainingFunctions(*module, options.functions, step)));
  KILN_RETURN_IF_ERROR(InFile(path, SelectFunctions(*module, options.functions)));
  if (module->functions().empty()) return InvalidInput(path, ": there is no function to compile");
  if (options.emit == "ir") {
    KILN_RETURN_IF_ERROR(InFile(path, Optimize(*module, compile)));
    return SaveModule(*module, options.output);
  }
  const bool native = options.emit == "lib" || options.emit == "obj";
  const std::string header = native ? HeaderPath(options) : options.header;
  if (header == options.output) {
    return InvalidInput(header, ": the header would overwrite the code; name one with --header");
  }
  for (const std::string& file : {options.output, header}) {
    if (IsModelFile(options.model, file)) {
      return InvalidInput(file, ": would overwrite the model; -o and --header name other files");
    }
  }
  Note(globals, StrCat("compiling for ", compile.target.cpu));
  KILN_ASSIGN_OR_RETURN(Program program,
                        InFile(path, CompileToProgram(std::move(module), compile)));
  const auto emit = [&] {
    const Status status = Emit(program, options, compile);
    return Message(status).starts_with(options.output + ":") ? status : InFile(path, status);
  };
  // Both files or neither.
  KILN_RETURN_IF_ERROR(
      header.empty() ? emit()
                     : WriteText(header, EmitHeader(program, LibraryPrefix(options.output)), emit));
  Report(program, header, options, globals);
  return OkStatus();
}

}  // namespace

void AddCompileCommand(CLI::App& app, const Globals& globals, Action& action) {
  const auto options = std::make_shared<CompileCommandOptions>();
  CLI::App* const command = app.add_subcommand(
      "compile",
      "Compile a model ahead of time. The default, a shared library with a C header\n"
      "beside it, needs nothing but libc and libm. The same input gives the same bytes.");
  AddModelOptions(*command, options->model);
  command->add_option("-o,--output", options->output, "The file to write")
      ->required()
      ->type_name("FILE");
  command
      ->add_option("--emit", options->emit,
                   "lib: a shared library; obj: an object file; llvm: LLVM IR; asm: assembly; ir: "
                   "the optimised graph as .kir text [lib]")
      ->check(CLI::IsMember({"lib", "obj", "llvm", "asm", "ir"}));
  AddTargetFlags(*command, options->compile);
  command->add_option("--header", options->header, "The C header [beside FILE, as FILE.h]")
      ->type_name("FILE");
  command
      ->add_option("--functions", options->functions,
                   "The functions to compile; loss and train_step are made where the model lacks "
                   "them [all it has]")
      ->delimiter(',')
      ->type_name("A,B");
  AddStepOptions(*command, options->step);
  AddCompileFlags(*command, options->compile);
  AddMemoryFlag(*command, options->compile);
  command->callback([options, &globals, &action] {
    action = [=, &globals] { return Compile(*options, globals); };
  });
}

}  // namespace kiln
