// Losses: scalars that training minimises; at test they are outputs like any other.
#include <cmath>
#include <limits>

#include "compiler/import/caffe/layer.h"
#include "compiler/import/caffe/layers/labels.h"
#include "compiler/import/foreign/build.h"

namespace kiln::caffe_import {

namespace {

using caffe::LossParameter;

StatusOr<Op*> Sum(Layer& n, const StatusOr<Op*>& x) {
  KILN_RETURN_IF_ERROR(x.status());
  return Reduce(n.builder(), "reduce_sum", x, AxesFrom(0, Rank(*x)), false);
}

std::optional<int64_t> IgnoreLabel(const LossParameter& param) {
  if (!param.has_ignore_label()) return std::nullopt;
  return param.ignore_label();
}

LossParameter::NormalizationMode Mode(const LossParameter& param,
                                      LossParameter::NormalizationMode otherwise) {
  if (param.has_normalization()) return param.normalization();
  if (param.has_normalize()) {
    return param.normalize() ? LossParameter::VALID : LossParameter::BATCH_SIZE;
  }
  return otherwise;
}

// sum / what the mode says; `valid` counts the positions that are not ignored.
StatusOr<Op*> Normalised(Layer& n, const StatusOr<Op*>& sum, LossParameter::NormalizationMode mode,
                         int64_t batch, int64_t positions, const StatusOr<Op*>& valid) {
  Builder& b = n.builder();
  const auto by = [&](int64_t count) {
    return b.MulScalar(sum, 1.0 / static_cast<double>(std::max<int64_t>(count, 1)));
  };
  switch (mode) {
    case LossParameter::FULL: return by(positions);
    case LossParameter::BATCH_SIZE: return by(batch);
    case LossParameter::NONE: return sum;
    default: return b.Div(sum, valid);
  }
}

// -log softmax(x)[label]
Status SoftmaxWithLoss(Layer& n) {
  const LossParameter& param = n.proto().loss_param();
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.bottom(0));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(n.proto().softmax_param().axis(), Rank(x)));
  KILN_ASSIGN_OR_RETURN(const Labels labels, ReadLabels(n, x, axis, IgnoreLabel(param)));
  const auto log_p = n.Make("log_softmax", {x}, {{"axis", axis}});
  const auto picked = n.Make("gather_elements", {log_p, labels.classes}, {{"axis", axis}});
  const auto sum = n.Make("neg", {Sum(n, b.Mul(picked, labels.weights))});
  const int64_t positions = x->type().count() / std::max<int64_t>(x->shape()[axis], 1);
  const int64_t batch = ElementCount({x->shape().begin(), x->shape().begin() + axis});
  KILN_RETURN_IF_ERROR(n.Top(
      0, Normalised(n, sum, Mode(param, LossParameter::VALID), batch, positions, labels.count)));
  if (n.num_tops() == 1) return OkStatus();
  return n.Top(1, n.Make("softmax", {x}, {{"axis", axis}}));
}

// log of p, at least Caffe's smallest.
StatusOr<Op*> SafeLog(Layer& n, const StatusOr<Op*>& p) {
  return n.Make("log", {n.Make("clip", {p}, {{"min", 1e-20}})});
}

// -log p[label], over the batch
Status MultinomialLogisticLoss(Layer& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.bottom(0));
  if (Rank(x) < 2) return InvalidInput("needs a batch and classes: ", x->type().ToString());
  const int64_t batch = x->shape()[0];
  KILN_ASSIGN_OR_RETURN(
      Op* const rows,
      n.builder().Reshape(x, {batch, ElementCount({x->shape().begin() + 1, x->shape().end()})}));
  KILN_ASSIGN_OR_RETURN(const Labels labels, ReadLabels(n, rows, 1, std::nullopt));
  const auto picked = n.Make("gather_elements", {rows, labels.classes}, {{"axis", 1}});
  const auto sum = Sum(n, SafeLog(n, picked));
  return n.Top(n.builder().MulScalar(sum, -1.0 / static_cast<double>(std::max<int64_t>(batch, 1))));
}

