#include "compiler/compile.h"

#include <algorithm>
#include <chrono>

#include "compiler/lower/lower.h"
#include "compiler/lower/memory_use.h"
#include "ir/graph/builder.h"
#include "passes/graph/graph_passes.h"
#include "passes/memory/recompute.h"
#include "passes/pipeline.h"

namespace kiln {

namespace {

/// Adds the time since the last call (or its making) to a figure.
class Stopwatch {
 public:
  void AddTo(double* milliseconds) {
    const auto now = std::chrono::steady_clock::now();
    *milliseconds += std::chrono::duration<double, std::milli>(now - last_).count();
    last_ = now;
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

/// The interface of a function is row-major, whatever layouts its values have inside.
Status MakeOutputsRowMajor(Module& module) {
  for (const auto& function : module.functions()) {
    for (size_t i = 0; i < function->outputs().size(); ++i) {
      Op* const value = function->outputs()[i].value;
      if (value->type().layout.IsRowMajor()) continue;
      Builder builder(function.get());
      builder.SetSources(value->sources());
      KILN_ASSIGN_OR_RETURN(Op* const plain,
                            builder.Make("relayout", {value}, {{"layout", Layout{}}}));
      function->SetOutput(i, plain);
    }
  }
  return OkStatus();
}

StatusOr<Program> Lower(const Module& module, const CompileOptions& options) {
  LowerOptions lower{
      .target = options.target, .schedule = options.schedule, .threads = options.threads};
  if (!options.tuning.active()) return LowerModule(module, lower);
  KILN_ASSIGN_OR_RETURN(Tuner tuner, Tuner::Create(options.target, options.tuning));
  lower.shape_of = [&tuner](const loop::Kernel& kernel) { return tuner.ShapeOf(kernel); };
  KILN_ASSIGN_OR_RETURN(Program program, LowerModule(module, lower));
  KILN_RETURN_IF_ERROR(tuner.Save());
  return program;
}

/// The most that any function needs to run.
int64_t MemoryNeeded(const Program& program) {
  int64_t most = 0;
  for (const FunctionProgram& function : program.functions) {
    most = std::max(most, MemoryUseOf(program, function).total());
  }
  return most;
}

/// The program of `module`; where that needs more than max_memory, with values computed again.
StatusOr<Program> LowerWithin(const Module& module, const CompileOptions& options) {
  KILN_ASSIGN_OR_RETURN(Program program, Lower(module, options));
  if (options.max_memory == 0) return program;
  int64_t kept = 0;
  for (const auto& function : module.functions()) kept = std::max(kept, BytesKept(*function));
  int64_t needed = MemoryNeeded(program);
  // What a function needs is known once it is lowered; what it may keep is guessed from that.
  constexpr int kMostGuesses = 5;
  for (int guess = 0; guess < kMostGuesses && needed > options.max_memory && kept > 0; ++guess) {
    kept = std::max<int64_t>(kept - (needed - options.max_memory), 0);
    const std::unique_ptr<Module> smaller = module.Clone();
    PassManager passes({Recompute(kept)}, options.passes);
    KILN_RETURN_IF_ERROR(passes.Run(*smaller));
    if (passes.context().rewrites() == 0) break;
    KILN_ASSIGN_OR_RETURN(program, Lower(*smaller, options));
    needed = MemoryNeeded(program);
  }
  KILN_RETURN_IF_ERROR(CheckMemoryUse(program, options.max_memory));
  return program;
}

}  // namespace

std::vector<Pass> PassesFor(const CompileOptions& options) {
  if (!options.optimize) return {DecomposeComposites()};
  return InferencePipeline(
      {.lanes = options.target.Lanes(ByteSize(ElementType::kF32)), .winograd = options.winograd});
}

Status Optimize(Module& module, const CompileOptions& options) {
  return PassManager(PassesFor(options), options.passes).Run(module);
}

StatusOr<Program> CompileToProgram(std::unique_ptr<Module> module, const CompileOptions& options,
                                   CompileTimes* times) {
  CompileTimes unused;
  if (times == nullptr) times = &unused;
  Stopwatch watch;
  KILN_RETURN_IF_ERROR(Optimize(*module, options));
  KILN_RETURN_IF_ERROR(MakeOutputsRowMajor(*module));
  watch.AddTo(&times->passes);
  auto program = LowerWithin(*module, options);
  watch.AddTo(&times->lower);
  return program;
}

StatusOr<std::unique_ptr<Executable>> CompileForHost(std::unique_ptr<Module> module,
                                                     const CompileOptions& options,
                                                     CompileTimes* times) {
  CompileTimes unused;
  if (times == nullptr) times = &unused;
  KILN_ASSIGN_OR_RETURN(Program program, CompileToProgram(std::move(module), options, times));
  Stopwatch watch;
  const ObjectCache cache(options.cache_directory);
  auto executable =
      Jit(std::move(program), {.target = options.target,
                               .threads = options.threads,
                               .cache = options.cache_directory.empty() ? nullptr : &cache});
  watch.AddTo(&times->codegen);
  return executable;
}

}  // namespace kiln
