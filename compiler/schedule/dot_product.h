// Schedules of sums of products both of whose factors lie contiguous along the sum, and none along
// a loop: a matmul by transposed weights as they are stored. The lanes are steps of the sum (see
// ReduceInLanes in the code generator), and a tile holds one vector of partial sums for each of its
// rows and columns, so that each vector that is read is used several times.
#pragma once

#include <optional>

#include "compiler/schedule/target.h"
#include "compiler/schedule/tile.h"

namespace kiln {

struct DotProduct {
  Nest nest;  ///< its loops ordered so that the smaller factor passes by rows of the larger
  Tile tile;
};

/// `nest` (unit loops dropped, loops collapsed) as dot products, if that is what it is.
std::optional<DotProduct> MatchDotProduct(const Nest& nest, const Target& target);

}  // namespace kiln
