#include "compiler/import/caffe/layers/window.h"

#include <algorithm>

namespace kiln::caffe_import {

namespace {

using foreign::kMaxExtent;
using foreign::Window;

Status CheckRange(const std::vector<int64_t>& values, int64_t minimum, const char* name) {
  for (const int64_t value : values) {
    if (value < minimum || value > kMaxExtent) {
      return InvalidInput(name, " is ", FormatInts(values), ", out of range");
    }
  }
  return OkStatus();
}

// A repeated field of a convolution, or its _h and _w.
struct Field {
  const char* name;
  const google::protobuf::RepeatedField<uint32_t>& list;
  bool has_h, has_w;
  int64_t h, w;
  int64_t minimum;
  std::optional<int64_t> otherwise;
};

StatusOr<std::vector<int64_t>> Read(const Field& field, int64_t rank) {
  std::vector<int64_t> values;
  if (field.has_h || field.has_w) {
    if (rank != 2) return InvalidInput(field.name, "_h and ", field.name, "_w need two dimensions");
    // What Caffe does when one of them is left out.
    values = {field.has_h ? field.h : field.otherwise.value_or(0),
              field.has_w ? field.w : field.otherwise.value_or(0)};
  } else if (field.list.empty()) {
    if (!field.otherwise) return InvalidInput(field.name, " is missing");
    values.assign(rank, *field.otherwise);
  } else if (field.list.size() == 1) {
    values.assign(rank, field.list.Get(0));
  } else if (field.list.size() == rank) {
    values.assign(field.list.begin(), field.list.end());
  } else {
    return InvalidInput(field.name, " is given ", field.list.size(), " times, expected once or ",
                        rank, " times");
  }
  KILN_RETURN_IF_ERROR(CheckRange(values, field.minimum, field.name));
  return values;
}

}  // namespace

StatusOr<Window> ReadWindow(const caffe::ConvolutionParameter& p, int64_t rank) {
  Window window;
  KILN_ASSIGN_OR_RETURN(window.kernel,
                        Read({"kernel_size", p.kernel_size(), p.has_kernel_h(), p.has_kernel_w(),
                              p.kernel_h(), p.kernel_w(), 1, std::nullopt},
                             rank));
  KILN_ASSIGN_OR_RETURN(window.strides, Read({"stride", p.stride(), p.has_stride_h(),
                                              p.has_stride_w(), p.stride_h(), p.stride_w(), 1, 1},
                                             rank));
  KILN_ASSIGN_OR_RETURN(
      window.pads_low,
      Read({"pad", p.pad(), p.has_pad_h(), p.has_pad_w(), p.pad_h(), p.pad_w(), 0, 0}, rank));
  KILN_ASSIGN_OR_RETURN(window.dilations,
                        Read({"dilation", p.dilation(), false, false, 0, 0, 1, 1}, rank));
  window.pads_high = window.pads_low;
  return window;
}

StatusOr<PoolWindow> ReadPoolWindow(const caffe::PoolingParameter& p, const Shape& spatial) {
  PoolWindow pool;
  Window& window = pool.window;
  const auto pair = [](bool has_h, bool has_w, int64_t h, int64_t w, int64_t both) {
    return std::vector<int64_t>{has_h ? h : both, has_w ? w : both};
  };
  window.kernel = p.global_pooling() ? spatial
                                     : pair(p.has_kernel_h(), p.has_kernel_w(), p.kernel_h(),
                                            p.kernel_w(), p.kernel_size());
  window.strides = pair(p.has_stride_h(), p.has_stride_w(), p.stride_h(), p.stride_w(), p.stride());
  window.pads_low = pair(p.has_pad_h(), p.has_pad_w(), p.pad_h(), p.pad_w(), p.pad());
  if (p.global_pooling()) {
    window.strides = {1, 1};
    window.pads_low = {0, 0};
  }
  window.dilations = {1, 1};
  window.pads_high = window.pads_low;
  pool.ceil_pads_high = {0, 0};
  KILN_RETURN_IF_ERROR(CheckRange(window.kernel, 1, "kernel_size"));
  KILN_RETURN_IF_ERROR(CheckRange(window.strides, 1, "stride"));
  KILN_RETURN_IF_ERROR(CheckRange(window.pads_low, 0, "pad"));
  for (size_t d = 0; d < 2; ++d) {
    if (window.pads_low[d] >= window.kernel[d]) {
      return InvalidInput("pad ", window.pads_low[d], " must be less than the kernel's extent, ",
                          window.kernel[d]);
    }
  }
  const bool floor =
      p.round_mode() == caffe::PoolingParameter::FLOOR || (p.has_ceil_mode() && !p.ceil_mode());
  if (floor) return pool;
  // Only where something is padded does Caffe cut the window that would lie in padding wholly.
  const bool padded = std::ranges::any_of(window.pads_low, [](int64_t pad) { return pad > 0; });
  pool.ceil_pads_high = foreign::RoundUp(window, spatial, padded);
  return pool;
}

}  // namespace kiln::caffe_import
