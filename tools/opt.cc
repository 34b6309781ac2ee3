// `kiln opt`: text in, passes, text out.
#include "ir/graph/printer.h"
#include "passes/pipeline.h"
#include "tools/ir_output.h"
#include "tools/model.h"

namespace kiln {

namespace {

struct OptOptions {
  ModelOptions model;
  CompileFlags compile;
  std::optional<std::string> passes;
  std::string output;
  std::string print_after;
  bool diff = false;
  bool remarks = false;
  bool timing = false;
};

std::string CheckPasses(const std::string& text) { return Message(ParsePassList(text).status()); }

Status Opt(const OptOptions& options, const Globals& globals) {
  KILN_ASSIGN_OR_RETURN(CompileOptions compile, ToCompileOptions(options.compile, globals));
  IrOutput output(globals);
  compile.passes.print = output.Printer();
  compile.passes.print_after = options.print_after;
  compile.passes.diff = options.diff;
  compile.passes.verify_ir = true;
  std::vector<Pass> passes = PassesFor(compile);
  if (options.passes) {
    KILN_ASSIGN_OR_RETURN(passes, ParsePassList(*options.passes));
  }
  KILN_ASSIGN_OR_RETURN(const auto module, LoadModel(options.model, globals));
  PassManager manager(std::move(passes), compile.passes);
  KILN_RETURN_IF_ERROR(InFile(ModelFile(options.model), manager.Run(*module)));
  output.AddPasses(manager, options.remarks, options.timing);
  const bool other_output =
      options.remarks || options.timing || options.diff || !options.print_after.empty();
  if (!options.output.empty()) {
    KILN_RETURN_IF_ERROR(SaveModule(*module, options.output));
  } else if (!other_output) {
    output.AddText(Print(*module));
  }
  output.Finish();
  return OkStatus();
}

}  // namespace

void AddOptCommand(CLI::App& app, const Globals& globals, Action& action) {
  const auto options = std::make_shared<OptOptions>();
  CLI::App* const command = app.add_subcommand(
      "opt",
      "Run passes on a graph: text in, text out. With -o, large tensors go to FILE.data, or all\n"
      "into one file when that is called NAME.kiln.\n"
      "Without it the text goes to stdout, unless another option prints there.");
  AddModelOptions(*command, options->model);
  command->add_option("-o,--output", options->output, "The .kir or .kiln file to write [stdout]")
      ->type_name("FILE");
  command
      ->add_option("--passes", options->passes,
                   "The passes to run, in this order [those of `kiln compile`]")
      ->check(CheckPasses)
      ->type_name("A,B,C");
  command->add_flag_callback(
      "--list-passes", [] { throw CLI::CallForVersion(ListPasses(), 0); }, "List all passes");
  command->add_option("--print-after", options->print_after, "Print the graph after this pass")
      ->check(CheckPassName)
      ->type_name("PASS|all");
  command->add_flag("--diff", options->diff, "Print what passes change instead");
  command->add_flag("--remarks", options->remarks,
                    "Print which rewrites fired, which were refused, and why");
  command->add_flag("--timing", options->timing, "Print the time that each pass takes");
  AddPassFlags(*command, options->compile);
  AddTargetFlags(*command, options->compile);
  command->callback(
      [options, &globals, &action] { action = [=, &globals] { return Opt(*options, globals); }; });
}

}  // namespace kiln