// -sum over j of H[label, j] log p[j]; H is bottom 2.
Status InfogainLoss(Layer& n) {
  const LossParameter& param = n.proto().loss_param();
  Builder& b = n.builder();
  if (n.num_bottoms() < 3) {
    return Unsupported("a matrix read from a file is not supported, only one as bottom 2");
  }
  KILN_ASSIGN_OR_RETURN(Op* const x, n.bottom(0));
  KILN_ASSIGN_OR_RETURN(Op* const matrix, n.bottom(2));
  KILN_ASSIGN_OR_RETURN(const int64_t axis,
                        NormalAxis(n.proto().infogain_loss_param().axis(), Rank(x)));
  const int64_t classes = x->shape()[axis];
  if (matrix->type().count() != classes * classes) {
    return InvalidInput(classes, " classes need as many rows and columns, found ",
                        matrix->type().ToString());
  }
  KILN_ASSIGN_OR_RETURN(const Labels labels, ReadLabels(n, x, axis, IgnoreLabel(param)));
  // Rows of H by label, with the classes moved to the axis.
  Shape flat = x->shape();
  flat.erase(flat.begin() + axis);
  auto order = AxesFrom(0, Rank(x) - 1);
  order.insert(order.begin() + axis, Rank(x) - 1);
  const auto rows =
      n.Make("gather", {b.Reshape(matrix, {classes, classes}), b.Reshape(labels.classes, flat)},
             {{"axis", 0}});
  const auto p = n.Make("softmax", {x}, {{"axis", axis}});
  const auto terms = b.Mul(b.Mul(b.Transpose(rows, order), SafeLog(n, p)), labels.weights);
  const int64_t batch = ElementCount({x->shape().begin(), x->shape().begin() + axis});
  KILN_RETURN_IF_ERROR(
      n.Top(0, Normalised(n, n.Make("neg", {Sum(n, terms)}), Mode(param, LossParameter::VALID),
                          batch, x->type().count() / std::max<int64_t>(classes, 1), labels.count)));
  if (n.num_tops() == 1) return OkStatus();
  return n.Top(1, p);
}

// The operands of a loss between two blobs of equal size: bottom 1 in the shape of bottom 0.
StatusOr<Op*> TargetLike(Layer& n, const Op* x) {
  KILN_ASSIGN_OR_RETURN(Op* const target, n.bottom(1));
  if (target->type().count() == x->type().count()) {
    return n.builder().Reshape(target, x->shape());
  }
  return InvalidInput("bottoms differ in size: ", x->type().ToString(), " and ",
                      target->type().ToString());
}

int64_t Batch(const Op* x) { return Rank(x) == 0 ? 1 : x->shape()[0]; }

// 1/2N sum (a - b)^2
Status EuclideanLoss(Layer& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.bottom(0));
  const auto difference = b.Sub(x, TargetLike(n, x));
  const auto sum = Sum(n, b.Mul(difference, difference));
  return n.Top(b.MulScalar(sum, 0.5 / static_cast<double>(std::max<int64_t>(Batch(x), 1))));
}

// sum of log(1 + e^-|x|) + max(x, 0) - x t: never overflows.
Status SigmoidCrossEntropyLoss(Layer& n) {
  const LossParameter& param = n.proto().loss_param();
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.bottom(0));
  KILN_ASSIGN_OR_RETURN(Op* const target, TargetLike(n, x));
  StatusOr<Op*> terms = b.Sub(n.Make("softplus", {x}), b.Mul(x, target));
  StatusOr<Op*> valid = n.Scalar(static_cast<double>(std::max<int64_t>(x->type().count(), 1)));
  if (param.has_ignore_label()) {
    const auto kept =
        b.Cast(n.Make("not_equal", {target, n.Scalar(param.ignore_label())}), ElementType::kF32);
    terms = b.Mul(terms, kept);
    valid = n.Make("max", {Sum(n, kept), n.Scalar(1)});
  }
  return n.Top(Normalised(n, Sum(n, terms), Mode(param, LossParameter::BATCH_SIZE), Batch(x),
                          x->type().count(), valid));
}

