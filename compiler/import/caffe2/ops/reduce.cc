// Reductions, searches and losses.
#include <numeric>

#include "compiler/import/caffe2/node.h"
#include "compiler/import/foreign/build.h"

namespace kiln::caffe2_import {

namespace {

Status ReduceAxes(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  std::vector<int64_t> axes = AxesFrom(0, Rank(x));
  if (n.HasArgument("axes")) {
    KILN_ASSIGN_OR_RETURN(axes, NormalAxes(n.Ints("axes"), Rank(x)));
  }
  const bool keep = n.Int("keepdims", 1) != 0;
  return n.Output(Reduce(n.builder(), n.op().kind, x, axes, keep));
}

// The first or last num_reduce_dim dimensions.
Status ReduceEnd(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  const int64_t count = n.Int("num_reduce_dim", 1);
  if (count < 0 || count > Rank(x)) {
    return InvalidInput("cannot reduce ", count, " dimensions of ", x->type().ToString());
  }
  const bool front = n.op().name.find("Front") != std::string::npos;
  std::vector<int64_t> axes(static_cast<size_t>(count));
  std::iota(axes.begin(), axes.end(), front ? 0 : Rank(x) - count);
  return n.Output(Reduce(n.builder(), n.op().kind, x, axes, false));
}

// The sum of |x|^p over everything, [1]; p is 1 or 2, and no root is taken.
Status LpNorm(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  const int64_t p = n.Int("p", 2);
  if (p != 1 && p != 2) return InvalidInput("argument 'p' must be 1 or 2, found ", p);
  const auto terms = p == 1 ? n.Make("abs", {x}) : b.Mul(x, x);
  const char* const kind = n.Int("average") != 0 ? "reduce_mean" : "reduce_sum";
  return n.Output(b.Reshape(Reduce(b, kind, terms, AxesFrom(0, Rank(x)), false), {1}));
}

Status TopK(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(n.Int("axis", -1), Rank(x)));
  const AttributeMap attributes = {{"k", n.Int("k")}, {"axis", axis}};
  KILN_RETURN_IF_ERROR(n.Output(0, n.Make("top_k_values", {x}, attributes)));
  return n.Output(1, n.Make("top_k_indices", {x}, attributes));
}

Status ArgReduce(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(n.Int("axis", -1), Rank(x)));
  return n.Output(
      n.Make(n.op().kind, {x}, {{"axis", axis}, {"keep_dims", n.Int("keepdims", 1) != 0}}));
}

// The labels of [N, classes] as [N, 1] integers.
StatusOr<Op*> Labels(Node& n, const Op* scores) {
  Builder& b = n.builder();
  if (Rank(scores) != 2)
    return InvalidInput("needs [N, classes], found ", scores->type().ToString());
  return b.Cast(b.Reshape(n.input(1), {scores->shape()[0], 1}), ElementType::kI64);
}

// -log p[label], [N]
Status LabelCrossEntropy(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const p, n.input(0));
  const auto picked = n.Make("gather_elements", {p, Labels(n, p)}, {{"axis", 1}});
  const auto safe = n.Make("clip", {picked}, {{"min", 1e-20}});
  return n.Output(n.builder().Reshape(n.Make("neg", {n.Make("log", {safe})}), {p->shape()[0]}));
}

// Outputs the softmax and the mean of -log of it at the labels.
Status SoftmaxWithLoss(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  const auto log_p = n.Make("log_softmax", {x}, {{"axis", 1}});
  const auto picked = n.Make("gather_elements", {log_p, Labels(n, x)}, {{"axis", 1}});
  KILN_RETURN_IF_ERROR(n.Output(0, n.Make("softmax", {x}, {{"axis", 1}})));
  const auto mean = n.Make("neg", {Reduce(b, "reduce_mean", picked, {0, 1}, false)});
  return n.Output(1, b.MulScalar(mean, n.Float("scale", 1)));
}

Status AveragedLoss(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  return n.Output(Reduce(n.builder(), "reduce_mean", x, AxesFrom(0, Rank(x)), false));
}

// The share of rows whose label has fewer than top_k scores as large as its own.
Status Accuracy(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  const auto truth = n.Make("gather_elements", {x, Labels(n, x)}, {{"axis", 1}});
  const auto at_least = b.Cast(n.Make("greater_equal", {x, truth}), ElementType::kF32);
  const auto rivals = b.AddScalar(Reduce(b, "reduce_sum", at_least, {1}, false), -1);
  const auto k = b.Scalar(ElementType::kF32, static_cast<double>(n.Int("top_k", 1)));
  const auto right = b.Cast(n.Make("less", {rivals, k}), ElementType::kF32);
  return n.Output(Reduce(b, "reduce_mean", right, {0}, false));
}

}  // namespace

std::vector<Caffe2Op> ReduceOps() {
  std::vector<Caffe2Op> ops;
  struct Row {
    const char* name;
    const char* kind;
  };
  for (const Row& row : std::initializer_list<Row>{{"ReduceSum", "reduce_sum"},
                                                   {"ReduceMean", "reduce_mean"},
                                                   {"ReduceMax", "reduce_max"},
                                                   {"ReduceMin", "reduce_min"}}) {
    ops.push_back({.name = row.name,
                   .handler = ReduceAxes,
                   .kind = row.kind,
                   .arguments = {"axes", "keepdims"}});
  }
  for (const Row& row : std::initializer_list<Row>{{"ReduceFrontSum", "reduce_sum"},
                                                   {"ReduceFrontMean", "reduce_mean"},
                                                   {"ReduceFrontMax", "reduce_max"},
                                                   {"ReduceBackSum", "reduce_sum"},
                                                   {"ReduceBackMean", "reduce_mean"},
                                                   {"ReduceBackMax", "reduce_max"}}) {
    ops.push_back({.name = row.name,
                   .handler = ReduceEnd,
                   .kind = row.kind,
                   .arguments = {"num_reduce_dim"}});
  }
  ops.push_back({.name = "LpNorm", .handler = LpNorm, .arguments = {"p", "average"}});
  ops.push_back({.name = "TopK", .handler = TopK, .max_outputs = 2, .arguments = {"k", "axis"}});
  ops.push_back({.name = "ArgMax",
                 .handler = ArgReduce,
                 .kind = "argmax",
                 .arguments = {"axis", "keepdims"}});
  ops.push_back({.name = "ArgMin",
                 .handler = ArgReduce,
                 .kind = "argmin",
                 .arguments = {"axis", "keepdims"}});
  ops.push_back({.name = "LabelCrossEntropy", .handler = LabelCrossEntropy, .inputs = {2, 2}});
  ops.push_back({.name = "SoftmaxWithLoss",
                 .handler = SoftmaxWithLoss,
                 .inputs = {2, 2},
                 .max_outputs = 2,
                 .arguments = {"scale", "order"}});
  ops.push_back({.name = "AveragedLoss", .handler = AveragedLoss});
  ops.push_back(
      {.name = "Accuracy", .handler = Accuracy, .inputs = {2, 2}, .arguments = {"top_k"}});
  return ops;
}

}  // namespace kiln::caffe2_import
