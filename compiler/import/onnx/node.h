// Node: what an operator's handler sees of one ONNX node: operands, attributes, results.
//
// Operands are numbered as in the ONNX specification; those left out (missing or "") do not Have a
// value. Handlers build ops through builder() and hand the results over with Result().
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "compiler/import/onnx/op_table.h"
#include "ir/graph/builder.h"
#include "proto/onnx.pb.h"

namespace kiln::onnx_import {

class GraphImporter;
struct NarrowType;
struct Scope;
struct Value;

class Node {
 public:
  Node(GraphImporter* importer, Scope* scope, const onnx::NodeProto& proto, const OnnxOp& op,
       int opset);

  const OnnxOp& op() const { return op_; }
  int opset() const { return opset_; }
  Builder& builder();
  GraphImporter& importer() { return *importer_; }
  Scope& scope() { return *scope_; }

  // Operands.
  int num_operands() const { return proto_.input_size(); }
  bool Has(int i) const;
  /// The operand as a value of the graph.
  StatusOr<Op*> operand(int i);
  /// All of them; each must be given.
  StatusOr<std::vector<Op*>> operands();
  /// The operand, whatever its kind. It is given.
  Value* value(int i);
  /// The elements of the operand, a sequence.
  StatusOr<std::vector<Op*>> Sequence(int i);
  /// The operand's type, without making it a value of the graph.
  StatusOr<TensorType> OperandType(int i);
  /// The operand's NarrowType; nullptr where it is of none, or missing.
  const NarrowType* Narrow(int i);
  /// The value of operand `name`, which must be known when compiling; otherwise Unimplemented
  /// "operand 'NAME' must be known when compiling". Uses the known graph inputs.
  StatusOr<Tensor> Known(int i, const std::string& name);
  /// The same for one or more integers.
  StatusOr<std::vector<int64_t>> KnownInts(int i, const std::string& name);
  /// The same for exactly one integer.
  StatusOr<int64_t> KnownInt(int i, const std::string& name);
  /// The same for exactly one number.
  StatusOr<double> KnownDouble(int i, const std::string& name);
  /// The operand's value if it is constant, whatever the graph inputs.
  std::optional<Tensor> IfConstant(int i);
  /// The operand is a fixed statistic, not a weight: its parameter is not trained.
  void Freeze(int i);

  // Attributes.
  bool HasAttribute(const std::string& name) const { return Find(name) != nullptr; }
  int64_t Int(const std::string& name, int64_t default_value = 0) const;
  double Float(const std::string& name, double default_value = 0) const;
  std::string String(const std::string& name, const std::string& default_value = "") const;
  std::vector<int64_t> Ints(const std::string& name) const;
  std::vector<double> Floats(const std::string& name) const;
  std::vector<std::string> Strings(const std::string& name) const;
  /// The tensor in attribute `name`, which the node has.
  StatusOr<Tensor> TensorAttribute(const std::string& name) const;
  /// The subgraph in attribute `name`, which the node has.
  const onnx::GraphProto& Subgraph(const std::string& name) const { return Find(name)->g(); }
  /// The element type that an int attribute names; `default_value` when it is absent.
  StatusOr<ElementType> TypeAttribute(const std::string& name, ElementType default_value) const;
  /// The NarrowType that an int attribute names; nullptr where it does not.
  const NarrowType* NarrowAttribute(const std::string& name) const;
  const onnx::AttributeProto* Find(const std::string& name) const;

  /// After another node's ops were made: ops made from now on belong to this one again.
  void Rename();

  // Results.
  int num_results() const { return proto_.output_size(); }
  /// Somebody may read result `i`.
  bool Wants(int i) const;
  /// Sets result `i`; OK when the op is.
  Status Result(int i, const StatusOr<Op*>& value, const NarrowType* narrow = nullptr);
  Status Result(const StatusOr<Op*>& value) { return Result(0, value); }
  /// Sets result `i` to a value of any kind.
  void Define(int i, Value value);
  /// Result `i` failed, and that has been reported.
  void Poison(int i);
  void PoisonAll();
  /// Sets result 0 to a constant.
  Status ConstantResult(Tensor value, const NarrowType* narrow = nullptr);

  /// An op of this node; shorthand for builder().Make.
  StatusOr<Op*> Make(std::string_view kind, const std::vector<StatusOr<Op*>>& operands,
                     AttributeMap attributes = {});

 private:
  GraphImporter* importer_;
  Scope* scope_;
  const onnx::NodeProto& proto_;
  const OnnxOp& op_;
  int opset_;
};

}  // namespace kiln::onnx_import
