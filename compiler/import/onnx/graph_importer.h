// GraphImporter: turns ONNX nodes into ops of a Kiln graph, in order, each by its operator's
// handler. Functions that the model defines and the bodies of control flow are inlined. Sequences
// have a known length: they exist while importing only, as lists of ops.
//
// A node that fails does not stop the import: its results become poisoned, what depends on them is
// passed over, and all failures are reported together.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "compiler/import/foreign/known_values.h"
#include "compiler/import/import.h"
#include "compiler/import/onnx/model.h"
#include "compiler/import/onnx/narrow_type.h"
#include "compiler/import/onnx/preflight.h"
#include "compiler/import/onnx/tensor.h"
#include "ir/graph/builder.h"

namespace kiln::onnx_import {

class Node;
struct OnnxOp;

/// A named value of an ONNX graph: an op; or a tensor that becomes a parameter or constant when the
/// first op reads it; or a sequence of tensors; or an optional that is absent (one that is there is
/// what it holds); or poisoned.
struct Value {
  enum class Kind { kOp, kInitializer, kConstant, kSequence, kAbsent, kPoisoned };
  Kind kind = Kind::kPoisoned;
  Op* op = nullptr;           ///< set from the start (kOp) or from the first use as an operand
  Tensor tensor;              ///< of kInitializer and kConstant
  std::string name;           ///< of kInitializer and kConstant
  std::vector<Op*> elements;  ///< of kSequence
  const NarrowType* narrow = nullptr;  ///< of a tensor, where it is of one

  static Value FromOp(Op* op, const NarrowType* narrow = nullptr) {
    return {Kind::kOp, op, {}, {}, {}, narrow};
  }
  static Value Sequence(std::vector<Op*> elements) {
    return {Kind::kSequence, nullptr, {}, {}, std::move(elements)};
  }
  static Value Absent() { return {Kind::kAbsent, nullptr, {}, {}, {}}; }
  static Value Initializer(std::string name, Tensor tensor, const NarrowType* narrow = nullptr) {
    return {Kind::kInitializer, nullptr, std::move(tensor), std::move(name), {}, narrow};
  }
  static Value Constant(std::string name, Tensor tensor, const NarrowType* narrow = nullptr) {
    return {Kind::kConstant, nullptr, std::move(tensor), std::move(name), {}, narrow};
  }
  bool poisoned() const { return kind == Kind::kPoisoned; }
  bool is_sequence() const { return kind == Kind::kSequence; }
  /// OK, or what it is instead of a tensor.
  Status CheckTensor() const;
  /// Of a tensor, as it is held.
  const TensorType& type() const { return kind == Kind::kOp ? op->type() : tensor.type(); }
};

/// The names of one graph; those of the graphs around it are visible too.
struct Scope {
  Scope* outer = nullptr;
  const Opsets* opsets = nullptr;
  std::map<std::string, Value> values;

  /// nullptr when there is no such value.
  Value* Find(const std::string& name);
  void Define(const std::string& name, Value value) { values[name] = std::move(value); }
};

class GraphImporter {
 public:
  GraphImporter(Graph* graph, const ImportOptions& options, const Functions& functions,
                ExternalData external_data)
      : builder_(graph),
        options_(options),
        functions_(functions),
        known_values_(&options.known_inputs),
        external_data_(std::move(external_data)) {}

  /// Imports the main graph into the Kiln graph. Takes the raw data of its initializers.
  Status Import(onnx::GraphProto* graph, const Opsets& opsets);

  Builder& builder() { return builder_; }
  ExternalData& external_data() { return external_data_; }
  const std::set<std::string>& used_inputs() const { return known_values_.used_inputs(); }

  /// The value as an op, made now if need be. It is not poisoned.
  StatusOr<Op*> ToOp(Value* value);
  /// What the value is known to hold when compiling.
  StatusOr<Tensor> ValueOf(const Value& value, KnownValues::Inputs inputs);
  /// Marks the parameter that `value` is, if it is one, as not trained.
  void Freeze(const Value& value);

  /// Ops made from now on belong to `node`.
  void NameOps(const onnx::NodeProto& node);

  /// The scope of a node's subgraph, with its initializers, for ImportBody.
  StatusOr<Scope> OpenBody(const onnx::GraphProto& body, Scope& outer);
  /// Imports the subgraph for these inputs; returns its results. A failure inside is recorded and
  /// the result is poisoned. A loop calls it once a step.
  StatusOr<std::vector<Value>> ImportBody(const onnx::GraphProto& body, Scope& scope,
                                          const std::vector<Value>& inputs);

 private:
  /// Shapes are given for inputs that exist.
  Status CheckInputOptions(const onnx::GraphProto& graph) const;
  Status MakeInputs(const onnx::GraphProto& graph, Scope& scope);
  StatusOr<Value> MakeInput(const std::string& name, const onnx::TypeProto& type);
  StatusOr<TensorType> InputType(const std::string& name,
                                 const onnx::TypeProto::Tensor& tensor) const;
  Status MakeInitializers(onnx::GraphProto* graph, Scope& scope);
  /// Imports nodes in a good order; failures of single nodes go to problems_.
  Status ImportNodes(const Nodes& nodes, Scope& scope);
  Status ImportNode(const onnx::NodeProto& node, Scope& scope);
  Status ImportOperator(const onnx::NodeProto& node, Scope& scope);
  /// OK, or that `op` refuses an operand's type.
  Status CheckNarrow(const onnx::NodeProto& node, const OnnxOp& op, Scope& scope) const;
  /// Calls the op of a result by the result's name, if its name begins with `part`.
  void NameResult(const std::string& name, const Value& value, const std::string& part);
  Status ImportCall(const onnx::NodeProto& node, const onnx::FunctionProto& function, Scope& scope);
  Status MakeOutputs(const onnx::GraphProto& graph, Scope& scope);

  Builder builder_;
  const ImportOptions& options_;
  const Functions& functions_;
  KnownValues known_values_;
  ExternalData external_data_;
  ProblemList problems_;
  int64_t nodes_ = 0;  ///< imported, inlined ones counted each time
  int depth_ = 0;      ///< of inlined bodies
};

}  // namespace kiln::onnx_import
