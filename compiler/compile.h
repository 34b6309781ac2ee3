// The one door: a module in, a program or an executable out.
#pragma once

#include <memory>
#include <string>

#include "compiler/jit/jit.h"
#include "compiler/lower/program.h"
#include "compiler/schedule/target.h"
#include "compiler/tune/tuner.h"
#include "ir/graph/graph.h"
#include "ir/support/status.h"
#include "passes/graph/graph_passes.h"
#include "passes/pass_manager.h"

namespace kiln {

struct CompileOptions {
  Target target;
  bool optimize = true;  ///< off: only what lowering needs (composites decomposed)
  bool schedule = true;  ///< off: loops stay serial and scalar
  Winograd winograd = Winograd::kAuto;
  int threads = 1;              ///< for compiling
  std::string cache_directory;  ///< of object files; empty: no cache
  /// A function that needs more bytes to run computes values again after its loss, or is refused;
  /// 0: no limit.
  int64_t max_memory = 0;
  TuningOptions tuning;  ///< schedules that are measured, read or exported
  PassOptions passes;    ///< what to print, switch off, verify
};

/// Where the time of a compilation went, in milliseconds.
struct CompileTimes {
  double passes = 0;
  double lower = 0;
  double codegen = 0;
  double total() const { return passes + lower + codegen; }
};

/// The passes that `options` asks for: the whole pipeline, or decomposition alone.
std::vector<Pass> PassesFor(const CompileOptions& options);

/// Runs them on `module` in place.
Status Optimize(Module& module, const CompileOptions& options);

/// Optimises `module` and lowers it. What the module holds is let go of as soon as it has been
/// used, so that large weights are in memory as few times as can be.
StatusOr<Program> CompileToProgram(std::unique_ptr<Module> module, const CompileOptions& options,
                                   CompileTimes* times = nullptr);

/// The same, and compiles the program for this process. The target must be this machine's, or one
/// whose instructions it has.
StatusOr<std::unique_ptr<Executable>> CompileForHost(std::unique_ptr<Module> module,
                                                     const CompileOptions& options,
                                                     CompileTimes* times = nullptr);

}  // namespace kiln
