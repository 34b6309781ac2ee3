// Tiling: which loop of a nest is the vector, which loops form the register tile, and the tiled
// nest with its edges.
#pragma once

#include <vector>

#include "compiler/schedule/nest.h"
#include "compiler/schedule/target.h"

namespace kiln {

/// One loop's part in a tile: how many of its iterations a tile holds.
struct TileLoop {
  loop::Var var;
  int64_t size = 1;
  bool vector = false;  ///< lanes of vectors, `size` is then lanes * vectors
};

/// A tile of at most three loops. Empty: scalar code.
struct Tile {
  std::vector<TileLoop> loops;
  int64_t lanes = 1;
};

/// Picks the tile for `nest` (unit loops dropped, loops collapsed).
///
/// Equation of the cost: a tile of R broadcast rows by V vectors takes max(R*V, R+V, latency)
/// cycles a reduction step; the total over whole tiles and edges is the least of all R, V whose
/// R*V accumulators, V vectors and a broadcast fit the target's registers.
Tile ChooseTile(const Nest& nest, const Target& target);

/// `nest` with the loops around the tiles of a contraction in the order that reads least from far
/// memory: a panel of the factor that is read as vectors (the weights) stays in the L2 cache while
/// rows of the other factor, as many as the L3 cache keeps, pass by.
Nest OrderLoops(const Nest& nest, const Tile& tile, const Target& target);

/// The tile of a loop that is known to be safe to vectorise: one vector of `var`.
Tile VectorTile(const Nest& nest, const loop::Var& var, const Target& target);

/// The tiled nest: the outer loops around tiles; whatever does not fill a tile is covered by
/// smaller ones. With `parallel` the first loops are joined into one parallel loop, and there is
/// one statement per section; otherwise there is one statement in all.
std::vector<loop::Stmt> EmitTiled(const Nest& nest, const Tile& tile, bool parallel);

}  // namespace kiln
