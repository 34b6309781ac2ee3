// Winograd's minimal filtering: a convolution of stride 1, computed tile by tile with fewer
// products (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015).
//
//   y = A^T [ (G w G^T) * (B^T x B) ] A      for each tile of m x m results, `*` elementwise
//
// With a kernel of r x r a tile reads, and is multiplied in, s x s places, s = m + r - 1. There are
// F(2x2, 3x3), whose interpolation points are 0, 1, -1 and infinity, and F(4x4, 3x3) and
// F(2x2, 5x5), which share 0, 3/4, -3/4, 3/2, -3/2 and infinity.
#pragma once

#include "ir/graph/tensor.h"
#include "ir/support/status.h"

namespace kiln {

inline constexpr int64_t WinogradSpan(int64_t m, int64_t r) { return m + r - 1; }

/// U = G w G^T, f32 [s, s, C, O], of known f32 weights w [O, C, r, r], or of those of a transposed
/// convolution, [C, O, r, r], each kernel turned by 180 degrees. The result is deferred.
StatusOr<Tensor> WinogradWeights(const Tensor& w, int64_t m, bool transposed = false);

}  // namespace kiln
