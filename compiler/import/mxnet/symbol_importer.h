// SymbolImporter: turns the nodes of an MXNet symbol into ops of a Kiln graph. A node that fails
// does not stop the import: its outputs become poisoned, what depends on them is passed over, and
// all failures are reported together.
#pragma once

#include <set>
#include <string>

#include "compiler/import/foreign/values.h"
#include "compiler/import/mxnet/params.h"
#include "compiler/import/mxnet/symbol.h"

namespace kiln::mxnet_import {

/// The name of a node's output `i` among the values.
std::string ValueName(const SymbolNode& node, int i);

/// Everything in the symbol that is not supported, at once.
Status Preflight(const Symbol& symbol);

class SymbolImporter {
 public:
  SymbolImporter(Graph* graph, const ImportOptions& options, const Symbol& symbol, Arrays arrays)
      : values_(graph, options), symbol_(symbol), arrays_(std::move(arrays)) {}

  Status Import();

  foreign::Values& values() { return values_; }
  /// The value of an entry; a variable without a value becomes a graph input.
  StatusOr<Op*> Input(const Entry& entry);
  /// The value of an entry as a weight of `shape`.
  StatusOr<Op*> Weight(const Entry& entry, const Shape& shape, bool trainable);

 private:
  Status ImportNode(const SymbolNode& node);
  Status MakeInput(const SymbolNode& node);
  Status MakeOutputs();

  foreign::Values values_;
  const Symbol& symbol_;
  Arrays arrays_;
  foreign::ProblemList problems_;
  std::set<std::string> inputs_;
};

}  // namespace kiln::mxnet_import
