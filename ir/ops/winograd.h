// Winograd's minimal filtering: a 3x3 convolution of stride 1, computed tile by tile with fewer
// products (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015).
//
//   y = A^T [ (G w G^T) * (B^T x B) ] A      for each tile of m x m results, `*` elementwise
//
// The interpolation points are 0, 1, -1, infinity (m = 2), and 2, -2 too (m = 4).
#pragma once

#include "ir/graph/tensor.h"
#include "ir/support/status.h"

namespace kiln {

/// Results along one side of a tile; a tile reads and is multiplied in m + 2 places along a side.
inline constexpr int64_t kWinogradKernel = 3;
inline constexpr int64_t WinogradSpan(int64_t m) { return m + kWinogradKernel - 1; }

/// U = G w G^T, f32 [m+2, m+2, C, O], of known f32 weights w [O, C, 3, 3]; m is 2 or 4.
StatusOr<Tensor> WinogradWeights(const Tensor& w, int64_t m);

}  // namespace kiln
