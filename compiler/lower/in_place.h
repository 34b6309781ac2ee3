// Which kernels may write their result over an operand.
#pragma once

#include <cstddef>

#include "ir/loop/stmt.h"

namespace kiln {

/// Whether the first output of `kernel` (as scheduled) may be the same memory as its input `input`:
/// they have one shape and element size, each element of the output is stored once, and an element
/// of the input is read only to compute the element of the output that takes its place.
bool MayWriteOver(const loop::Kernel& kernel, size_t input);

}  // namespace kiln
