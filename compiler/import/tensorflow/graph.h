// TensorFlow graphs made flat: functions inlined, references resolved, in the order of use.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "ir/support/status.h"
#include "proto/tensorflow.pb.h"

namespace kiln::tensorflow_import {

/// Output `index` of the node called `node`.
struct Reference {
  std::string node;
  int index = 0;
  bool operator<(const Reference& other) const {
    return std::tie(node, index) < std::tie(other.node, other.index);
  }
  /// "node" or "node:1".
  std::string ToString() const;
};

using Attributes = google::protobuf::Map<std::string, tensorflow::AttrValue>;

struct FlatNode {
  std::string name;  ///< those of a function's body begin with the name of the node that calls it
  std::string op;
  std::vector<Reference> inputs;  ///< without control inputs
  const Attributes* attributes = nullptr;
};

/// The nodes of a GraphDef, which must outlive it.
class FlatGraph {
 public:
  /// Inlines the functions that nodes call.
  static StatusOr<FlatGraph> Make(const tensorflow::GraphDef& graph);

  const FlatNode* Find(const std::string& name) const;
  /// The version of what wrote the graph.
  int producer() const { return producer_; }
  const std::map<std::string, FlatNode>& nodes() const { return nodes_; }
  /// Follows calls to what they return.
  Reference Resolve(Reference reference) const;

  /// The nodes that `outputs` depend on, each behind what it reads; an error for a cycle or a node
  /// that is not there.
  StatusOr<std::vector<const FlatNode*>> Order(const std::vector<Reference>& outputs) const;

  /// What nobody reads, but for nodes that have no place in a graph that only computes (Assert,
  /// Assign, SaveV2, ...), in the order of the file.
  std::vector<Reference> Leaves() const;

 private:
  class Inliner;
  std::map<std::string, FlatNode> nodes_;
  std::vector<std::string> order_;            // of the file
  std::map<Reference, Reference> forwarded_;  // outputs of calls, arguments of functions
  int producer_ = 0;
};

/// "name:1" of a graph's node, without the "^" of control inputs.
Reference ParseReference(const std::string& text);

}  // namespace kiln::tensorflow_import
