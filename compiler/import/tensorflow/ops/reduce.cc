// Reductions, searches and losses.
#include "compiler/import/foreign/build.h"
#include "compiler/import/tensorflow/node.h"

namespace kiln::tensorflow_import {

namespace {

StatusOr<std::vector<int64_t>> Axes(Node& n, const Op* x) {
  KILN_ASSIGN_OR_RETURN(const auto axes, n.KnownInts(1));
  return NormalAxes(axes, Rank(x));
}

bool KeepDims(const Node& n) { return n.Bool("keep_dims") || n.Bool("keepdims"); }

Status ReduceAxes(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  KILN_ASSIGN_OR_RETURN(const auto axes, Axes(n, x));
  return n.Output(Reduce(n.builder(), n.op().kind, x, axes, KeepDims(n)));
}

// Of booleans, as small integers.
Status ReduceLogic(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  KILN_ASSIGN_OR_RETURN(const auto axes, Axes(n, x));
  const auto y = Reduce(b, n.op().kind, b.Cast(x, ElementType::kI32), axes, KeepDims(n));
  return n.Output(b.Cast(y, ElementType::kBool));
}

Status ArgReduce(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  KILN_ASSIGN_OR_RETURN(const int64_t given, n.KnownInt(1));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(given, Rank(x)));
  const auto y = n.Make(n.op().kind, {x}, {{"axis", axis}, {"keep_dims", false}});
  if (n.Find("output_type") == nullptr) return n.Output(y);
  KILN_ASSIGN_OR_RETURN(const ElementType type, n.Type("output_type"));
  return n.Output(n.builder().Cast(y, type));
}

Status TopK(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  KILN_ASSIGN_OR_RETURN(const int64_t k, n.KnownInt(1));
  const AttributeMap attributes = {{"k", k}, {"axis", Rank(x) - 1}};
  KILN_RETURN_IF_ERROR(n.Output(0, n.Make("top_k_values", {x}, attributes)));
  const auto indices = n.Make("top_k_indices", {x}, attributes);
  return n.Output(1, n.builder().Cast(indices, ElementType::kI32));
}

Status CumSum(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  KILN_ASSIGN_OR_RETURN(const int64_t given, n.KnownInt(1));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(given, Rank(x)));
  return n.Output(
      n.Make("cumsum", {x},
             {{"axis", axis}, {"exclusive", n.Bool("exclusive")}, {"reverse", n.Bool("reverse")}}));
}

// half the sum of squares
Status L2Loss(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  return n.Output(
      b.MulScalar(Reduce(b, "reduce_sum", b.Mul(x, x), AxesFrom(0, Rank(x)), false), 0.5));
}

// The loss of each row of [N, classes]; labels are rows of probabilities, or (Sparse) classes.
Status SoftmaxCrossEntropy(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  if (Rank(x) != 2) return InvalidInput("needs [N, classes], found ", x->type().ToString());
  const auto log_p = n.Make("log_softmax", {x}, {{"axis", 1}});
  StatusOr<Op*> picked;
  if (n.op().name.starts_with("Sparse")) {
    const auto labels = b.Reshape(b.Cast(n.input(1), ElementType::kI64), {x->shape()[0], 1});
    picked = b.Reshape(n.Make("gather_elements", {log_p, labels}, {{"axis", 1}}), {x->shape()[0]});
  } else {
    picked = Reduce(b, "reduce_sum", b.Mul(log_p, n.input(1)), {1}, false);
  }
  return n.Output(0, n.Make("neg", {picked}));
}

}  // namespace

std::vector<TensorflowOp> ReduceOps() {
  std::vector<TensorflowOp> ops;
  struct Row {
    const char* name;
    const char* kind;
  };
  for (const Row& row : std::initializer_list<Row>{{"Mean", "reduce_mean"},
                                                   {"Sum", "reduce_sum"},
                                                   {"Max", "reduce_max"},
                                                   {"Min", "reduce_min"},
                                                   {"Prod", "reduce_prod"}}) {
    ops.push_back({.name = row.name,
                   .handler = ReduceAxes,
                   .kind = row.kind,
                   .inputs = {2, 2},
                   .limits = "known axes"});
  }
  for (const Row& row : std::initializer_list<Row>{{"All", "reduce_min"}, {"Any", "reduce_max"}}) {
    ops.push_back({.name = row.name,
                   .handler = ReduceLogic,
                   .kind = row.kind,
                   .inputs = {2, 2},
                   .limits = "known axes"});
  }
  for (const Row& row : std::initializer_list<Row>{{"ArgMax", "argmax"}, {"ArgMin", "argmin"}}) {
    ops.push_back({.name = row.name,
                   .handler = ArgReduce,
                   .kind = row.kind,
                   .inputs = {2, 2},
                   .limits = "known axis"});
  }
  ops.push_back({.name = "TopKV2",
                 .handler = TopK,
                 .inputs = {2, 2},
                 .outputs = {"values", "indices"},
                 .limits = "known k"});
  ops.push_back({.name = "Cumsum", .handler = CumSum, .inputs = {2, 2}, .limits = "known axis"});
  ops.push_back({.name = "L2Loss", .handler = L2Loss});
  for (const char* const name :
       {"SoftmaxCrossEntropyWithLogits", "SparseSoftmaxCrossEntropyWithLogits"}) {
    ops.push_back({.name = name,
                   .handler = SoftmaxCrossEntropy,
                   .inputs = {2, 2},
                   .outputs = {"loss", "backprop"},
                   .limits = "the loss"});
  }
  return ops;
}

}  // namespace kiln::tensorflow_import
