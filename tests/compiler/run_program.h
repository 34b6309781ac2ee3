// Runs a lowered program without code generation.
#pragma once

#include <vector>

#include "compiler/lower/program.h"
#include "ir/eval/array.h"
#include "ir/support/status.h"

namespace kiln::testing_support {

/// Runs a lowered function with the loop interpreter, which checks the bounds of every access.
StatusOr<std::vector<Array>> RunProgram(const Program& program, const FunctionProgram& function,
                                        const std::vector<Array>& inputs);

}  // namespace kiln::testing_support
