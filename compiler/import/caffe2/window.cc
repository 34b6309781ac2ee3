#include "compiler/import/caffe2/window.h"

#include <algorithm>

namespace kiln::caffe2_import {

namespace {

// NAMEs, NAME, or NAME_h and NAME_w; `otherwise` where there is none.
StatusOr<std::vector<int64_t>> Numbers(Node& n, const std::string& name, size_t rank,
                                       int64_t minimum, const std::vector<int64_t>& otherwise) {
  std::vector<int64_t> values = otherwise;
  if (n.HasArgument(name + "s")) {
    values = n.Ints(name + "s");
  } else if (n.HasArgument(name)) {
    values.assign(rank, n.Int(name));
  } else if (n.HasArgument(name + "_h") || n.HasArgument(name + "_w")) {
    values = {n.Int(name + "_h"), n.Int(name + "_w")};
  }
  if (values.size() != rank) {
    return InvalidInput("argument '", name, "' needs ", static_cast<int64_t>(rank),
                        " numbers, found ", FormatInts(values));
  }
  for (const int64_t value : values) {
    if (value < minimum || value > kMaxExtent) {
      return InvalidInput("argument '", name, "' is ", FormatInts(values), ", out of range");
    }
  }
  return values;
}

Status ReadPads(Node& n, Window& window) {
  const size_t rank = window.rank();
  std::vector<int64_t> pads(2 * rank, 0);
  if (n.HasArgument("pads")) {
    pads = n.Ints("pads");
  } else if (n.HasArgument("pad")) {
    pads.assign(2 * rank, n.Int("pad"));
  } else if (rank == 2) {
    pads = {n.Int("pad_t"), n.Int("pad_l"), n.Int("pad_b"), n.Int("pad_r")};
  }
  if (pads.size() != 2 * rank) {
    return InvalidInput("argument 'pads' is ", FormatInts(pads), ", expected ",
                        static_cast<int64_t>(2 * rank), " numbers");
  }
  for (const int64_t pad : pads) {
    if (pad < 0 || pad > kMaxExtent) {
      return InvalidInput("pads are ", FormatInts(pads), ", out of range");
    }
  }
  const auto middle = pads.begin() + static_cast<int64_t>(rank);
  window.pads_low.assign(pads.begin(), middle);
  window.pads_high.assign(middle, pads.end());
  return OkStatus();
}

}  // namespace

StatusOr<ReadWindowResult> ReadWindow(Node& n, const Shape& spatial, std::vector<int64_t> kernel) {
  ReadWindowResult result;
  Window& window = result.window;
  const size_t rank = spatial.size();
  KILN_ASSIGN_OR_RETURN(window.kernel, Numbers(n, "kernel", rank, 1, kernel));
  if (!kernel.empty() && window.kernel != kernel) {
    return InvalidInput("the kernel is ", FormatInts(window.kernel), ", the weights' is ",
                        FormatInts(kernel));
  }
  const std::vector<int64_t> ones(rank, 1);
  KILN_ASSIGN_OR_RETURN(window.strides, Numbers(n, "stride", rank, 1, ones));
  KILN_ASSIGN_OR_RETURN(window.dilations, Numbers(n, "dilation", rank, 1, ones));
  KILN_RETURN_IF_ERROR(ReadPads(n, window));
  result.ceil_pads_high.assign(rank, 0);
  enum LegacyPad { kNotSet, kValid, kSame, kCaffePooling };
  switch (n.Int("legacy_pad", kNotSet)) {
    case kNotSet: return result;
    case kValid:
      window.pads_low.assign(rank, 0);
      window.pads_high.assign(rank, 0);
      return result;
    case kSame: PadSame(window, spatial, /*upper=*/true); return result;
    case kCaffePooling: {
      window.pads_high = window.pads_low;
      const bool padded = std::ranges::any_of(window.pads_low, [](int64_t pad) { return pad > 0; });
      result.ceil_pads_high = RoundUp(window, spatial, padded);
      return result;
    }
    default: return InvalidInput("argument 'legacy_pad' is ", n.Int("legacy_pad"));
  }
}

std::vector<std::string> WindowArguments(std::vector<std::string> more) {
  for (const char* const name :
       {"kernel",   "kernels",  "kernel_h",  "kernel_w",   "stride",     "strides", "stride_h",
        "stride_w", "dilation", "dilations", "dilation_h", "dilation_w", "pad",     "pads",
        "pad_t",    "pad_l",    "pad_b",     "pad_r",      "legacy_pad", "order"}) {
    more.emplace_back(name);
  }
  return more;
}

}  // namespace kiln::caffe2_import
