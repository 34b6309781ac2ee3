// The attributes that convolutions and pools share: how a window slides over spatial dimensions.
#pragma once

#include <vector>

#include "compiler/import/onnx/node.h"
#include "ir/graph/type.h"

namespace kiln::onnx_import {

/// One entry per spatial dimension. Everything is in range: extents, strides and dilations are
/// 1 .. 2^31, pads 0 .. 2^31.
struct Window {
  std::vector<int64_t> kernel, strides, dilations, pads_low, pads_high;

  size_t rank() const { return kernel.size(); }
  /// The span of a dilated kernel.
  int64_t Span(size_t d) const { return dilations[d] * (kernel[d] - 1) + 1; }
  /// Attributes of a conv op.
  AttributeMap ConvAttributes() const;
  /// Attributes of a pooling op.
  AttributeMap PoolAttributes() const;
};

/// The spatial dimensions of [N, C, ...]: there must be at least one.
StatusOr<Shape> SpatialShape(const TensorType& type);

/// Reads strides, dilations, pads and auto_pad; `kernel` has one extent per dimension of `spatial`.
StatusOr<Window> ReadWindow(Node& n, const Shape& spatial, std::vector<int64_t> kernel);

/// Reads strides, dilations and pads only (what auto_pad means for ConvTranspose differs).
StatusOr<Window> ReadExplicitWindow(Node& n, std::vector<int64_t> kernel);

/// Adds to pads_high what the last window of each dimension needs when sizes are rounded up
/// (ceil_mode); returns what was added.
std::vector<int64_t> RoundUp(Window& window, const Shape& spatial);

}  // namespace kiln::onnx_import
