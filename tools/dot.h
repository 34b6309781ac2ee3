// Pictures of graphs.
#pragma once

#include <string>

#include "ir/graph/graph.h"

namespace kiln {

/// The function in Graphviz's language: a node for every op but constants and parameters, which
/// are named in the node that reads them.
std::string ToDot(const Graph& graph);

/// The module's text as a web page without scripts: every use of a value links to its definition.
std::string ToHtml(const Module& module);

}  // namespace kiln
