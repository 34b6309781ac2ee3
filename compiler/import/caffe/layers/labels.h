// Labels of classes, as losses and Accuracy read them.
#pragma once

#include <optional>

#include "compiler/import/caffe/layer.h"

namespace kiln::caffe_import {

struct Labels {
  StatusOr<Op*> classes;  ///< i64, the scores' shape with extent 1 along the classes
  StatusOr<Op*> weights;  ///< f32, of the same shape: 0 where the label is ignored, else 1
  StatusOr<Op*> count;    ///< f32: how many are not ignored, at least 1
};

/// Bottom 1 of a layer whose scores are `scores`, with classes along `axis`. It has one label for
/// each position, in any shape.
StatusOr<Labels> ReadLabels(Layer& n, const Op* scores, int64_t axis,
                            std::optional<int64_t> ignore);

}  // namespace kiln::caffe_import
