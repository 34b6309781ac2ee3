// GraphImporter: turns the nodes of a TensorFlow graph into ops of a Kiln graph. A node that fails
// does not stop the import: its outputs become poisoned, what depends on them is passed over, and
// all failures are reported together.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "compiler/import/foreign/values.h"
#include "compiler/import/tensorflow/graph.h"

namespace kiln::tensorflow_import {

/// The values of variables by name; empty for a frozen graph.
using Variables = std::map<std::string, Tensor>;

/// A result of the graph and the name it has for the user.
struct NamedOutput {
  std::string name;
  Reference value;
};

class GraphImporter {
 public:
  GraphImporter(Graph* kiln_graph, const ImportOptions& options, const FlatGraph& graph,
                const Variables& variables, std::map<std::string, std::string> input_names)
      : values_(kiln_graph, options),
        graph_(graph),
        variables_(variables),
        input_names_(std::move(input_names)) {}

  Status Import(const std::vector<NamedOutput>& outputs);

  foreign::Values& values() { return values_; }
  const FlatGraph& graph() const { return graph_; }
  /// nullptr when there is no such variable.
  const Tensor* FindVariable(const std::string& name) const;
  /// A graph input for the node `name`, which the user may know by another name.
  Status MakeInput(const std::string& name, ElementType element,
                   const std::optional<Shape>& declared);
  void MarkDead(const std::string& value) { dead_.insert(value); }
  bool IsDead(const std::string& value) const { return dead_.contains(value); }

 private:
  /// Everything that is not supported in the nodes, at once.
  Status Preflight(const std::vector<const FlatNode*>& nodes) const;
  Status ImportNode(const FlatNode& node);
  Status MakeOutputs(const std::vector<NamedOutput>& outputs);

  foreign::Values values_;
  const FlatGraph& graph_;
  const Variables& variables_;
  std::map<std::string, std::string> input_names_;  // by node: those of a signature
  foreign::ProblemList problems_;
  std::set<std::string> inputs_;
  std::set<std::string> dead_;
};

}  // namespace kiln::tensorflow_import
