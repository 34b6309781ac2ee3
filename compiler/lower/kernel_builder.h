// From one op, or one fusion, to an unscheduled loop-IR kernel.
#pragma once

#include <vector>

#include "ir/graph/graph.h"
#include "ir/loop/stmt.h"
#include "ir/support/status.h"

namespace kiln {

/// A kernel and the ops that its inputs stand for, in order (each op once).
struct BuiltKernel {
  loop::Kernel kernel;
  std::vector<Op*> inputs;
  double flops = 0;
};

/// Builds the kernel of `op`, which must be a primitive or a fusion of primitives (composites have
/// been decomposed). The body is one nest of serial loops over the result's physical dimensions
/// around one store, or what the op's own `nest` or `stages` give. The kernel's outputs are the
/// result and then the scratch buffers.
StatusOr<BuiltKernel> BuildKernel(Op& op);

/// A kernel that copies a row-major tensor of this type.
loop::Kernel CopyKernel(const TensorType& type);

}  // namespace kiln
