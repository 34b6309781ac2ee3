// The last steps of code generation: verification, optimisation and output of an LLVM module.
#pragma once

#include <string>

#include "compiler/codegen/codegen.h"
#include "llvm/IR/Module.h"
#include "llvm/Target/TargetMachine.h"

namespace kiln {

/// Runs a short function pipeline (no vectorisers: the module holds explicit vectors) and writes
/// the module in `form`. A module that does not verify is an internal error with LLVM's words.
StatusOr<std::string> OptimizeAndWrite(llvm::Module& module, llvm::TargetMachine& machine,
                                       CodeForm form);

}  // namespace kiln
