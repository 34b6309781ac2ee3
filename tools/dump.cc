// `kiln dump`: the IR of a model at any stage.
#include <algorithm>

#include "compiler/aot/library.h"
#include "ir/graph/printer.h"
#include "tools/dot.h"
#include "tools/model.h"
#include "tools/program_text.h"

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

  /// Whether the passes' own output is wanted: the graph then only on demand.
  bool WatchesPasses() const { return remarks || timing || diff || !print_after.empty(); }
};

Status DumpGraph(const Module& module, const DumpOptions& options) {
  if (!options.dot.empty()) {
    KILN_RETURN_IF_ERROR(WriteText(options.dot, ToDot(*module.functions()[0])));
  }
  if (!options.html.empty()) KILN_RETURN_IF_ERROR(WriteText(options.html, ToHtml(module)));
  const bool written = !options.dot.empty() || !options.html.empty();
  // A stage that is asked for is printed, whatever else is.
  if (options.stage.empty() && options.output.empty() && (written || options.WatchesPasses())) {
    return OkStatus();
  }
  if (!options.output.empty()) return SaveModule(module, options.output);
  PrintOut(Print(module));
  return OkStatus();
}

/// Runs the passes, printing what --print-after, --diff, --remarks and --timing ask for.
Status RunPasses(Module& module, const DumpOptions& options, CompileOptions compile) {
  compile.passes.print_after = options.print_after;
  compile.passes.diff = options.diff;
  PassManager manager(PassesFor(compile), compile.passes);
  KILN_RETURN_IF_ERROR(manager.Run(module));
  if (options.remarks) {
    for (const Remark& remark : manager.context().remarks()) PrintOut(remark.ToString() + "\n");
  }
  if (options.timing) PrintOut(manager.TimingTable());
  return OkStatus();
}

Status DumpProgram(const Module& module, const DumpOptions& options,
                   const CompileOptions& compile) {
  KILN_ASSIGN_OR_RETURN(const Program program, CompileToProgram(module, compile));
  std::string text;
  if (options.stage == "loops") {
    text = KernelsText(program);
  } else if (options.stage == "memory") {
    text = MemoryText(program);
  } else {
    const CodeForm form = options.stage == "llvm" ? CodeForm::kLlvmIr : CodeForm::kAssembly;
    KILN_ASSIGN_OR_RETURN(text, EmitText(program, compile.target, form));
  }
  if (!options.output.empty()) return WriteText(options.output, text);
  PrintOut(text);
  return OkStatus();
}

Status DumpModule(Module& module, const DumpOptions& options, const Globals& globals) {
  if (!options.function.empty()) KILN_RETURN_IF_ERROR(SelectFunctions(module, {options.function}));
  if (options.stage == "import") return DumpGraph(module, options);
  KILN_ASSIGN_OR_RETURN(const CompileOptions compile, ToCompileOptions(options.compile, globals));
  if (options.stage.empty() || options.stage == "graph") {
    KILN_RETURN_IF_ERROR(RunPasses(module, options, compile));
    return DumpGraph(module, options);
  }
  // The compiler runs the passes by itself; here they only show what they do.
  if (options.WatchesPasses()) KILN_RETURN_IF_ERROR(RunPasses(*module.Clone(), options, compile));
  return DumpProgram(module, options, compile);
}

Status Dump(const DumpOptions& options, const Globals& globals) {
  KILN_ASSIGN_OR_RETURN(const auto module, LoadModel(options.model, globals));
  return InFile(ModelFile(options.model), DumpModule(*module, options, globals));
}

}  // namespace

void AddDumpCommand(CLI::App& app, const Globals& globals, Action& action) {
  const auto options = std::make_shared<DumpOptions>();
  CLI::App* const command = app.add_subcommand(
      "dump",
      "Show a model at any stage of its compilation. The text of the stages import and\n"
      "graph can be read back (.kir); with -o, large tensors are kept in FILE.data.");
  AddModelOptions(*command, options->model);
  command
      ->add_option("--stage", options->stage,
                   "import: the graph as read; graph: after the passes; loops: the kernels; llvm, "
                   "asm: their code; memory: the arena's plan [graph]")
      ->check(CLI::IsMember({"import", "graph", "loops", "llvm", "asm", "memory"}));
  command->add_option("-o,--output", options->output, "The file to write [stdout]")
      ->type_name("FILE");
  command->add_option("--function", options->function, "Show this function alone")
      ->type_name("NAME");
  command->add_option("--print-after", options->print_after, "Print the graph after this pass")
      ->check(CheckPassName)
      ->type_name("PASS|all");
  command->add_flag("--diff", options->diff, "Print what passes change instead");
  command->add_flag("--remarks", options->remarks,
                    "Print which rewrites fired, which were refused, and why");
  command->add_flag("--timing", options->timing, "Print the time that each pass takes");
  command->add_option("--dot", options->dot, "Write the (first) function as a Graphviz graph")
      ->type_name("FILE");
  command->add_option("--html", options->html, "Write the graph as a web page with linked values")
      ->type_name("FILE");
  AddTargetFlags(*command, options->compile);
  AddCompileFlags(*command, options->compile);
  command->callback(
      [options, &globals, &action] { action = [=, &globals] { return Dump(*options, globals); }; });
}

}  // namespace kiln