// max(0, 1 - s x)^p over the batch, with s 1 for the true class and -1 for the others.
Status HingeLoss(Layer& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.bottom(0));
  if (Rank(x) < 2) return InvalidInput("needs a batch and classes: ", x->type().ToString());
  const int64_t classes = ElementCount({x->shape().begin() + 1, x->shape().end()});
  KILN_ASSIGN_OR_RETURN(Op* const rows, b.Reshape(x, {x->shape()[0], classes}));
  KILN_ASSIGN_OR_RETURN(const Labels labels, ReadLabels(n, rows, 1, std::nullopt));
  const auto is_true =
      n.Make("equal", {IotaAlong(b, 2, 1, classes, ElementType::kI64), labels.classes});
  const auto sign = n.Make("where", {is_true, n.Scalar(1), n.Scalar(-1)});
  const auto margin = n.Make("relu", {b.Sub(n.Scalar(1), b.Mul(sign, rows))});
  const bool l2 = n.proto().hinge_loss_param().norm() == caffe::HingeLossParameter::L2;
  const auto sum = Sum(n, l2 ? b.Mul(margin, margin) : margin);
  return n.Top(b.MulScalar(sum, 1.0 / static_cast<double>(std::max<int64_t>(Batch(x), 1))));
}

// 1/2N sum of y d^2 + (1 - y) max(margin - d, 0)^2, with d the distance of the pair.
Status ContrastiveLoss(Layer& n) {
  const caffe::ContrastiveLossParameter& param = n.proto().contrastive_loss_param();
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.bottom(0));
  KILN_ASSIGN_OR_RETURN(Op* const other, TargetLike(n, x));
  if (Rank(x) < 2) return InvalidInput("needs a batch and features: ", x->type().ToString());
  const auto difference = b.Sub(x, other);
  KILN_ASSIGN_OR_RETURN(Op* const squared, Reduce(b, "reduce_sum", b.Mul(difference, difference),
                                                  AxesFrom(1, Rank(x)), false));
  KILN_ASSIGN_OR_RETURN(Op* const label, n.bottom(2));
  if (label->type().count() != Batch(x)) {
    return InvalidInput("needs ", Batch(x), " labels, found ", label->type().ToString());
  }
  const auto similar = n.Make("not_equal", {b.Reshape(label, {Batch(x)}), n.Scalar(0)});
  const auto margin = n.Scalar(param.margin());
  StatusOr<Op*> apart;
  if (param.legacy_version()) {
    apart = n.Make("relu", {b.Sub(margin, squared)});
  } else {
    apart = n.Make("relu", {b.Sub(margin, n.Make("sqrt", {squared}))});
    apart = b.Mul(apart, apart);
  }
  const auto sum = Sum(n, n.Make("where", {similar, squared, apart}));
  return n.Top(b.MulScalar(sum, 0.5 / static_cast<double>(std::max<int64_t>(Batch(x), 1))));
}

}  // namespace

std::vector<CaffeLayer> LossLayers() {
  std::vector<CaffeLayer> layers;
  layers.push_back(
      {.name = "SoftmaxWithLoss", .handler = SoftmaxWithLoss, .bottoms = {2, 2}, .tops = {1, 2}});
  layers.push_back(
      {.name = "MultinomialLogisticLoss", .handler = MultinomialLogisticLoss, .bottoms = {2, 2}});
  layers.push_back({.name = "InfogainLoss",
                    .handler = InfogainLoss,
                    .bottoms = {2, 3},
                    .tops = {1, 2},
                    .limits = "the matrix as a bottom"});
  layers.push_back({.name = "EuclideanLoss", .handler = EuclideanLoss, .bottoms = {2, 2}});
  layers.push_back(
      {.name = "SigmoidCrossEntropyLoss", .handler = SigmoidCrossEntropyLoss, .bottoms = {2, 2}});
  layers.push_back({.name = "HingeLoss", .handler = HingeLoss, .bottoms = {2, 2}});
  layers.push_back({.name = "ContrastiveLoss", .handler = ContrastiveLoss, .bottoms = {3, 3}});
  return layers;
}

}  // namespace kiln::caffe_import
