// The fields by which Caffe's convolutions and pools say how their window slides.
#pragma once

#include "compiler/import/foreign/window.h"
#include "proto/caffe.pb.h"

namespace kiln::caffe_import {

/// Reads kernel, stride, pad and dilation for `rank` spatial dimensions, each given once, once per
/// dimension, or (with two dimensions) as _h and _w.
StatusOr<foreign::Window> ReadWindow(const caffe::ConvolutionParameter& param, int64_t rank);

/// The same of a pool over `spatial`, which has two dimensions; rounded as Caffe rounds.
struct PoolWindow {
  foreign::Window window;
  std::vector<int64_t> ceil_pads_high;  ///< the part of pads_high that rounding up added
};
StatusOr<PoolWindow> ReadPoolWindow(const caffe::PoolingParameter& param, const Shape& spatial);

}  // namespace kiln::caffe_import
