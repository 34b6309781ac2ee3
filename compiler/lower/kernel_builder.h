// From one op, or one fusion, to an unscheduled loop-IR kernel.
#pragma once

#include <string>
#include <vector>

#include "compiler/lower/location.h"
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
/// been decomposed). The body is a nest of serial loops over the result's physical dimensions
/// around one store, or what the op's own `nest` or `stages` give. Before it stands a section that
/// writes the zeros around a padded result, behind it one for channels that fill no block. A
/// concat's kernel copies those of its operands that are not computed in place; without any it has
/// no body. The kernel's outputs are the result and then the scratch buffers.
StatusOr<BuiltKernel> BuildKernel(Op& op, const Locations& locations);

/// What errors call `op`: by the model's name for it, where there is one.
std::string OpLabel(const Op& op);

/// A kernel that copies a row-major tensor of this type.
loop::Kernel CopyKernel(const TensorType& type);

}  // namespace kiln
