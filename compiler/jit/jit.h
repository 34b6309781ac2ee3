// The JIT: a program to code in this process, callable through the same descriptor as a library.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "compiler/jit/object_cache.h"
#include "compiler/lower/program.h"
#include "compiler/schedule/target.h"
#include "ir/support/status.h"
#include "runtime/abi/kiln.h"

namespace kiln {

struct ObjectOptions {
  Target target;
  int threads = 1;                     ///< kernels compiled at once
  const ObjectCache* cache = nullptr;  ///< null: none
};

/// A kernel's object file and the symbol its sections start with.
struct KernelObject {
  std::string symbol;
  std::string bytes;
};

/// Compiles every kernel of `program` (or finds it in the cache), in parallel. A symbol is the hash
/// of its kernel's text, so that it is the same whatever program the kernel stands in.
StatusOr<std::vector<KernelObject>> CompileKernels(const Program& program,
                                                   const ObjectOptions& options);

/// A program's code and constants in memory. The descriptor's functions live as long as this does.
class Executable {
 public:
  virtual ~Executable() = default;
  /// Its parameters_data is null: every call passes parameters().
  virtual const kiln_library_info& library() const = 0;
  /// The block of constants and parameters, aligned to 64 bytes; pass it as kiln_call.parameters.
  virtual const void* parameters() const = 0;
};

/// Fails when a parameter's value is unknown, or when the target is not this machine's. Takes the
/// values out of `program`.
StatusOr<std::unique_ptr<Executable>> Jit(Program program, const ObjectOptions& options);

}  // namespace kiln
