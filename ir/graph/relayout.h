// Moving a constant's bytes into another layout, and what needs no moving.
#pragma once

#include "ir/graph/graph.h"
#include "ir/graph/tensor.h"

namespace kiln {

/// The same logical tensor in `layout`; the padding of blocked dimensions is zero. Requires a
/// known, row-major tensor and a layout that fits its rank. The result is deferred.
Tensor ToLayout(const Tensor& tensor, const Layout& layout);

/// Whether `op` is the bytes of its operand under another type: a view, or a transpose whose layout
/// is its operand's with the dimensions renamed.
bool IsSameBytes(const Op& op);

}  // namespace kiln
