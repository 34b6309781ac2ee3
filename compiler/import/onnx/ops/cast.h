// Casts to ONNX's narrow types, which quantisation shares.
#pragma once

#include <string>

#include "compiler/import/onnx/narrow_type.h"
#include "compiler/import/onnx/node.h"

namespace kiln::onnx_import {

/// How floats become 8-bit floats.
struct NarrowCast {
  bool saturate = true;           ///< beyond the range: the largest; else infinity or NaN
  std::string round_mode = "up";  ///< to E8M0 only: up, down or nearest
};

/// x as a value of type `to`, held by to.held.
StatusOr<Op*> CastToNarrow(Node& n, const StatusOr<Op*>& x, const NarrowType& to,
                           const NarrowCast& how);

}  // namespace kiln::onnx_import
