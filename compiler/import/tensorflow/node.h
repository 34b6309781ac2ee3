// Node: what an operator's handler sees of one TensorFlow node: inputs, attributes, outputs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "compiler/import/foreign/values.h"
#include "compiler/import/tensorflow/graph.h"
#include "compiler/import/tensorflow/op_table.h"
#include "ir/graph/builder.h"

namespace kiln::tensorflow_import {

class GraphImporter;

class Node {
 public:
  Node(GraphImporter* importer, const FlatNode& node, const TensorflowOp& op)
      : importer_(importer), node_(node), op_(op) {}

  const TensorflowOp& op() const { return op_; }
  const std::string& name() const { return node_.name; }
  GraphImporter& importer() { return *importer_; }
  Values& values();
  Builder& builder();

  int num_inputs() const { return static_cast<int>(node_.inputs.size()); }
  bool Has(int i) const { return i < num_inputs(); }
  /// The name of input `i` among the values.
  std::string input_name(int i) const;
  /// The node that makes input `i`; nullptr when it is not there.
  const FlatNode* Producer(int i) const;
  StatusOr<Op*> input(int i);
  StatusOr<std::vector<Op*>> inputs(int first, int count);
  /// What input `i` holds, which must be known when compiling.
  StatusOr<Tensor> Known(int i);
  StatusOr<std::vector<int64_t>> KnownInts(int i);
  StatusOr<int64_t> KnownInt(int i);

  const tensorflow::AttrValue* Find(const std::string& name) const;
  int64_t Int(const std::string& name, int64_t otherwise = 0) const;
  double Float(const std::string& name, double otherwise = 0) const;
  bool Bool(const std::string& name, bool otherwise = false) const;
  std::string String(const std::string& name, const std::string& otherwise = "") const;
  std::vector<int64_t> Ints(const std::string& name) const;
  StatusOr<ElementType> Type(const std::string& name) const;
  /// Whether channels come first (data_format NCHW).
  bool ChannelsComeFirst() const { return String("data_format").starts_with("NC"); }

  Status Output(int i, const StatusOr<Op*>& value);
  Status Output(const StatusOr<Op*>& value) { return Output(0, value); }
  /// Output 0 is constant; a weight, if it is a tensor of floats.
  Status ConstantOutput(Tensor value);
  /// Output `i` is never computed: the other branch of a Switch was taken.
  void DeadOutput(int i);
  std::string output_name(int i) const { return Reference{node_.name, i}.ToString(); }

  StatusOr<Op*> Make(std::string_view kind, const std::vector<StatusOr<Op*>>& operands,
                     AttributeMap attributes = {}) {
    return builder().Make(kind, operands, std::move(attributes));
  }

 private:
  GraphImporter* importer_;
  const FlatNode& node_;
  const TensorflowOp& op_;
};

/// Operands of one float type: where some are halves and others are not (weights squeezed after
/// training), the halves are cast.
Status PromoteHalves(Builder& b, std::vector<Op*>& operands);

/// Attributes of any node.
std::string StringAttribute(const FlatNode& node, const std::string& name,
                            const std::string& otherwise);
std::vector<int64_t> IntsAttribute(const FlatNode& node, const std::string& name);

}  // namespace kiln::tensorflow_import
