#include "compiler/import/caffe/layers/labels.h"

#include "compiler/import/foreign/build.h"

namespace kiln::caffe_import {

StatusOr<Labels> ReadLabels(Layer& n, const Op* scores, int64_t axis,
                            std::optional<int64_t> ignore) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const given, n.bottom(1));
  Shape shape = scores->shape();
  shape[axis] = 1;
  if (given->type().count() != ElementCount(shape)) {
    return InvalidInput("scores of ", scores->type().ToString(), " need ", ElementCount(shape),
                        " labels, found ", given->type().ToString());
  }
  Labels labels;
  labels.classes = b.Cast(b.Reshape(given, shape), ElementType::kI64);
  const auto count = static_cast<double>(std::max<int64_t>(ElementCount(shape), 1));
  if (!ignore) {
    labels.weights = b.Broadcast(n.Scalar(1), shape);
    labels.count = n.Scalar(count);
    return labels;
  }
  const auto label = b.Constant(Tensor::FromInts(ElementType::kI64, {}, {*ignore}));
  const auto ignored = n.Make("equal", {labels.classes, label});
  labels.weights = b.Cast(n.Make("not", {ignored}), ElementType::kF32);
  // So that ignored positions read something valid all the same.
  const auto zero = b.Constant(Tensor::FromInts(ElementType::kI64, {}, {0}));
  labels.classes = n.Make("where", {ignored, zero, labels.classes});
  const auto sum = Reduce(b, "reduce_sum", labels.weights, AxesFrom(0, Rank(scores)), false);
  labels.count = n.Make("max", {sum, n.Scalar(1)});
  return labels;
}

}  // namespace kiln::caffe_import
