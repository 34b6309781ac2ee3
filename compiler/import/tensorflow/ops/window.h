// The attributes by which TensorFlow's convolutions and pools say how their window slides.
#pragma once

#include "compiler/import/foreign/window.h"
#include "compiler/import/tensorflow/node.h"

namespace kiln::tensorflow_import {

/// Reads strides, dilations and padding of a window with this kernel over `spatial`.
StatusOr<Window> ReadWindow(Node& n, const Shape& spatial, const std::vector<int64_t>& kernel);

/// The entries of a list for batch, channels and space that belong to space; an error when the
/// others are not 1.
StatusOr<std::vector<int64_t>> SpatialNumbers(Node& n, const std::string& attribute,
                                              size_t spatial_rank);

/// Input `i` with channels first, whatever data_format says; and a result as data_format wants it.
StatusOr<Op*> DataChannelsFirst(Node& n, int i);
StatusOr<Op*> AsDataFormat(Node& n, const StatusOr<Op*>& y);

}  // namespace kiln::tensorflow_import
