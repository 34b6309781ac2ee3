// What the kernel of an op follows from, written down before it is built: a net with hundreds of
// layers has few different ones, and building a kernel takes far longer than writing its key.
#pragma once

#include <string>
#include <vector>

#include "compiler/lower/location.h"
#include "ir/graph/graph.h"

namespace kiln {

/// Invariant: of two ops with equal `text` BuildKernel makes equal kernels, whose inputs stand for
/// values of equal number.
struct KernelKey {
  /// The op, or the ops of its body, with their attributes; the types of all values; where they
  /// lie in the buffers of others. Not how anything is called, nor what constants hold that are
  /// read from memory.
  std::string text;
  /// What the kernel may read: the owners of the result's and of the operands' buffers, each once,
  /// then the ops of the body.
  std::vector<Op*> values;
};

/// The key of `op`, for which BuildKernel makes a kernel.
KernelKey KeyOf(Op& op, const Locations& locations);

}  // namespace kiln
