// The form of an op's own error messages.
#pragma once

#include "ir/graph/op_def.h"

namespace kiln {

/// "(f32[1,3], f32[4])"
std::string OperandTypes(const Op& op);

template <typename... Pieces>
Status OpError(const Op& op, const Pieces&... pieces) {
  return InvalidInput(op.kind(), ": ", pieces..., "; operands are ", OperandTypes(op));
}

}  // namespace kiln
