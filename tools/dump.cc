// `kiln dump`: the IR of a model at any stage.
#include <algorithm>

#include "compiler/aot/library.h"
#include "ir/graph/printer.h"
#include "tools/dot.h"
#include "tools/html.h"
#include "tools/ir_output.h"
#include "tools/program_text.h"
#include "tools/training_functions.h"

namespace kiln {

namespace {

struct DumpOptions {
  ModelOptions model;
  CompileFlags compile;
  std::string stage;
  std::string print_after;
  bool diff = false;
  std::string function;
  bool remarks = false;
  bool timing = false;
  std::string dot;
  std::string html;
  std::string output;

  /// Whether anything but a stage is wanted: a stage then only on demand.
  bool HasReports() const {
    return remarks || timing || diff || !print_after.empty() || !dot.empty() || !html.empty();
  }
};

Status DumpGraph(const Module& module, const DumpOptions& options, IrOutput& output) {
  if (!options.output.empty()) return SaveModule(module, options.output);
  // A stage that is asked for is printed, whatever else is.
  if (!options.stage.empty() || !options.HasReports()) output.AddText(Print(module));
  return OkStatus();
}

/// Runs the passes, with the reports that are asked for.
Status RunPasses(Module& module, const DumpOptions& options, CompileOptions compile,
                 IrOutput& output) {
  HtmlReport report(module);
  compile.passes.print = output.Printer();
  compile.passes.print_after = options.print_after;
  compile.passes.diff = options.diff;
  if (!options.html.empty()) {
    compile.passes.observe = [&](const PassReport& pass, std::span<const Remark> remarks,
                                 const Module& after) { report.AddPass(pass, remarks, after); };
  }
  PassManager manager(PassesFor(compile), compile.passes);
  KILN_RETURN_IF_ERROR(InFile(ModelFile(options.model), manager.Run(module)));
  output.AddPasses(manager, options.remarks, options.timing);
  return options.html.empty() ? OkStatus() : WriteText(options.html, report.Page());
}

StatusOr<std::string> ProgramText(std::unique_ptr<Module> module, const DumpOptions& options,
                                  const CompileOptions& compile) {
  KILN_ASSIGN_OR_RETURN(const Program program, CompileToProgram(std::move(module), compile));
  if (options.stage == "loops") return KernelsText(program);
  if (options.stage == "memory") return MemoryText(program);
  const CodeForm form = options.stage == "llvm" ? CodeForm::kLlvmIr : CodeForm::kAssembly;
  return EmitText(program, compile.target, form);
}

Status DumpProgram(std::unique_ptr<Module> module, const DumpOptions& options,
                   const CompileOptions& compile, IrOutput& output) {
  KILN_ASSIGN_OR_RETURN(
      const std::string text,
      InFile(ModelFile(options.model), ProgramText(std::move(module), options, compile)));
  if (!options.output.empty()) return WriteText(options.output, text);
  output.AddText(text);
  return OkStatus();
}

Status DumpStage(const DumpOptions& options, const Globals& globals, IrOutput& output) {
  KILN_ASSIGN_OR_RETURN(const CompileOptions compile, ToCompileOptions(options.compile, globals));
  KILN_ASSIGN_OR_RETURN(auto module,
                        options.function.empty()
                            ? LoadModel(options.model, globals)
                            : LoadForFunction(options.model, options.function, globals));
  const bool import = options.stage == "import";
  const bool graph = options.stage.empty() || options.stage == "graph";
  if (graph || options.HasReports() || !options.dot.empty()) {
    const std::unique_ptr<Module> optimized = module->Clone();
    if (graph || options.HasReports()) {
      KILN_RETURN_IF_ERROR(RunPasses(*optimized, options, compile, output));
    }
    const Module& shown = import ? *module : *optimized;
    if (!options.dot.empty()) KILN_RETURN_IF_ERROR(WriteText(options.dot, ToDot(shown)));
    if (graph) return DumpGraph(*optimized, options, output);
  }
  if (import) return DumpGraph(*module, options, output);
  return DumpProgram(std::move(module), options, compile, output);  // which runs the passes itself
}

Status Dump(const DumpOptions& options, const Globals& globals) {
  IrOutput output(globals);
  KILN_RETURN_IF_ERROR(DumpStage(options, globals, output));
  output.Finish();
  return OkStatus();
}

}  // namespace

void AddDumpCommand(CLI::App& app, const Globals& globals, Action& action) {
  const auto options = std::make_shared<DumpOptions>();
  CLI::App* const command = app.add_subcommand(
      "dump",
      "Show a model at any stage of its compilation. The text of the stages import and\n"
      "graph can be read back (.kir); with -o, large tensors are kept in FILE.data, or all\n"
      "in one file when that is called NAME.kiln.");
  AddModelOptions(*command, options->model);
  command
      ->add_option("--stage", options->stage,
                   "import: the graph as read; graph: after the passes; loops: the kernels; llvm, "
                   "asm: their code; memory: the arena's plan [graph]")
      ->check(CLI::IsMember({"import", "graph", "loops", "llvm", "asm", "memory"}));
  command->add_option("-o,--output", options->output, "The file to write [stdout]")
      ->type_name("FILE");
  command
      ->add_option(
          "--function", options->function,
          "Show this function alone; loss and train_step (SGD with momentum) are made where the "
          "model lacks them")
      ->type_name("NAME");
  command->add_option("--print-after", options->print_after, "Print the graph after this pass")
      ->check(CheckPassName)
      ->type_name("PASS|all");
  command->add_flag("--diff", options->diff, "Print what passes change instead");
  command->add_flag("--remarks", options->remarks,
                    "Print which rewrites fired, which were refused, and why");
  command->add_flag("--timing", options->timing, "Print the time that each pass takes");
  command->add_option("--dot", options->dot, "Write the graph for Graphviz")->type_name("FILE");
  command
      ->add_option("--html", options->html,
                   "Write a web page: the graph after each pass, what it changed, its remarks")
      ->type_name("FILE");
  AddTargetFlags(*command, options->compile);
  AddCompileFlags(*command, options->compile);
  command->callback(
      [options, &globals, &action] { action = [=, &globals] { return Dump(*options, globals); }; });
}

}  // namespace kiln
