// How a window slides over spatial dimensions, in convolutions and pools.
#pragma once

#include <vector>

#include "ir/graph/attribute.h"
#include "ir/support/status.h"

namespace kiln::foreign {

/// The largest extent, stride, dilation or pad that a model may name.
inline constexpr int64_t kMaxExtent = int64_t{1} << 31;

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

/// Pads for SAME: ceil(extent / stride) windows; the odd pad goes behind (upper) or in front
/// (lower).
void PadSame(Window& window, const Shape& spatial, bool upper);

/// Adds to pads_high what the last window of each dimension needs when sizes are rounded up
/// (ceil_mode); returns what was added. With `clip`, a window that would hold padding only is cut.
std::vector<int64_t> RoundUp(Window& window, const Shape& spatial, bool clip = true);

}  // namespace kiln::foreign
