// Tiling: which loop of a nest is the vector, which loops form the register tile, and the tiled
// nest with its edges.
#pragma once

#include <limits>
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
  /// No more than so many of the nest's first loops run in parallel: the others have an order.
  size_t free_loops = std::numeric_limits<size_t>::max();
};

/// The longest loop, the innermost of equals, that `use` accepts; null when it accepts none.
template <typename Predicate>
loop::Var LongestLoop(const Nest& nest, const Predicate& use) {
  loop::Var best;
  for (const loop::Var& var : nest.loops) {
    if (use(var) && (!best || var->extent >= best->extent)) best = var;
  }
  return best;
}

/// Bytes of the widest value that a lane of `nest` computes with.
int64_t WidestLane(const Nest& nest);

/// The loop of `nest` whose iterations best become lanes, one that the store walks contiguously;
/// null when there is none.
loop::Var ChooseVectorLoop(const Nest& nest, int64_t lanes);

/// Picks the tile for a nest (unit loops dropped, loops collapsed) that is no contraction.
Tile ChooseTile(const Nest& nest, const Target& target);

/// The tile of a loop that is known to be safe to vectorise: one vector of `var`.
Tile VectorTile(const Nest& nest, const loop::Var& var, const Target& target);

/// The tiled nest: the outer loops around tiles; whatever does not fill a tile is covered by
/// smaller ones. With `parallel` the first loops are joined into one parallel loop, and there is
/// one statement per section; otherwise there is one statement in all.
std::vector<loop::Stmt> EmitTiled(const Nest& nest, const Tile& tile, bool parallel);

}  // namespace kiln
