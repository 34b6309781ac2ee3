// Layers that reduce: Reduction, ArgMax, Accuracy.
#include "compiler/import/caffe/layer.h"
#include "compiler/import/caffe/layers/labels.h"
#include "compiler/import/foreign/build.h"

namespace kiln::caffe_import {

namespace {

// Over all dimensions from `axis` on.
Status Reduction(Layer& n) {
  using caffe::ReductionParameter;
  const ReductionParameter& param = n.proto().reduction_param();
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.bottom(0));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(param.axis(), Rank(x)));
  StatusOr<Op*> terms = x;
  if (param.operation() == ReductionParameter::ASUM) terms = n.Make("abs", {x});
  if (param.operation() == ReductionParameter::SUMSQ) terms = b.Mul(x, x);
  const bool mean = param.operation() == ReductionParameter::MEAN;
  const auto y =
      Reduce(b, mean ? "reduce_mean" : "reduce_sum", terms, AxesFrom(axis, Rank(x)), false);
  return n.Top(param.coeff() == 1 ? y : b.MulScalar(y, param.coeff()));
}

// Positions (as floats) of the largest elements, the values themselves, or both.
Status ArgMax(Layer& n) {
  const caffe::ArgMaxParameter& param = n.proto().argmax_param();
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.bottom(0));
  if (Rank(x) < 1) return InvalidInput("needs at least one dimension");
  const auto k = static_cast<int64_t>(param.top_k());
  const auto top = [&](const StatusOr<Op*>& from, int64_t axis, bool values) {
    const auto found =
        n.Make(values ? "top_k_values" : "top_k_indices", {from}, {{"k", k}, {"axis", axis}});
    return values ? found : b.Cast(found, ElementType::kF32);
  };
  if (param.has_axis()) {
    KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(param.axis(), Rank(x)));
    return n.Top(top(x, axis, param.out_max_val()));
  }
  // Over everything but the batch: [N, 1, k], or [N, 2, k] with the values behind.
  const int64_t batch = x->shape()[0];
  const auto rows = b.Reshape(x, {batch, ElementCount({x->shape().begin() + 1, x->shape().end()})});
  Shape shape(static_cast<size_t>(std::max<int64_t>(Rank(x), 3)), 1);
  shape[0] = batch;
  shape[2] = k;
  const auto positions = b.Reshape(top(rows, 1, false), shape);
  if (!param.out_max_val()) return n.Top(positions);
  return n.Top(n.Make("concat", {positions, b.Reshape(top(rows, 1, true), shape)}, {{"axis", 1}}));
}

// The share of positions at which fewer than top_k classes have at least the score of the true one.
Status Accuracy(Layer& n) {
  const caffe::AccuracyParameter& param = n.proto().accuracy_param();
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.bottom(0));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(param.axis(), Rank(x)));
  KILN_ASSIGN_OR_RETURN(
      const Labels labels,
      ReadLabels(
          n, x, axis,
          param.has_ignore_label() ? std::optional<int64_t>(param.ignore_label()) : std::nullopt));
  const auto truth = n.Make("gather_elements", {x, labels.classes}, {{"axis", axis}});
  const auto at_least = b.Cast(n.Make("greater_equal", {x, truth}), ElementType::kF32);
  const auto rivals = b.AddScalar(Reduce(b, "reduce_sum", at_least, {axis}, true), -1);
  const auto right = b.Cast(n.Make("less", {rivals, n.Scalar(param.top_k())}), ElementType::kF32);
  const auto hits =
      Reduce(b, "reduce_sum", b.Mul(right, labels.weights), AxesFrom(0, Rank(x)), false);
  return n.Top(b.Div(hits, labels.count));
}

}  // namespace

std::vector<CaffeLayer> ReductionLayers() {
  std::vector<CaffeLayer> layers;
  layers.push_back({.name = "Reduction", .handler = Reduction});
  layers.push_back({.name = "ArgMax", .handler = ArgMax});
  layers.push_back({.name = "Accuracy",
                    .handler = Accuracy,
                    .bottoms = {2, 2},
                    .limits = "one top: not by class"});
  return layers;
}

}  // namespace kiln::caffe_import
