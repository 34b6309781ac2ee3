// Normalisations: batch, instance, layer, group, RMS; softmax.
#include <limits>

#include "compiler/import/foreign/build.h"
#include "compiler/import/pytorch/node.h"

namespace kiln::pytorch_import {

namespace {

// y weight + bias, where each is given; they lie along dimension 1.
StatusOr<Op*> ScaleChannels(Node& n, StatusOr<Op*> y, int64_t rank) {
  Builder& b = n.builder();
  if (n.Has("weight")) y = b.Mul(y, AlongAxis(b, n.tensor("weight"), 0, rank - 1));
  if (n.Has("bias")) y = b.Add(y, AlongAxis(b, n.tensor("bias"), 0, rank - 1));
  return y;
}

// The same where they lie along the last dimensions.
StatusOr<Op*> ScaleLast(Node& n, StatusOr<Op*> y) {
  if (n.Has("weight")) y = n.builder().Mul(y, n.tensor("weight"));
  if (n.Has("bias")) y = n.builder().Add(y, n.tensor("bias"));
  return y;
}

StatusOr<Op*> Channels(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("input"));
  if (Rank(x) < 2) return InvalidInput("needs a batch and channels: ", x->type().ToString());
  return x;
}

// A weight or bias, or `otherwise` in its place.
StatusOr<Op*> Or(Node& n, const char* name, const Op* x, double otherwise) {
  if (n.Has(name)) return n.tensor(name);
  return n.builder().Broadcast(n.builder().Scalar(x->element(), otherwise), {x->shape()[1]});
}

// By the running statistics; where there are none, by those of the batch.
Status BatchNorm(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, Channels(n));
  const double epsilon = n.Float("eps", 1e-5);
  if (!n.Has("running_mean") || !n.Has("running_var")) {
    std::vector<int64_t> axes = AxesFrom(1, Rank(x));
    axes[0] = 0;
    const auto y = n.Make("standardize", {x}, {{"axes", axes}, {"epsilon", epsilon}});
    return n.Output(ScaleChannels(n, y, Rank(x)));
  }
  if (n.Bool("training")) return Unsupported("training is not supported; call eval()");
  return n.Output(n.Make("batch_norm",
                         {x, Or(n, "weight", x, 1), Or(n, "bias", x, 0),
                          n.statistic("running_mean"), n.statistic("running_var")},
                         {{"epsilon", epsilon}}));
}

Status InstanceNorm(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, Channels(n));
  if (!n.Bool("use_input_stats", true)) return BatchNorm(n);
  if (n.Has("running_mean")) {
    return Unsupported("running statistics beside those of the input are not supported");
  }
  const auto y = n.Make("instance_norm", {x}, {{"epsilon", n.Float("eps", 1e-5)}});
  return n.Output(ScaleChannels(n, y, Rank(x)));
}

// Over the last dimensions, as many as normalized_shape has.
StatusOr<int64_t> FirstAxis(Node& n, const Op* x) {
  const Shape shape = n.Ints("normalized_shape");
  const int64_t axis = Rank(x) - static_cast<int64_t>(shape.size());
  if (axis >= 0 && !shape.empty() && Shape(x->shape().begin() + axis, x->shape().end()) == shape) {
    return axis;
  }
  return InvalidInput("normalized_shape ", FormatInts(shape), " does not fit ",
                      x->type().ToString());
}

Status LayerNorm(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("input"));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, FirstAxis(n, x));
  return n.Output(
      ScaleLast(n, n.Make("layer_norm", {x}, {{"axis", axis}, {"epsilon", n.Float("eps", 1e-5)}})));
}

// x / sqrt(mean of x^2 + epsilon).
Status RmsNorm(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("input"));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, FirstAxis(n, x));
  const double epsilon = n.Float("eps", static_cast<double>(std::numeric_limits<float>::epsilon()));
  const auto mean = Reduce(b, "reduce_mean", b.Mul(x, x), AxesFrom(axis, Rank(x)), true);
  return n.Output(ScaleLast(n, b.Div(x, n.Make("sqrt", {b.AddScalar(mean, epsilon)}))));
}

// Channels in groups, each with the statistics of all its elements.
Status GroupNorm(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, Channels(n));
  const int64_t groups = n.Int(n.Has("group") ? "group" : "num_groups");
  if (groups < 1 || x->shape()[1] < 1 || x->shape()[1] % groups != 0) {
    return InvalidInput(groups, " groups do not fit ", x->type().ToString());
  }
  const int64_t rest = ElementCount({x->shape().begin() + 2, x->shape().end()});
  const Shape grouped = {x->shape()[0], groups, x->shape()[1] / groups * rest};
  const auto y =
      n.Make("instance_norm", {b.Reshape(x, grouped)}, {{"epsilon", n.Float("eps", 1e-5)}});
  return n.Output(ScaleChannels(n, b.Reshape(y, x->shape()), Rank(x)));
}

Status Softmax(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op * x, n.tensor("self"));
  ElementType type = n.Type("dtype", x->element());
  if (n.Bool("half_to_float")) type = ElementType::kF32;
  KILN_ASSIGN_OR_RETURN(x, n.builder().Cast(x, type));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(n.Int("dim", -1), Rank(x)));
  return n.Output(n.Make(n.op().kind, {x}, {{"axis", axis}}));
}

}  // namespace

std::vector<PytorchOp> NormalizationOps() {
  std::vector<PytorchOp> ops;
  const auto add = [&ops](const char* name, Status (*handler)(Node&), const char* arguments,
                          const char* limits = "") {
    ops.push_back({.name = StrCat("aten.", name),
                   .handler = handler,
                   .arguments = arguments,
                   .limits = limits});
  };
  const char* const first = "the first result";
  add("batch_norm.default", BatchNorm,
      "input weight bias running_mean running_var training momentum eps cudnn_enabled",
      "after eval()");
  add("_native_batch_norm_legit_no_training.default", BatchNorm,
      "input weight bias running_mean running_var momentum eps", first);
  add("_native_batch_norm_legit.no_stats", BatchNorm, "input weight bias training momentum eps",
      first);
  add("instance_norm.default", InstanceNorm,
      "input weight bias running_mean running_var use_input_stats momentum eps cudnn_enabled");
  add("layer_norm.default", LayerNorm, "input normalized_shape weight bias eps cudnn_enable");
  add("native_layer_norm.default", LayerNorm, "input normalized_shape weight bias eps", first);
  add("rms_norm.default", RmsNorm, "input normalized_shape weight eps");
  add("_fused_rms_norm.default", RmsNorm, "input normalized_shape weight eps", first);
  add("group_norm.default", GroupNorm, "input num_groups weight bias eps cudnn_enabled");
  add("native_group_norm.default", GroupNorm, "input weight bias N C HxW group eps", first);
  struct Row {
    const char* name;
    const char* kind;
  };
  for (const Row& row : std::initializer_list<Row>{{"softmax.int", "softmax"},
                                                   {"_softmax.default", "softmax"},
                                                   {"_safe_softmax.default", "softmax"},
                                                   {"log_softmax.int", "log_softmax"},
                                                   {"_log_softmax.default", "log_softmax"}}) {
    ops.push_back({.name = StrCat("aten.", row.name),
                   .handler = Softmax,
                   .kind = row.kind,
                   .arguments = "self dim dtype half_to_float"});
  }
  return ops;
}

}  // namespace kiln::pytorch_import
