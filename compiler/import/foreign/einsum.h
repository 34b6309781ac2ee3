// Products of tensors summed over labelled dimensions.
#pragma once

#include <string>
#include <vector>

#include "ir/graph/builder.h"

namespace kiln::foreign {

/// numpy.einsum with letters, "..." and an output that may be left out; at least one operand.
/// Operands are taken together two at a time, each pair as one matmul [batch, rows, shared] x
/// [batch, shared, columns].
StatusOr<Op*> Einsum(Builder& b, const std::string& equation, const std::vector<Op*>& operands);

}  // namespace kiln::foreign
