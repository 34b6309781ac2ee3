// The graph IR: a Module of functions and parameters; a Graph is a topologically ordered list of
// Ops in SSA form.
//
// An op has exactly one result, so an op *is* its value: `Op*` stands for both. (What has several
// results in a foreign format becomes several ops; split is slices, top_k is two ops.) Graph inputs
// and parameters are ops too (`input`, `parameter`). Ops are made by Builder only, which checks
// them against their definition and infers their type.
//
// Invariants (checked by Verify, see verifier.h): operands stand before their users in the same
// graph; users() lists exactly the ops that have this op as an operand, once per operand slot.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ir/graph/attribute.h"
#include "ir/graph/type.h"
#include "ir/support/status.h"

namespace kiln {

class Graph;
class Module;
struct OpDef;

/// How deep bodies of region ops nest; a function itself is at depth 0.
inline constexpr int kMaxRegionDepth = 32;

class Op {
 public:
  const OpDef& def() const { return *def_; }
  /// The name of the definition: "conv", "add", ...
  const std::string& kind() const;
  bool Is(std::string_view kind_name) const { return kind() == kind_name; }
  bool HasTrait(uint32_t trait) const;

  const TensorType& type() const { return type_; }
  const Shape& shape() const { return type_.shape; }
  ElementType element() const { return type_.element; }

  const std::vector<Op*>& operands() const { return operands_; }
  Op* operand(size_t i) const { return operands_[i]; }
  const std::vector<Op*>& users() const { return users_; }
  Graph* graph() const { return graph_; }

  /// Attributes are complete: the builder has filled in the defaults. The getters require that the
  /// definition declares the attribute with that kind.
  const AttributeMap& attributes() const { return attributes_; }
  const Attribute& attribute(std::string_view name) const { return attributes_.find(name)->second; }
  bool Bool(std::string_view name) const { return attribute(name).as<bool>(); }
  int64_t Int(std::string_view name) const { return attribute(name).as<int64_t>(); }
  double Double(std::string_view name) const { return attribute(name).as<double>(); }
  const std::string& String(std::string_view name) const {
    return attribute(name).as<std::string>();
  }
  const std::vector<int64_t>& Ints(std::string_view name) const {
    return attribute(name).as<std::vector<int64_t>>();
  }
  const std::vector<double>& Doubles(std::string_view name) const {
    return attribute(name).as<std::vector<double>>();
  }
  ElementType Element(std::string_view name) const { return attribute(name).as<ElementType>(); }
  const Tensor& Constant(std::string_view name) const { return attribute(name).as<Tensor>(); }

  /// The body of a region op (`fusion`): its inputs stand for the operands, it has one output.
  Graph* body() const { return body_.get(); }

  /// The SSA name without its `%`; unique in its graph.
  const std::string& name() const { return name_; }
  /// The names that the model's author knows this op by (ONNX node, Caffe layer); a fused op has
  /// those of all its parts.
  const std::vector<std::string>& sources() const { return sources_; }
  void AddSources(const std::vector<std::string>& names);

  void SetOperand(size_t i, Op* operand);
  /// Where the result's elements lie: chosen by the layout passes, no part of what is computed.
  void SetLayout(Layout layout) { type_.layout = std::move(layout); }

 private:
  friend class Graph;
  friend class Builder;
  friend void CopyOps(const Graph& from, Graph& to);
  Op() = default;

  const OpDef* def_ = nullptr;
  Graph* graph_ = nullptr;
  std::string name_;
  TensorType type_;
  std::vector<Op*> operands_;
  std::vector<Op*> users_;
  AttributeMap attributes_;
  std::unique_ptr<Graph> body_;
  std::vector<std::string> sources_;
  int outputs_ = 0;  // how many outputs of the graph have this value
  std::list<std::unique_ptr<Op>>::iterator position_;
};

class Graph {
 public:
  using OpList = std::list<std::unique_ptr<Op>>;

  explicit Graph(Module* module, std::string name) : module_(module), name_(std::move(name)) {}
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  Module* module() const { return module_; }
  const std::string& name() const { return name_; }
  const OpList& ops() const { return ops_; }
  /// A copy of the op pointers in order: safe to walk while ops are added and erased behind it.
  std::vector<Op*> Snapshot() const;
  const std::vector<Op*>& inputs() const { return inputs_; }

  /// What the function returns or, where `update` is set, what it stores into the module's
  /// parameter `name` when it returns: every `parameter` op reads the value from before the call.
  struct Output {
    std::string name;
    Op* value;
    bool update = false;
  };
  const std::vector<Output>& outputs() const { return outputs_; }
  void AddOutput(std::string name, Op* value) { Append({std::move(name), value, false}); }
  void AddUpdate(std::string parameter, Op* value) { Append({std::move(parameter), value, true}); }
  void EraseOutput(size_t i);
  void SetOutput(size_t i, Op* value);
  bool IsOutput(const Op* op) const { return op->outputs_ != 0; }

  /// Every use of `from`, outputs included, becomes a use of `to`; sources move along.
  void ReplaceAllUses(Op* from, Op* to);
  /// Requires that nothing uses `op`.
  void Erase(Op* op);
  /// Erases what no output depends on (inputs stay); returns how many ops went.
  int EraseDeadOps();

  /// An SSA name that no op of this graph has: `hint`, or hint with a number behind it.
  std::string UniqueName(const std::string& hint);

 private:
  friend class Builder;
  void Append(Output output);
  Module* module_;
  std::string name_;
  OpList ops_;
  std::vector<Op*> inputs_;
  std::vector<Output> outputs_;
  std::map<std::string, int, std::less<>> names_;
};

/// A named tensor that outlives a call: weights. Its value may be unknown (no side file).
struct Parameter {
  std::string name;
  Tensor value;
  bool trainable = true;
};

/// An error unless the module has the parameter that `output`, an update, stores into, in its
/// element type and shape.
Status CheckUpdate(const Module& module, const Graph::Output& output);

class Module {
 public:
  std::string name = "module";
  /// Metadata that travels with the model: producer, training settings, ...
  std::map<std::string, std::string> metadata;

  const std::vector<std::unique_ptr<Graph>>& functions() const { return functions_; }
  Graph* AddFunction(std::string name);
  /// nullptr when there is none of that name.
  Graph* FindFunction(std::string_view name) const;
  void EraseFunction(std::string_view name);

  const std::map<std::string, Parameter, std::less<>>& parameters() const { return parameters_; }
  /// Adds or replaces.
  void SetParameter(Parameter parameter);
  const Parameter* FindParameter(std::string_view name) const;
  void EraseParameter(std::string_view name);

  /// A deep copy (tensors share their bytes).
  std::unique_ptr<Module> Clone() const;

 private:
  std::vector<std::unique_ptr<Graph>> functions_;
  std::map<std::string, Parameter, std::less<>> parameters_;
};

}  // namespace kiln
