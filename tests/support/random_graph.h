// Random valid graphs, for tests that compare ways to run a graph.
//
// Ops are drawn from the whole catalogue, AllOps(): those with a recipe in random_recipes.cc get
// fitting attributes and operands, all others are tried on random operands. The definition's own
// checks decide what is valid. Extents are boundary cases: 1, primes, powers of two and one beside
// them, sometimes 0.
//
// Values stay comparable: the graph is interpreted while it grows, once exactly and once with every
// rounded value disturbed in its last places, and an op is kept only when both agree closely, are
// finite and not huge. So no graph divides by a difference of rounding errors or takes the floor of
// a value that may fall on either side.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ir/graph/graph.h"
#include "ir/support/status.h"
#include "tests/support/arrays.h"

namespace kiln {

struct RandomGraphOptions {
  int min_ops = 5;
  int max_ops = 30;
  /// Only these kinds of op (and leaves) when not empty.
  std::vector<std::string> kinds;
};

/// A module with one function, "forward". Its inputs are RandomInputs(graph, seed); results of
/// different ways to run it agree within GraphTolerance.
StatusOr<std::unique_ptr<Module>> RandomModule(uint64_t seed,
                                               const RandomGraphOptions& options = {});

/// The tolerance for a random module, by its narrowest float type.
Tolerance GraphTolerance(const Module& module);

}  // namespace kiln
