#include "compiler/import/onnx/ops/window.h"

namespace kiln::onnx_import {

namespace {

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

}  // namespace

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

}  // namespace kiln::onnx_import
