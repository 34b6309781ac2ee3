// The MODEL argument: files to a module or a library, and the options that say how.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "compiler/compile.h"
#include "ir/graph/graph.h"
#include "ir/support/status.h"
#include "tools/common.h"

namespace kiln {

struct ModelOptions {
  std::string model;   ///< files, joined by commas
  std::string format;  ///< empty: told from the content
  std::optional<int64_t> batch;
  std::vector<std::string> shapes;  ///< NAME=1x3x224x224
  std::optional<uint64_t> param_seed;
  bool training = false;            ///< see ImportOptions
  std::optional<Shape> item_shape;  ///< see ImportOptions
};

/// Declares a positional MODEL called `name`, and --format and --shape with `suffix` behind them.
void AddModelArgument(CLI::App& app, const std::string& name, ModelOptions& options,
                      const std::string& doc, const std::string& suffix = "");
/// Declares what holds for all models of a call: --batch and --param-seed.
void AddFillOptions(CLI::App& app, ModelOptions& options);
/// Declares MODEL and all of these options.
void AddModelOptions(CLI::App& app, ModelOptions& options);

/// Whether the model is an ELF file: a library that Kiln has emitted, if anything.
bool IsLibrary(const ModelOptions& options);

/// Reads the model. Every line of an error starts with the file's path.
StatusOr<std::unique_ptr<Module>> LoadModel(const ModelOptions& options, const Globals& globals);

/// The file that messages about the model name.
std::string ModelFile(const ModelOptions& options);

/// Whether `path` is one of the model's files.
bool IsModelFile(const ModelOptions& options, const std::string& path);

/// How to compile.
struct CompileFlags {
  bool no_optimize = false;
  bool no_schedule = false;
  bool no_cache = false;
  Winograd winograd = Winograd::kAuto;
  bool tune = false;
  std::string schedules;
  std::string export_schedules;
  int64_t max_memory = 0;  ///< bytes; 0: no limit
  std::string triple;
  std::string cpu;
  std::vector<std::string> disabled_rewrites;
  int64_t rewrite_limit = -1;
  bool verify_passes = false;
};

/// Declares the options about the passes: --disable-rewrite, --rewrite-limit, --verify-passes.
void AddPassFlags(CLI::App& app, CompileFlags& flags);
/// Declares those and --no-optimize, --no-schedule, --no-cache.
void AddCompileFlags(CLI::App& app, CompileFlags& flags);
/// Declares --max-memory.
void AddMemoryFlag(CLI::App& app, CompileFlags& flags);
/// Declares --target and --cpu.
void AddTargetFlags(CLI::App& app, CompileFlags& flags);

/// For CLI11: the name of a pass, or "all".
std::string CheckPassName(const std::string& text);

/// What passes print goes to stdout.
StatusOr<CompileOptions> ToCompileOptions(const CompileFlags& flags, const Globals& globals);

/// Writes the module to `path`: text, with its large tensors in a side file beside it; all in one
/// native file where the name ends in ".kiln"; native in text form, with a side file, where it ends
/// in ".kiln.txt"; its function "forward" as an ONNX model where it ends in ".onnx"; to a device,
/// the text alone.
Status SaveModule(const Module& module, const std::string& path);

/// The function called `name`; an error lists those there are.
StatusOr<const Graph*> FindFunction(const Module& module, const std::string& name);

/// Leaves the functions called `names` in the module; all of them when there are no names.
Status SelectFunctions(Module& module, const std::vector<std::string>& names);

/// The name of a graph input as callers know it.
const std::string& PublicName(const Op& input);

}  // namespace kiln
