#include "compiler/import/foreign/window.h"

#include <algorithm>

namespace kiln::foreign {

AttributeMap Window::ConvAttributes() const {
  return {{"strides", strides},
          {"dilations", dilations},
          {"pads_low", pads_low},
          {"pads_high", pads_high}};
}

AttributeMap Window::PoolAttributes() const {
  AttributeMap attributes = ConvAttributes();
  attributes.emplace("kernel", kernel);
  return attributes;
}

StatusOr<Shape> SpatialShape(const TensorType& type) {
  if (type.rank() >= 3) return Shape(type.shape.begin() + 2, type.shape.end());
  return InvalidInput("needs a batch, channels and spatial dimensions, found ", type.ToString());
}

void PadSame(Window& window, const Shape& spatial, bool upper) {
  for (size_t d = 0; d < window.rank(); ++d) {
    const int64_t stride = window.strides[d];
    const int64_t count = spatial[d] / stride + (spatial[d] % stride != 0);
    const int64_t total = std::max<int64_t>((count - 1) * stride + window.Span(d) - spatial[d], 0);
    const int64_t less = total / 2;
    window.pads_low[d] = upper ? less : total - less;
    window.pads_high[d] = upper ? total - less : less;
  }
}

std::vector<int64_t> RoundUp(Window& window, const Shape& spatial, bool clip) {
  std::vector<int64_t> added(window.rank(), 0);
  for (size_t d = 0; d < window.rank(); ++d) {
    const int64_t stride = window.strides[d];
    const int64_t room = spatial[d] + window.pads_low[d] + window.pads_high[d] - window.Span(d);
    if (room < 0) continue;  // no window fits; the op says so
    int64_t steps = room / stride + (room % stride != 0);
    // A window may not start behind the data: then it would hold padding only. (Padding that is
    // given can hold such a window even without rounding; it is cut.)
    if (clip && steps * stride >= spatial[d] + window.pads_low[d]) --steps;
    added[d] = std::max<int64_t>(steps * stride - room, 0);
    const int64_t excess = std::max<int64_t>(room - (steps * stride + stride - 1), 0);
    window.pads_high[d] += added[d] - excess;
  }
  return added;
}

}  // namespace kiln::foreign
