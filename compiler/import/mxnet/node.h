// Node: what an operator's handler sees of one MXNet node: inputs, attributes, outputs.
//
// A variable that no .params file fills is a graph input when it is read by input(), and a weight
// of unknown value when it is read by weight(), which knows its shape.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "compiler/import/foreign/values.h"
#include "compiler/import/mxnet/op_table.h"
#include "compiler/import/mxnet/symbol.h"
#include "ir/graph/builder.h"

namespace kiln::mxnet_import {

class SymbolImporter;

class Node {
 public:
  Node(SymbolImporter* importer, const SymbolNode& node, const MxnetOp& op)
      : importer_(importer), node_(node), op_(op) {}

  const MxnetOp& op() const { return op_; }
  Builder& builder();

  int num_inputs() const { return static_cast<int>(node_.inputs.size()); }
  bool Has(int i) const { return i < num_inputs(); }
  StatusOr<Op*> input(int i);
  StatusOr<std::vector<Op*>> inputs();
  /// Input `i`, a weight of this shape. (Leading extents of 1 may differ.)
  StatusOr<Op*> weight(int i, const Shape& shape);
  /// The same for a statistic, which is not trained.
  StatusOr<Op*> statistic(int i, const Shape& shape);

  // Attributes are text in the files. A malformed one is an error at the first read; handlers ask
  // for Problem() once they have read what they need, or rely on Output, which does.
  bool HasAttribute(const std::string& name) const { return node_.attributes.contains(name); }
  int64_t Int(const std::string& name, int64_t otherwise = 0);
  double Float(const std::string& name, double otherwise = 0);
  bool Bool(const std::string& name, bool otherwise = false);
  std::string String(const std::string& name, const std::string& otherwise = "") const;
  /// "(3, 3)", "[3,3]" or "3"; `None` entries are nullopt.
  std::vector<std::optional<int64_t>> OptionalInts(const std::string& name);
  std::vector<int64_t> Ints(const std::string& name);
  const Status& Problem() const { return problem_; }

  Status Output(int i, const StatusOr<Op*>& value);
  Status Output(const StatusOr<Op*>& value) { return Output(0, value); }

  StatusOr<Op*> Make(std::string_view kind, const std::vector<StatusOr<Op*>>& operands,
                     AttributeMap attributes = {}) {
    return builder().Make(kind, operands, std::move(attributes));
  }

 private:
  void Malformed(const std::string& name);

  SymbolImporter* importer_;
  const SymbolNode& node_;
  const MxnetOp& op_;
  Status problem_;
};

}  // namespace kiln::mxnet_import
