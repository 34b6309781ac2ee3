// The driver: the LLVM module that ties a program's kernels together behind the C ABI
// (runtime/abi/kiln.h): one `run` per function that calls the kernel sections in order, and
// kiln_library(), the descriptor with all its tables.
#pragma once

#include <string>
#include <vector>

#include "compiler/codegen/codegen.h"
#include "compiler/lower/program.h"
#include "compiler/schedule/target.h"
#include "ir/support/status.h"
#include "runtime/pages.h"

namespace kiln {

struct DriverOptions {
  /// The symbol prefix of each kernel of the program, as it was given to CompileKernel.
  std::vector<std::string> kernel_symbols;
  /// The descriptor points to a parameter block that another object of the same link defines, under
  /// the symbol kParametersSymbol. Otherwise every call passes one.
  bool own_parameters = false;
};

inline constexpr char kParametersSymbol[] = "kiln_parameters";

/// Emits the driver of `program` in the given form. Deterministic.
StatusOr<std::string> CompileDriver(const Program& program, const DriverOptions& options,
                                    const Target& target, CodeForm form);

/// The error that names the first parameter whose value is unknown, if there is one.
Status CheckParametersKnown(const Program& program);

/// The parameter block. Lets go of each value in `program` once it is copied, so that the weights
/// are in memory once.
StatusOr<Pages> TakeParameterBlock(Program& program);

}  // namespace kiln
