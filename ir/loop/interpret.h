// Runs a kernel on byte buffers, scalar by scalar: the oracle for schedules and generated code.
//
// Floats are computed in double and rounded to the expression's type after each operator, sums and
// products only once at their end. Every access is checked against its buffer.
#pragma once

#include <vector>

#include "ir/loop/stmt.h"
#include "ir/support/status.h"

namespace kiln::loop {

/// `buffers` are the kernel's inputs, then its outputs; each holds its buffer's bytes. An index out
/// of bounds is an error that names the buffer.
Status Interpret(const Kernel& kernel, const std::vector<void*>& buffers);

}  // namespace kiln::loop
