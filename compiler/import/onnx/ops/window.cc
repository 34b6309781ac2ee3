#include "compiler/import/onnx/ops/window.h"

namespace kiln::onnx_import {

namespace {

constexpr int64_t kMaxExtent = int64_t{1} << 31;

// An attribute with a number per dimension, all in minimum .. 2^31; `otherwise` when absent.
StatusOr<std::vector<int64_t>> Numbers(Node& n, const std::string& name, size_t count,
                                       int64_t minimum, int64_t otherwise) {
  if (!n.HasAttribute(name)) return std::vector<int64_t>(count, otherwise);
  std::vector<int64_t> values = n.Ints(name);
  if (values.size() != count) {
    return InvalidInput("attribute '", name, "' is ", FormatInts(values), ", expected ",
                        static_cast<int64_t>(count), " numbers");
  }
  for (const int64_t value : values) {
    if (value < minimum || value > kMaxExtent) {
      return InvalidInput("attribute '", name, "' is ", FormatInts(values), ", out of range");
    }
  }
  return values;
}

// SAME: ceil(extent / stride) windows; the odd pad goes behind (upper) or in front (lower).
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

}  // namespace

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

StatusOr<Window> ReadExplicitWindow(Node& n, std::vector<int64_t> kernel) {
  const size_t rank = kernel.size();
  for (const int64_t extent : kernel) {
    if (extent < 1 || extent > kMaxExtent) {
      return InvalidInput("the kernel's shape is ", FormatInts(kernel), ", out of range");
    }
  }
  Window window;
  window.kernel = std::move(kernel);
  KILN_ASSIGN_OR_RETURN(window.strides, Numbers(n, "strides", rank, 1, 1));
  KILN_ASSIGN_OR_RETURN(window.dilations, Numbers(n, "dilations", rank, 1, 1));
  KILN_ASSIGN_OR_RETURN(const auto pads, Numbers(n, "pads", 2 * rank, 0, 0));
  window.pads_low.assign(pads.begin(), pads.begin() + static_cast<int64_t>(rank));
  window.pads_high.assign(pads.begin() + static_cast<int64_t>(rank), pads.end());
  return window;
}

StatusOr<Window> ReadWindow(Node& n, const Shape& spatial, std::vector<int64_t> kernel) {
  if (kernel.size() != spatial.size()) {
    return InvalidInput("the kernel's shape ", FormatInts(kernel), " does not fit ",
                        static_cast<int64_t>(spatial.size()), " spatial dimensions");
  }
  KILN_ASSIGN_OR_RETURN(Window window, ReadExplicitWindow(n, std::move(kernel)));
  const std::string mode = n.String("auto_pad", "NOTSET");
  if (mode == "NOTSET" || mode.empty()) return window;
  window.pads_low.assign(window.rank(), 0);
  window.pads_high.assign(window.rank(), 0);
  if (mode == "VALID") return window;
  if (mode != "SAME_UPPER" && mode != "SAME_LOWER") {
    return InvalidInput("attribute 'auto_pad' is ", Quote(mode));
  }
  PadSame(window, spatial, mode == "SAME_UPPER");
  return window;
}

std::vector<int64_t> RoundUp(Window& window, const Shape& spatial) {
  std::vector<int64_t> added(window.rank(), 0);
  for (size_t d = 0; d < window.rank(); ++d) {
    const int64_t stride = window.strides[d];
    const int64_t room = spatial[d] + window.pads_low[d] + window.pads_high[d] - window.Span(d);
    if (room < 0) continue;  // no window fits; the op says so
    int64_t steps = room / stride + (room % stride != 0);
    // A window may not start behind the data: then it would hold padding only. (Padding that is
    // given can hold such a window even without rounding; it is cut.)
    if (steps * stride >= spatial[d] + window.pads_low[d]) --steps;
    added[d] = std::max<int64_t>(steps * stride - room, 0);
    const int64_t excess = std::max<int64_t>(room - (steps * stride + stride - 1), 0);
    window.pads_high[d] += added[d] - excess;
  }
  return added;
}

}  // namespace kiln::onnx_import
