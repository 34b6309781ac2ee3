// Normalisations: FusedBatchNorm, LRN, Softmax, L2Normalize.
#include "compiler/import/foreign/build.h"
#include "compiler/import/tensorflow/node.h"
#include "compiler/import/tensorflow/ops/window.h"

namespace kiln::tensorflow_import {

namespace {

// By the statistics in inputs 3 and 4, or, in training, by the batch's own.
Status FusedBatchNorm(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, DataChannelsFirst(n, 0));
  StatusOr<Op*> mean = n.input(3), variance = n.input(4);
  if (n.Bool("is_training", true)) {
    std::vector<int64_t> axes = AxesFrom(1, Rank(x));
    axes[0] = 0;
    const Shape channels = {x->shape()[1]};
    const auto kept = Reduce(b, "reduce_mean", x, axes, true);
    const auto centred = b.Sub(x, kept);
    mean = b.Reshape(kept, channels);
    variance = b.Reshape(Reduce(b, "reduce_mean", b.Mul(centred, centred), axes, true), channels);
  } else {
    n.values().Freeze(n.input_name(3));
    n.values().Freeze(n.input_name(4));
  }
  const auto y = n.Make("batch_norm", {x, n.input(1), n.input(2), mean, variance},
                        {{"epsilon", n.Float("epsilon", 1e-4)}});
  KILN_RETURN_IF_ERROR(n.Output(0, AsDataFormat(n, y)));
  KILN_RETURN_IF_ERROR(n.Output(1, mean));
  return n.Output(2, variance);
}

// Inputs: data, mean, variance, beta, gamma.
Status GlobalBatchNorm(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, ChannelsFirst(n.builder(), n.input(0)));
  const auto ones = n.Make("div", {n.input(4), n.input(4)});
  const bool scaled = n.Bool("scale_after_normalization", true);
  const auto y =
      n.Make("batch_norm", {x, scaled ? n.input(4) : ones, n.input(3), n.input(1), n.input(2)},
             {{"epsilon", n.Float("variance_epsilon", 1e-3)}});
  return n.Output(ChannelsLast(n.builder(), y));
}

// Over 2 radius + 1 channels; alpha is not divided by their number.
Status Lrn(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, ChannelsFirst(n.builder(), n.input(0)));
  const int64_t radius = n.Int("depth_radius", 5);
  if (radius < 0 || radius > 1 << 20) return InvalidInput("depth_radius is ", radius);
  const int64_t size = 2 * radius + 1;
  const auto y = n.Make("lrn", {x},
                        {{"size", size},
                         {"alpha", n.Float("alpha", 1) * static_cast<double>(size)},
                         {"beta", n.Float("beta", 0.5)},
                         {"bias", n.Float("bias", 1)}});
  return n.Output(ChannelsLast(n.builder(), y));
}

Status Softmax(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  if (Rank(x) < 1) return InvalidInput("needs at least one dimension");
  return n.Output(n.Make(n.op().kind, {x}, {{"axis", Rank(x) - 1}}));
}

}  // namespace

std::vector<TensorflowOp> NormalizationOps() {
  std::vector<TensorflowOp> ops;
  for (const char* const name : {"FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"}) {
    ops.push_back({.name = name,
                   .handler = FusedBatchNorm,
                   .inputs = {5, 5},
                   .outputs = {"y", "batch_mean", "batch_variance", "reserve_space_1",
                               "reserve_space_2", "reserve_space_3"}});
  }
  ops.push_back(
      {.name = "BatchNormWithGlobalNormalization", .handler = GlobalBatchNorm, .inputs = {5, 5}});
  ops.push_back({.name = "LRN", .handler = Lrn});
  ops.push_back({.name = "Softmax", .handler = Softmax, .kind = "softmax"});
  ops.push_back({.name = "LogSoftmax", .handler = Softmax, .kind = "log_softmax"});
  return ops;
}

}  // namespace kiln::tensorflow_import
