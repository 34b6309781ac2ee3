// Running compiled functions on the interpreter's arrays.
#pragma once

#include <string>
#include <vector>

#include "compiler/jit/jit.h"
#include "compiler/schedule/target.h"
#include "ir/eval/array.h"
#include "ir/support/status.h"
#include "runtime/abi/kiln.h"

namespace kiln::testing_support {

/// Calls the function `name` of an executable; `executor` may be null.
StatusOr<std::vector<Array>> RunCompiled(const Executable& executable, const std::string& name,
                                         const std::vector<Array>& inputs,
                                         const kiln_executor* executor = nullptr);

/// The target for an LLVM CPU name, or Unimplemented when this machine lacks its instructions.
StatusOr<Target> TargetThisMachineRuns(const std::string& cpu);

}  // namespace kiln::testing_support
