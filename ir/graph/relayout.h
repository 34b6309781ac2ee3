// Moving a constant's bytes into another layout.
#pragma once

#include "ir/graph/tensor.h"

namespace kiln {

/// The same logical tensor in `layout`; the padding of blocked dimensions is zero. Requires a
/// known, row-major tensor and a layout that fits its rank.
Tensor ToLayout(const Tensor& tensor, const Layout& layout);

}  // namespace kiln
