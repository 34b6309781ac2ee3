// Casts, and nodes that pass their operand on.
#include "compiler/import/onnx/graph_importer.h"
#include "compiler/import/onnx/node.h"
#include "compiler/import/onnx/tensor.h"

namespace kiln::onnx_import {

namespace {

Status Cast(Node& n) {
  KILN_ASSIGN_OR_RETURN(const ElementType to, n.TypeAttribute("to", ElementType::kF32));
  return n.Result(n.builder().Cast(n.operand(0), to));
}

Status CastLike(Node& n) {
  KILN_ASSIGN_OR_RETURN(const TensorType like, n.OperandType(1));
  return n.Result(n.builder().Cast(n.operand(0), like.element));
}

Status Identity(Node& n) { return n.Result(n.operand(0)); }

// In inference dropout passes its operand on; its mask says that everything was kept. The mask has
// the operand's type before opset 10.
Status PassOn(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.operand(0));
  KILN_RETURN_IF_ERROR(n.Result(0, x));
  if (!n.Wants(1)) return OkStatus();
  const ElementType type = n.opset() < 10 ? x->element() : ElementType::kBool;
  return n.Result(1, n.builder().Broadcast(n.builder().Scalar(type, 1.0), x->shape()));
}

Status Dropout(Node& n) {
  // Opsets 1 and 6 train by default.
  if (n.opset() < 7 && n.Int("is_test") == 0) {
    return Unsupported("Dropout in training mode is not supported");
  }
  if (n.opset() < 12 || !n.Has(2)) return PassOn(n);
  KILN_ASSIGN_OR_RETURN(const double training, n.KnownDouble(2, "training_mode"));
  if (training == 0) return PassOn(n);
  double ratio = 0.5;
  if (n.Has(1)) {
    KILN_ASSIGN_OR_RETURN(ratio, n.KnownDouble(1, "ratio"));
  }
  if (ratio != 0) return Unsupported("Dropout in training mode is not supported");
  return PassOn(n);
}

// Results of a branch as ops; nullopt where one of them failed (which has been reported).
StatusOr<std::vector<Op*>> BranchOps(Node& n, std::vector<Value>& values, bool* poisoned) {
  if (static_cast<int>(values.size()) != n.num_results()) {
    return InvalidInput("a branch gives ", static_cast<int64_t>(values.size()),
                        " results, the node has ", n.num_results());
  }
  std::vector<Op*> ops;
  for (Value& value : values) {
    *poisoned |= value.poisoned();
    if (value.poisoned()) continue;
    KILN_ASSIGN_OR_RETURN(Op* const op, n.importer().ToOp(&value));
    ops.push_back(op);
  }
  return ops;
}

// With a condition that is known, the branch stands in for the node. Otherwise both are computed
// (branches have no side effects) and each result is selected, which needs equal types.
Status If(Node& n) {
  KILN_ASSIGN_OR_RETURN(const TensorType type, n.OperandType(0));
  if (type.element != ElementType::kBool || type.count() != 1) {
    return InvalidInput("the condition must be one bool, found ", type.ToString());
  }
  std::vector<std::string> names = {"then_branch", "else_branch"};
  Op* condition = nullptr;
  if (const auto known = n.Known(0, "cond"); known.ok()) {
    names = {known->GetInt(0) != 0 ? "then_branch" : "else_branch"};
  } else {
    KILN_ASSIGN_OR_RETURN(condition, n.builder().Reshape(n.operand(0), {}));
  }
  bool poisoned = false;
  std::vector<std::vector<Op*>> results;
  for (const std::string& name : names) {
    KILN_ASSIGN_OR_RETURN(auto values, n.importer().ImportBranch(n.Subgraph(name), n.scope()));
    KILN_ASSIGN_OR_RETURN(results.emplace_back(), BranchOps(n, values, &poisoned));
  }
  n.Rename();
  for (int i = 0; i < n.num_results(); ++i) {
    if (poisoned) {
      n.Poison(i);
    } else if (condition == nullptr) {
      KILN_RETURN_IF_ERROR(n.Result(i, results[0][i]));
    } else if (results[0][i]->type() != results[1][i]->type()) {
      return Unsupported("the branches give ", results[0][i]->type().ToString(), " and ",
                         results[1][i]->type().ToString(), ", and the condition is not known");
    } else {
      KILN_RETURN_IF_ERROR(n.Result(i, n.Make("where", {condition, results[0][i], results[1][i]})));
    }
  }
  return OkStatus();
}

}  // namespace

std::vector<OnnxOp> CastOps() {
  std::vector<OnnxOp> ops;
  const AttributeSpec saturate = Since(19, Int("saturate"));    // of 8-bit floats only
  const AttributeSpec round = Since(24, String("round_mode"));  // likewise
  ops.push_back({.name = "Cast",
                 .handler = Cast,
                 .attributes = {Required(Int("to")), saturate, round},
                 .first = 6,
                 .limits = "no strings, no types narrower than 8 bits"});
  ops.push_back({.name = "CastLike",
                 .handler = CastLike,
                 .operands = {2, 2},
                 .attributes = {saturate, round},
                 .limits = "as Cast"});
  ops.push_back({.name = "Identity", .handler = Identity});
  ops.push_back({.name = "Dropout",
                 .handler = Dropout,
                 .operands = {1, 3},
                 .max_results = 2,
                 .attributes = {Until(11, Float("ratio")), Since(12, Int("seed")),
                                Until(6, Int("is_test")), Until(5, Ints("consumed_inputs"))},
                 .limits = "inference, or a ratio of 0"});
  ops.push_back({.name = "If",
                 .handler = If,
                 .max_results = kAny,
                 .attributes = {Required(Body("then_branch")), Required(Body("else_branch"))},
                 .limits = "a condition that is not known when compiling needs branches of equal "
                           "types; both are computed"});
  return ops;
}

}  // namespace kiln::onnx_import
