// Normalisations: SpatialBN, LRN, Softmax, InstanceNorm, LayerNorm, GroupNorm, RMSNorm.
#include "compiler/import/caffe2/node.h"
#include "compiler/import/foreign/build.h"

namespace kiln::caffe2_import {

namespace {

Status SpatialBn(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.IsNhwc() ? ChannelsFirst(b, n.input(0)) : n.input(0));
  if (n.num_inputs() != 5) {
    return Unsupported("normalising by the batch's own statistics is not supported");
  }
  std::vector<StatusOr<Op*>> operands = {x};
  for (int i = 1; i < 5; ++i) operands.push_back(n.input(i));
  n.Freeze(3);
  n.Freeze(4);
  const auto y = n.Make("batch_norm", operands, {{"epsilon", n.Float("epsilon", 1e-5)}});
  return n.Output(n.IsNhwc() ? ChannelsLast(b, y) : y);
}

Status Lrn(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.IsNhwc() ? ChannelsFirst(b, n.input(0)) : n.input(0));
  const auto y = n.Make("lrn", {x},
                        {{"size", n.Int("size")},
                         {"alpha", n.Float("alpha")},
                         {"beta", n.Float("beta")},
                         {"bias", n.Float("bias", 1)}});
  return n.Output(n.IsNhwc() ? ChannelsLast(b, y) : y);
}

// The dimensions from `axis` on are taken as one.
Status Softmax(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(n.Int("axis", 1), Rank(x)));
  if (axis == Rank(x) - 1) return n.Output(n.Make(n.op().kind, {x}, {{"axis", axis}}));
  const auto middle = x->shape().begin() + axis;
  const auto rows = b.Reshape(
      x, {ElementCount({x->shape().begin(), middle}), ElementCount({middle, x->shape().end()})});
  return n.Output(b.Reshape(n.Make(n.op().kind, {rows}, {{"axis", 1}}), x->shape()));
}

Status InstanceNorm(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.IsNhwc() ? ChannelsFirst(b, n.input(0)) : n.input(0));
  StatusOr<Op*> y = n.Make("instance_norm", {x}, {{"epsilon", n.Float("epsilon", 1e-5)}});
  y = b.Add(b.Mul(y, AlongAxis(b, n.input(1), 1, Rank(x))), AlongAxis(b, n.input(2), 1, Rank(x)));
  return n.Output(n.IsNhwc() ? ChannelsLast(b, y) : y);
}

// Outputs 1 and 2 are mean and standard deviation, [N.., 1].
Status LayerNorm(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(n.Int("axis", 1), Rank(x)));
  const double epsilon = n.Float("epsilon", 1e-5);
  const Shape inner(x->shape().begin() + axis, x->shape().end());
  StatusOr<Op*> y = n.Make("layer_norm", {x}, {{"axis", axis}, {"epsilon", epsilon}});
  if (n.Has(1)) y = b.Mul(y, b.Reshape(n.input(1), inner));
  if (n.Has(2)) y = b.Add(y, b.Reshape(n.input(2), inner));
  KILN_RETURN_IF_ERROR(n.Output(0, y));
  if (n.num_outputs() == 1) return OkStatus();
  Shape outer(x->shape().begin(), x->shape().begin() + axis);
  outer.push_back(1);
  const auto axes = AxesFrom(axis, Rank(x));
  const auto mean = Reduce(b, "reduce_mean", x, axes, true);
  const auto centred = b.Sub(x, mean);
  const auto variance = Reduce(b, "reduce_mean", b.Mul(centred, centred), axes, true);
  KILN_RETURN_IF_ERROR(n.Output(1, b.Reshape(mean, outer)));
  return n.Output(2, b.Reshape(n.Make("sqrt", {b.AddScalar(variance, epsilon)}), outer));
}

Status GroupNorm(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.IsNhwc() ? ChannelsFirst(b, n.input(0)) : n.input(0));
  const int64_t groups = n.Int("group", 32);
  if (Rank(x) < 2 || groups < 1 || x->shape()[1] % groups != 0) {
    return InvalidInput(x->type().ToString(), " does not divide into ", groups, " groups");
  }
  const int64_t batch = std::max<int64_t>(x->shape()[0], 1);
  const auto rows = b.Reshape(x, {x->shape()[0], groups, x->type().count() / batch / groups});
  const auto normal =
      n.Make("layer_norm", {rows}, {{"axis", 2}, {"epsilon", n.Float("epsilon", 1e-5)}});
  const auto y = b.Add(b.Mul(b.Reshape(normal, x->shape()), AlongAxis(b, n.input(1), 1, Rank(x))),
                       AlongAxis(b, n.input(2), 1, Rank(x)));
  return n.Output(n.IsNhwc() ? ChannelsLast(b, y) : y);
}

// x / sqrt(mean x^2 + eps) * gamma + beta over the last dimension; output 1 is the reciprocal root.
Status RmsNorm(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  if (Rank(x) < 1) return InvalidInput("needs at least one dimension");
  const int64_t last = Rank(x) - 1;
  const auto square = Reduce(b, "reduce_mean", b.Mul(x, x), {last}, true);
  const auto scale =
      n.Make("reciprocal", {n.Make("sqrt", {b.AddScalar(square, n.Float("eps", 0))})});
  KILN_RETURN_IF_ERROR(n.Output(0, b.Add(b.Mul(b.Mul(x, scale), n.input(1)), n.input(2))));
  return n.Output(1, b.Reshape(scale, Shape(x->shape().begin(), x->shape().end() - 1)));
}

}  // namespace

std::vector<Caffe2Op> NormalizationOps() {
  std::vector<Caffe2Op> ops;
  ops.push_back({.name = "SpatialBN",
                 .handler = SpatialBn,
                 .inputs = {3, 7},
                 .max_outputs = 5,
                 .arguments = {"epsilon", "order", "momentum", "num_batches"},
                 .limits = "by given statistics"});
  ops.push_back({.name = "LRN",
                 .handler = Lrn,
                 .max_outputs = 2,
                 .arguments = {"size", "alpha", "beta", "bias", "order"}});
  ops.push_back(
      {.name = "Softmax", .handler = Softmax, .kind = "softmax", .arguments = {"axis", "order"}});
  ops.push_back({.name = "LogSoftmax",
                 .handler = Softmax,
                 .kind = "log_softmax",
                 .arguments = {"axis", "order"}});
  ops.push_back({.name = "InstanceNorm",
                 .handler = InstanceNorm,
                 .inputs = {3, 3},
                 .arguments = {"epsilon", "order"}});
  ops.push_back({.name = "LayerNorm",
                 .handler = LayerNorm,
                 .inputs = {1, 3},
                 .max_outputs = 3,
                 .arguments = {"axis", "epsilon", "elementwise_affine"}});
  ops.push_back({.name = "GroupNorm",
                 .handler = GroupNorm,
                 .inputs = {3, 3},
                 .max_outputs = 3,
                 .arguments = {"group", "epsilon", "order"}});
  ops.push_back({.name = "RMSNorm",
                 .handler = RmsNorm,
                 .inputs = {3, 3},
                 .max_outputs = 2,
                 .arguments = {"eps"}});
  return ops;
}

}  // namespace kiln::caffe2_import
