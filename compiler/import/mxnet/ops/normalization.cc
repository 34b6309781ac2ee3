// Normalisations: BatchNorm, InstanceNorm, LayerNorm, L2Normalization, LRN, softmax.
#include "compiler/import/foreign/build.h"
#include "compiler/import/mxnet/node.h"

namespace kiln::mxnet_import {

namespace {

// By the running statistics. With fix_gamma, the default, the scale is 1 whatever it is.
Status BatchNorm(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(n.Int("axis", 1), Rank(x)));
  const Shape channels = {x->shape()[axis]};
  const StatusOr<Op*> ones = b.Broadcast(b.Scalar(ElementType::kF32, 1), channels);
  const auto gamma = n.Bool("fix_gamma", true) ? ones : n.weight(1, channels);
  // Channels are moved to dimension 1 and back.
  std::vector<int64_t> order = AxesFrom(0, Rank(x)), back = order;
  order.erase(order.begin() + axis);
  order.insert(order.begin() + std::min<int64_t>(1, Rank(x) - 1), axis);
  for (size_t d = 0; d < order.size(); ++d) back[order[d]] = static_cast<int64_t>(d);
  const bool moved = axis != 1;
  const auto y = n.Make("batch_norm",
                        {moved ? b.Transpose(x, order) : x, gamma, n.weight(2, channels),
                         n.statistic(3, channels), n.statistic(4, channels)},
                        {{"epsilon", n.Float("eps", 1e-3)}});
  return n.Output(moved ? b.Transpose(y, back) : y);
}

// y * gamma + beta, along `axis`.
StatusOr<Op*> ScaleAndShift(Node& n, const StatusOr<Op*>& y, int64_t axis) {
  Builder& b = n.builder();
  KILN_RETURN_IF_ERROR(y.status());
  const Shape extent = {(*y)->shape()[axis]};
  const int64_t rank = Rank(*y);
  return b.Add(b.Mul(y, AlongAxis(b, n.weight(1, extent), axis, rank)),
               AlongAxis(b, n.weight(2, extent), axis, rank));
}

Status InstanceNorm(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  const auto y = n.Make("instance_norm", {x}, {{"epsilon", n.Float("eps", 1e-3)}});
  return n.Output(ScaleAndShift(n, y, 1));
}

Status LayerNorm(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(n.Int("axis", -1), Rank(x)));
  if (axis != Rank(x) - 1) return Unsupported("an axis other than the last is not supported");
  const auto y = n.Make("layer_norm", {x}, {{"axis", axis}, {"epsilon", n.Float("eps", 1e-5)}});
  return n.Output(ScaleAndShift(n, y, axis));
}

// x / sqrt(sum x^2 + eps)
Status L2Normalization(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  const std::string mode = n.String("mode", "instance");
  std::vector<int64_t> axes = AxesFrom(1, Rank(x));
  if (mode == "channel") {
    axes = {1};
  } else if (mode == "spatial") {
    axes = AxesFrom(2, Rank(x));
  } else if (mode != "instance") {
    return Unsupported("mode ", Quote(mode), " is not supported");
  }
  const auto sum = Reduce(b, "reduce_sum", b.Mul(x, x), axes, true);
  return n.Output(b.Div(x, n.Make("sqrt", {b.AddScalar(sum, n.Float("eps", 1e-10))})));
}

Status Lrn(Node& n) {
  return n.Output(n.Make("lrn", {n.input(0)},
                         {{"size", n.Int("nsize")},
                          {"alpha", n.Float("alpha", 1e-4)},
                          {"beta", n.Float("beta", 0.75)},
                          {"bias", n.Float("knorm", 2)}}));
}

Status Softmax(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(n.Int("axis", -1), Rank(x)));
  const std::string text = n.String("temperature", "None");
  const double temperature = text == "None" ? 1 : n.Float("temperature", 1);
  const auto scaled = temperature == 1 ? StatusOr<Op*>(x) : b.MulScalar(x, 1 / temperature);
  return n.Output(n.Make(n.op().kind, {scaled}, {{"axis", axis}}));
}

// Over the channels, or over all of an instance.
Status SoftmaxActivation(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  if (Rank(x) < 2) return InvalidInput("needs a batch and channels: ", x->type().ToString());
  if (n.String("mode", "instance") == "channel") {
    return n.Output(n.Make("softmax", {x}, {{"axis", 1}}));
  }
  const int64_t rest = ElementCount({x->shape().begin() + 1, x->shape().end()});
  const auto rows = b.Reshape(x, {x->shape()[0], rest});
  return n.Output(b.Reshape(n.Make("softmax", {rows}, {{"axis", 1}}), x->shape()));
}

}  // namespace

std::vector<MxnetOp> NormalizationOps() {
  std::vector<MxnetOp> ops;
  for (const char* const name : {"BatchNorm", "BatchNorm_v1", "CuDNNBatchNorm"}) {
    ops.push_back({.name = name,
                   .handler = BatchNorm,
                   .inputs = {5, 5},
                   .attributes = {"eps", "momentum", "fix_gamma", "use_global_stats", "axis",
                                  "output_mean_var", "min_calib_range", "max_calib_range"},
                   .limits = "by the running statistics"});
  }
  ops.push_back(
      {.name = "InstanceNorm", .handler = InstanceNorm, .inputs = {3, 3}, .attributes = {"eps"}});
  ops.push_back({.name = "LayerNorm",
                 .handler = LayerNorm,
                 .inputs = {3, 3},
                 .attributes = {"axis", "eps", "output_mean_var"},
                 .limits = "over the last axis"});
  ops.push_back(
      {.name = "L2Normalization", .handler = L2Normalization, .attributes = {"eps", "mode"}});
  ops.push_back({.name = "LRN", .handler = Lrn, .attributes = {"nsize", "alpha", "beta", "knorm"}});
  ops.push_back({.name = "softmax",
                 .handler = Softmax,
                 .kind = "softmax",
                 .attributes = {"axis", "temperature", "dtype", "use_length"}});
  ops.push_back({.name = "log_softmax",
                 .handler = Softmax,
                 .kind = "log_softmax",
                 .attributes = {"axis", "temperature", "dtype", "use_length"}});
  ops.push_back(
      {.name = "SoftmaxActivation", .handler = SoftmaxActivation, .attributes = {"mode"}});
  return ops;
}

}  // namespace kiln::mxnet_import
