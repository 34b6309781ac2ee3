// The command `kiln`: global options and the choice of the subcommand.
#include <csignal>
#include <cstdio>
#include <exception>
#include <new>
#include <optional>

#include "compiler/codegen/target_info.h"
#include "tools/common.h"
#include "tools/numbers.h"

namespace kiln {

namespace {

constexpr char kDescription[] = R"(Kiln compiles neural networks to native code.

A MODEL is any file that Kiln reads (ONNX, PyTorch, Caffe, Caffe2, MXNet, TensorFlow, its own), told
by its content; `kiln run` and `kiln bench` also take a library that `kiln compile` has made. The
files of a format that has several are joined by commas: net.prototxt,net.caffemodel.)";

constexpr char kFooter[] =
    R"(Exit status: 0 success; 1 the work failed, and each problem is a line `kiln: error: FILE: NODE:
reason` on stderr; 2 wrong usage. `kiln SUBCOMMAND --help` explains each subcommand; the options
above may also stand after it.)";

std::string VersionText() {
  std::string text = "kiln " KILN_VERSION "\nLLVM " + LlvmVersion() + "\n";
  const StatusOr<Target> host = HostTarget();
  if (!host.ok()) return text + "host CPU unknown: " + Message(host.status());
  return text + StrCat("host CPU ", host->cpu, " (", host->triple, "), vectors of ",
                       host->vector_bytes, " bytes, ", host->vector_registers, " registers");
}

void AddGlobalOptions(CLI::App& app, Globals& globals) {
  app.add_flag("-q,--quiet", globals.quiet, "No progress on stderr");
  app.add_flag("-v,--verbose", globals.verbose, "More progress on stderr");
  app.add_flag("--json", globals.json, "A machine-readable result on stdout");
  app.add_option("--threads", globals.threads, "Threads to compile and to run with [all cores]")
      ->check(WholeNumber(1, 1024))
      ->type_name("N");
  app.add_flag_callback(
      "--version", [] { throw CLI::CallForVersion(VersionText(), 0); },
      "Print the versions of Kiln and LLVM, and the host CPU");
}

/// Reads the command line; the exit status when there is nothing left to do.
std::optional<int> Parse(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
    return std::nullopt;
  } catch (const CLI::Success& request) {  // --help, --version
    app.exit(request);
    return 0;
  } catch (const CLI::ParseError& error) {
    std::string command = "kiln";
    for (const CLI::App* sub : app.get_subcommands()) command += " " + sub->get_name();
    const std::vector<std::string> unknown = app.remaining();
    // CLI11 would only say that a subcommand is missing.
    const std::string reason = app.get_subcommands().empty() && !unknown.empty()
                                   ? "there is no subcommand or option " + Quote(unknown[0])
                                   : error.what();
    PrintError(InvalidInput(reason, " (see ", command, " --help)"));
    return 2;
  }
}

int Main(int argc, char** argv) {
  CLI::App app(kDescription, "kiln");
  app.footer(kFooter);
  app.require_subcommand(1);
  app.fallthrough();  // subcommands inherit it: global options may follow them
  app.get_formatter()->column_width(34);
  Globals globals;
  AddGlobalOptions(app, globals);
  Action action;
  AddRunCommand(app, globals, action);
  AddCompileCommand(app, globals, action);
  AddDumpCommand(app, globals, action);
  AddConvertCommand(app, globals, action);
  AddDiffCommand(app, globals, action);
  AddOptCommand(app, globals, action);
  AddCheckCommand(app, globals, action);
  AddBenchCommand(app, globals, action);
  AddTrainCommand(app, globals, action);
  AddOpsCommand(app, globals, action);
  if (const auto status = Parse(app, argc, argv)) return *status;
  Status status = action();
  const Status flushed = FlushOutput();
  PrintError(status);
  PrintError(flushed);
  return status.ok() && flushed.ok() ? 0 : 1;
}

}  // namespace

}  // namespace kiln

int main(int argc, char** argv) {
  std::signal(SIGXFSZ, SIG_IGN);  // a file that grows too large is an error of write()
  try {
    return kiln::Main(argc, argv);
  } catch (const std::bad_alloc&) {
    std::fputs("kiln: error: out of memory\n", stderr);
    return 1;
  } catch (const std::exception& error) {  // of a library; ours throws none
    std::fprintf(stderr, "kiln: error: %s\n", error.what());
    return 1;
  }
}
