// TensorFlow's tensors and types to ours.
#pragma once

#include <optional>
#include <string>

#include "ir/graph/tensor.h"
#include "ir/support/status.h"
#include "proto/tensorflow.pb.h"

namespace kiln::tensorflow_import {

/// Quantised types are their integers. Unsupported for strings, complex numbers, resources.
StatusOr<ElementType> ToElementType(tensorflow::DataType type);

/// A shape whose open dimensions are -1; nullopt when not even the rank is known.
std::optional<Shape> ToShape(const tensorflow::TensorShapeProto& proto);

/// Whether the tensor is large and given by one value, which it repeats, or by none (zeros).
bool IsSplat(const tensorflow::TensorProto& proto);

/// Any encoding. Where there are fewer values than elements, the last one is repeated.
StatusOr<Tensor> ToTensor(const tensorflow::TensorProto& proto);

}  // namespace kiln::tensorflow_import
