// Builder: the only way to make an op. It checks operands and attributes against the definition,
// fills in defaults, infers the type, and inserts the op at a given place.
//
// Operands are StatusOr<Op*>, so calls nest and an error in an inner one comes out of the outer:
//   b.Make("mul", {x, b.Make("tanh", {b.Make("softplus", {x})})})
#pragma once

#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ir/graph/graph.h"
#include "ir/support/status.h"

namespace kiln {

class Builder {
 public:
  /// Inserts before `before`, or at the end of the graph when it is null.
  explicit Builder(Graph* graph, Op* before = nullptr) : graph_(graph), before_(before) {}

  Graph* graph() const { return graph_; }
  void SetInsertionPoint(Op* before) { before_ = before; }
  /// Every op made from now on is known to the user by these names.
  void SetSources(std::vector<std::string> sources) { sources_ = std::move(sources); }
  /// The SSA name that the next ops derive theirs from; by default the op's kind.
  void SetNameHint(std::string hint) { hint_ = std::move(hint); }

  /// Gives an op of this graph the SSA name `name`, or one derived from it when it is taken.
  void Rename(Op* op, const std::string& name);

  StatusOr<Op*> Make(std::string_view kind, const std::vector<StatusOr<Op*>>& operands,
                     AttributeMap attributes = {});
  /// A region op. `body` has one input per operand, of the operand's type, and one output.
  StatusOr<Op*> MakeRegion(std::string_view kind, const std::vector<Op*>& operands,
                           std::unique_ptr<Graph> body, AttributeMap attributes = {});
  /// A graph input of public name `name` (its first source); the SSA name is derived from the hint
  /// or else from it.
  StatusOr<Op*> Input(const std::string& name, TensorType type);
  /// Reads the module's parameter `name`.
  StatusOr<Op*> Parameter(const std::string& name);
  StatusOr<Op*> Constant(Tensor value);
  /// A rank-0 constant.
  StatusOr<Op*> Scalar(ElementType element, double value);

  // The commonest ops by name.
  StatusOr<Op*> Add(StatusOr<Op*> a, StatusOr<Op*> b) { return Make("add", {a, b}); }
  StatusOr<Op*> Sub(StatusOr<Op*> a, StatusOr<Op*> b) { return Make("sub", {a, b}); }
  StatusOr<Op*> Mul(StatusOr<Op*> a, StatusOr<Op*> b) { return Make("mul", {a, b}); }
  StatusOr<Op*> Div(StatusOr<Op*> a, StatusOr<Op*> b) { return Make("div", {a, b}); }
  StatusOr<Op*> Reshape(StatusOr<Op*> x, Shape shape);
  StatusOr<Op*> Transpose(StatusOr<Op*> x, std::vector<int64_t> permutation);
  StatusOr<Op*> Cast(StatusOr<Op*> x, ElementType to);
  StatusOr<Op*> Broadcast(StatusOr<Op*> x, Shape shape);
  /// `x` op scalar, with the scalar in x's element type.
  StatusOr<Op*> MulScalar(StatusOr<Op*> x, double scalar);
  StatusOr<Op*> AddScalar(StatusOr<Op*> x, double scalar);

  /// A copy of `op` with other operands (and a deep copy of its body), inserted here.
  StatusOr<Op*> CloneOp(const Op& op, const std::vector<Op*>& operands);

 private:
  StatusOr<Op*> Finish(std::unique_ptr<Op> op);
  Graph* graph_;
  Op* before_;
  std::vector<std::string> sources_;
  std::string hint_;
};

/// `hint` as an SSA name: what is not a letter, digit, '_', '.', '-' or '/' becomes '_'. The text
/// form relies on it.
std::string SsaName(const std::string& hint);

/// A deep copy of `graph` into `module` under `name` (`module` may be the same).
std::unique_ptr<Graph> CloneGraph(const Graph& graph, Module* module, std::string name);
/// The same as a function of `module`, which has none of that name.
Graph* CloneFunction(const Graph& graph, Module& module, std::string name);

}  // namespace kiln
