// Normalisations: LRN, BatchNorm, MVN, Normalize, Softmax.
#include "compiler/import/caffe/layer.h"
#include "compiler/import/foreign/build.h"

namespace kiln::caffe_import {

namespace {

// x / (k + alpha * mean of x^2 in the window)^beta, for windows within each channel; k is always 1.
StatusOr<Op*> LrnWithinChannel(Layer& n, Op* x, const caffe::LRNParameter& param) {
  if (Rank(x) != 4) return InvalidInput("needs [N, C, H, W], found ", x->type().ToString());
  Builder& b = n.builder();
  const int64_t size = param.local_size(), pad = (size - 1) / 2;
  const auto mean = n.Make("avg_pool", {b.Mul(x, x)},
                           {{"kernel", std::vector<int64_t>{size, size}},
                            {"strides", std::vector<int64_t>{1, 1}},
                            {"dilations", std::vector<int64_t>{1, 1}},
                            {"pads_low", std::vector<int64_t>{pad, pad}},
                            {"pads_high", std::vector<int64_t>{pad, pad}},
                            {"count_include_pad", true}});
  const auto base = b.AddScalar(b.MulScalar(mean, param.alpha()), 1);
  return b.Mul(x, n.Make("pow", {base, n.Scalar(-double{param.beta()})}));
}

Status Lrn(Layer& n) {
  const caffe::LRNParameter& param = n.proto().lrn_param();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.bottom(0));
  if (param.local_size() % 2 == 0 || param.local_size() > 1 << 20) {
    return InvalidInput("local_size must be odd, found ", param.local_size());
  }
  if (param.norm_region() == caffe::LRNParameter::WITHIN_CHANNEL) {
    return n.Top(LrnWithinChannel(n, x, param));
  }
  return n.Top(n.Make("lrn", {x},
                      {{"size", static_cast<int64_t>(param.local_size())},
                       {"alpha", double{param.alpha()}},
                       {"beta", double{param.beta()}},
                       {"bias", double{param.k()}}}));
}

// The file holds sums of statistics and, in blob 2, what they are to be divided by.
StatusOr<Tensor> FileStatistic(Layer& n, int blob, const Shape& shape, double otherwise) {
  constexpr int64_t kMaxChannels = 1 << 24;
  if (ElementCount(shape) > kMaxChannels) return Unsupported(FormatInts(shape), " channels");
  const Tensor* const sums = n.FileBlob(blob);
  if (sums == nullptr) return Tensor::Splat({ElementType::kF32, shape, {}}, otherwise);
  if (sums->type().count() != ElementCount(shape)) {
    return InvalidInput("blob ", blob, " of the weights is ", FormatInts(sums->shape()),
                        ", expected ", FormatInts(shape));
  }
  const Tensor* const factor = n.FileBlob(2);
  const double divisor =
      factor != nullptr && factor->type().count() == 1 ? factor->GetDouble(0) : 1;
  std::vector<double> values = sums->ToDoubles();
  for (double& value : values) value = divisor == 0 ? 0 : value / divisor;
  return Tensor::FromDoubles(ElementType::kF32, shape, values);
}

// Whether the statistics are those of the batch, and followed from step to step, is a matter of
// training mode (passes/training/training_mode.h), which looks for parameters. A net that is
// trained with the statistics of its file has them behind a reshape.
Status BatchNorm(Layer& n) {
  const caffe::BatchNormParameter& param = n.proto().batch_norm_param();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.bottom(0));
  if (Rank(x) < 2) return InvalidInput("needs a batch and channels: ", x->type().ToString());
  const Shape channels = {x->shape()[1]};
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Tensor mean_value, FileStatistic(n, 0, channels, 0));
  KILN_ASSIGN_OR_RETURN(Tensor variance_value, FileStatistic(n, 1, channels, 1));
  StatusOr<Op*> mean = n.Statistic("mean", std::move(mean_value));
  StatusOr<Op*> variance = n.Statistic("variance", std::move(variance_value));
  if (n.training() && param.use_global_stats()) {
    mean = b.Reshape(mean, channels);
    variance = b.Reshape(variance, channels);
  }
  const auto ones = b.Broadcast(n.Scalar(1), channels);
  const auto zeros = b.Broadcast(n.Scalar(0), channels);
  return n.Top(
      n.Make("batch_norm", {x, ones, zeros, mean, variance}, {{"epsilon", double{param.eps()}}}));
}

// (x - mean) / (deviation + eps), over each channel's plane or over all channels.
Status Mvn(Layer& n) {
  const caffe::MVNParameter& param = n.proto().mvn_param();
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.bottom(0));
  if (Rank(x) < 2) return InvalidInput("needs a batch and channels: ", x->type().ToString());
  const std::vector<int64_t> axes = AxesFrom(param.across_channels() ? 1 : 2, Rank(x));
  const auto centred = b.Sub(x, Reduce(b, "reduce_mean", x, axes, true));
  if (!param.normalize_variance()) return n.Top(centred);
  const auto variance = Reduce(b, "reduce_mean", b.Mul(centred, centred), axes, true);
  return n.Top(b.Div(centred, b.AddScalar(n.Make("sqrt", {variance}), param.eps())));
}

// x / sqrt(sum x^2 + eps), over the channels or over everything, times a learned scale (SSD).
Status Normalize(Layer& n) {
  const caffe::NormalizeParameter& param = n.proto().norm_param();
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.bottom(0));
  if (Rank(x) < 2) return InvalidInput("needs a batch and channels: ", x->type().ToString());
  const std::vector<int64_t> axes =
      param.across_spatial() ? AxesFrom(1, Rank(x)) : std::vector<int64_t>{1};
  const auto sum = Reduce(b, "reduce_sum", b.Mul(x, x), axes, true);
  const auto y = b.Div(x, n.Make("sqrt", {b.AddScalar(sum, param.eps())}));
  caffe::FillerParameter filler = param.scale_filler();
  if (!param.has_scale_filler()) filler.set_value(1);
  if (param.channel_shared()) return n.Top(b.Mul(y, n.Blob(0, "scale", {}, filler)));
  const auto scale = n.Blob(0, "scale", {x->shape()[1]}, filler);
  return n.Top(b.Mul(y, AlongAxis(b, scale, 0, Rank(x) - 1)));
}

Status Softmax(Layer& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.bottom(0));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(n.proto().softmax_param().axis(), Rank(x)));
  return n.Top(n.Make("softmax", {x}, {{"axis", axis}}));
}

}  // namespace

std::vector<CaffeLayer> NormalizationLayers() {
  std::vector<CaffeLayer> layers;
  layers.push_back({.name = "LRN", .handler = Lrn});
  layers.push_back({.name = "BatchNorm", .handler = BatchNorm});
  layers.push_back({.name = "MVN", .handler = Mvn});
  layers.push_back({.name = "Normalize", .handler = Normalize});
  layers.push_back({.name = "Softmax", .handler = Softmax});
  return layers;
}

}  // namespace kiln::caffe_import
