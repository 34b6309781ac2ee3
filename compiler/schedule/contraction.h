// Schedules of contractions: nests around a sum of products (matmul, convolution and its gradients,
// the products of Winograd's form), recognised by their access pattern alone.
//
// The factor read as vectors, `along`, is usually the packed weights; the other, `across`, is read
// as broadcasts, one for each row of the register tile.
#pragma once

#include <optional>
#include <vector>

#include "compiler/schedule/nest.h"
#include "compiler/schedule/target.h"
#include "compiler/schedule/tile.h"

namespace kiln {

struct Contraction {
  loop::Expr along, across;
  loop::Var vector;  ///< its iterations are lanes
  loop::Var row;     ///< its iterations are rows of a tile; null: there is one row
  loop::Var second;  ///< gives a tile's vectors: `vector` when it is long enough; null: one vector
  int64_t lanes = 1;

  int64_t rows() const { return row ? row->extent : 1; }
  /// Vectors in all, the last perhaps not full.
  int64_t vectors() const;
};

/// `nest` (unit loops dropped, loops collapsed) as a contraction, if it is one that vectors suit.
std::optional<Contraction> MatchContraction(const Nest& nest, const Target& target);

/// The shape of a register tile.
struct TileShape {
  int64_t rows = 1;
  int64_t vectors = 1;
  bool operator==(const TileShape&) const = default;
};

/// The shapes whose accumulators, vectors and a broadcast fit the target's registers, the cheapest
/// first. Equation of the cost: a tile of R rows by V vectors takes max(R*V, R+V, latency) cycles a
/// step of the sum; what counts is the total over whole tiles and edges.
std::vector<TileShape> RankTileShapes(const Contraction& contraction, const Target& target);

Tile ContractionTile(const Contraction& contraction, const TileShape& shape);

/// What covering `row_extent` rows by `vector_extent` vectors with tiles and their edges costs by
/// that equation, for each step of the sum.
double CoverCost(int64_t row_extent, int64_t vector_extent, const TileShape& shape);

/// `nest` with the loops around the tiles in the order that reads least from far memory: a panel of
/// `along` stays in the L2 cache while rows of `across`, as many as the L3 cache keeps, pass by.
/// The other way round where the result is what takes the time: an outer product of few steps.
Nest OrderLoops(const Nest& nest, const Contraction& contraction, const Target& target);

}  // namespace kiln
