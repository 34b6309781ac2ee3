// Cutting a long sum of products into blocks of steps.
//
//   y[r, c] = f(sum<k>(x[r, k] * w[k, c]))
//           = f(sum<k in block 0>(...) + sum<k in block 1>(...) + ...)
//
// Where w is large and each step of the sum reads it a page or more further on, tiles that go
// through all steps would read a line or two from each page, and each page once a panel. A block of
// steps passes over all panels of a chunk of columns instead, so that the rows of w are read as
// runs, and adds to y, which stays in the cache meanwhile.
#pragma once

#include <optional>
#include <vector>

#include "compiler/schedule/contraction.h"

namespace kiln {

struct SplitContraction {
  /// The first block, the others but the last, and the last, in this order. Their first loop goes
  /// over chunks and may run in parallel, no other may.
  std::vector<Nest> nests;
  Contraction contraction;  ///< as tiles of the nests need it: the columns are those of a chunk
};

/// nullopt where the sum is better left whole.
std::optional<SplitContraction> SplitSum(const Nest& nest, const Contraction& contraction,
                                         const Target& target);

}  // namespace kiln
