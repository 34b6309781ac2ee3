// Ways to run a function of a model: just in time, from a library, or with the interpreter.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "compiler/compile.h"
#include "compiler/lower/memory_use.h"
#include "ir/graph/graph.h"
#include "ir/support/status.h"
#include "runtime/abi/kiln.h"
#include "runtime/session.h"
#include "tools/tensors.h"

namespace kiln {

/// A compiled function and what it needs to be called.
struct CompiledFunction {
  std::shared_ptr<const void> owner;  ///< keeps everything below alive
  const kiln_library_info* library = nullptr;
  const kiln_function_info* info = nullptr;
  const void* parameters = nullptr;  ///< null: the library's own

  StatusOr<Session> NewSession(const kiln_executor* executor) const;
  /// What a run needs in memory.
  MemoryUse memory() const;
};

/// Compiles `module` for this process.
StatusOr<CompiledFunction> CompileFunction(std::unique_ptr<Module> module,
                                           const std::string& function,
                                           const CompileOptions& options,
                                           CompileTimes* times = nullptr);

/// Loads the library at `path`. A library with one function has it under any name. An error when
/// the function needs more than `max_memory` bytes to run, unless that is 0.
StatusOr<CompiledFunction> LoadFunction(const std::string& path, const std::string& function,
                                        int64_t max_memory = 0);

/// Runs `graph` with the reference interpreter.
StatusOr<std::vector<HostTensor>> InterpretFunction(const Graph& graph,
                                                    std::span<const HostTensor> inputs);

std::vector<TensorSignature> InputsOf(const kiln_function_info& function);
std::vector<TensorSignature> OutputsOf(const kiln_function_info& function);
std::vector<TensorSignature> InputsOf(const Graph& graph);
std::vector<TensorSignature> OutputsOf(const Graph& graph);

}  // namespace kiln
