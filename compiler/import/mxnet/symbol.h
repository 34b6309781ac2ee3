// MXNet's symbols: graphs as JSON, in the dialects of all versions.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "ir/support/status.h"

namespace kiln::mxnet_import {

/// Output `index` of node `node`.
struct Entry {
  int node = 0;
  int index = 0;
};

struct SymbolNode {
  std::string op;    ///< "null" for a variable
  std::string name;  ///< unique
  std::map<std::string, std::string> attributes;
  std::vector<Entry> inputs;  ///< of earlier nodes
};

struct Symbol {
  std::vector<SymbolNode> nodes;  ///< in topological order
  std::vector<Entry> heads;       ///< the outputs
};

/// Whether `bytes` look like a symbol.
bool LooksLikeSymbol(std::span<const char> bytes);

/// Reads a symbol; attributes stand under "param" (up to 0.9; there "attr" holds the user's own),
/// "attr" or "attrs".
StatusOr<Symbol> ReadSymbol(std::span<const char> bytes);

}  // namespace kiln::mxnet_import
