// The named values of a foreign graph while its nodes become ops: what the readers of formats
// without subgraphs share.
//
// A name stands for an op; or for a tensor that becomes a parameter or constant when the first op
// reads it; or it is poisoned: its node failed, that has been reported, and what depends on it is
// passed over. A name may be defined again (layers that work in place): the last definition counts.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "compiler/import/foreign/known_values.h"
#include "compiler/import/foreign/problems.h"
#include "compiler/import/import.h"
#include "ir/graph/builder.h"

namespace kiln::foreign {

/// `name`, with a number behind it when the module has a parameter of that name.
std::string UniqueParameterName(const Module& module, const std::string& name);

/// Erases the ops that no output depends on, and the parameters that no op reads.
void EraseUnused(Graph* graph);

/// The shape of input `name`: `declared` (nullopt: not even the rank is known; -1: an open
/// dimension) completed from the options; an error when they do not settle it or contradict it.
StatusOr<Shape> InputShape(const std::string& name, const std::optional<Shape>& declared,
                           const ImportOptions& options);

class Values {
 public:
  /// `options` must outlive this.
  Values(Graph* graph, const ImportOptions& options)
      : builder_(graph), options_(options), known_values_(&options.known_inputs) {}

  Builder& builder() { return builder_; }
  const ImportOptions& options() const { return options_; }
  const std::set<std::string>& used_inputs() const { return known_values_.used_inputs(); }

  /// Ops made from now on belong to the node that the user knows as `label`; their names derive
  /// from `result`, the name of its first result.
  void BeginNode(const std::string& label, const std::string& result);

  /// An error when the graph has grown beyond what any real model becomes: a small file can mean
  /// very many ops. Asked before every node.
  Status CheckSize() const;

  bool Has(const std::string& name) const { return values_.contains(name); }
  bool IsPoisoned(const std::string& name) const;
  /// Defines a name as an op, which is called by it if the current node made it.
  void Set(const std::string& name, Op* op);
  /// Defines a name as a weight. The tensor may be unknown (Tensor::Unknown).
  void SetParameter(const std::string& name, Tensor tensor, bool trainable = true);
  void SetConstant(const std::string& name, Tensor tensor);
  void Poison(const std::string& name);
  /// A graph input.
  Status SetInput(const std::string& name, const TensorType& type);

  /// The value as an op, made now if need be. An error when it is undefined; it is not poisoned.
  StatusOr<Op*> Get(const std::string& name);
  /// The type, without making an op.
  StatusOr<TensorType> TypeOf(const std::string& name);
  /// What the value is known to hold when compiling; Unimplemented, saying what it depends on, when
  /// it is not known. Uses the known inputs of the options.
  StatusOr<Tensor> Known(const std::string& name);
  StatusOr<Tensor> Known(const Op* op) { return known_values_.Find(op, KnownValues::Inputs::kUse); }
  /// The value, if it is one whatever the inputs hold.
  std::optional<Tensor> IfConstant(const std::string& name);
  /// The parameter that this name stands for, if it does, is a statistic and is not trained.
  void Freeze(const std::string& name);

 private:
  enum class Kind { kOp, kParameter, kConstant, kPoisoned };
  struct Value {
    Kind kind = Kind::kPoisoned;
    Op* op = nullptr;  // set from the start (kOp) or from the first use
    Tensor tensor;     // of kParameter and kConstant
    bool trainable = true;
  };

  StatusOr<Value*> Find(const std::string& name);

  Builder builder_;
  const ImportOptions& options_;
  KnownValues known_values_;
  std::map<std::string, Value> values_;
  std::string part_;  // what ops of the current node are called until they are renamed
};

}  // namespace kiln::foreign
