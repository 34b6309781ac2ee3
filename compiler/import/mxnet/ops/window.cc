#include "compiler/import/mxnet/ops/window.h"

namespace kiln::mxnet_import {

namespace {

Status Check(const std::vector<int64_t>& values, size_t rank, int64_t minimum, const char* name) {
  bool good = values.size() == rank;
  for (const int64_t value : values) good = good && value >= minimum && value <= kMaxExtent;
  if (good) return OkStatus();
  return InvalidInput("attribute '", name, "' is ", FormatInts(values), ", expected ",
                      static_cast<uint64_t>(rank), " numbers of at least ", minimum);
}

}  // namespace

StatusOr<Window> ReadWindow(Node& n, std::vector<int64_t> kernel, size_t rank) {
  Window window;
  window.kernel = std::move(kernel);
  const auto read = [&](const char* name, int64_t otherwise) {
    std::vector<int64_t> values = n.Ints(name);
    if (values.empty()) values.assign(rank, otherwise);
    return values;
  };
  window.strides = read("stride", 1);
  window.dilations = read("dilate", 1);
  window.pads_low = window.pads_high = read("pad", 0);
  KILN_RETURN_IF_ERROR(n.Problem());
  KILN_RETURN_IF_ERROR(Check(window.kernel, rank, 1, "kernel"));
  KILN_RETURN_IF_ERROR(Check(window.strides, rank, 1, "stride"));
  KILN_RETURN_IF_ERROR(Check(window.dilations, rank, 1, "dilate"));
  KILN_RETURN_IF_ERROR(Check(window.pads_low, rank, 0, "pad"));
  return window;
}

StatusOr<bool> IsChannelsLast(Node& n) {
  const std::string layout = n.String("layout", "None");
  if (layout == "None" || layout == "NCW" || layout == "NCHW" || layout == "NCDHW") return false;
  if (layout == "NWC" || layout == "NHWC" || layout == "NDHWC") return true;
  return Unsupported("layout ", Quote(layout), " is not supported");
}

}  // namespace kiln::mxnet_import
