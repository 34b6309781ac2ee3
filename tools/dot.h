// Pictures of graphs, for Graphviz.
#pragma once

#include <string>

#include "ir/graph/graph.h"

namespace kiln {

/// The module's functions in Graphviz's language, a cluster each: a node for every op but constants
/// and parameters, which are named in the node that reads them.
std::string ToDot(const Module& module);

}  // namespace kiln
