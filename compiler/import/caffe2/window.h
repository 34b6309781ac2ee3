// The arguments by which Caffe2's convolutions and pools say how their window slides.
#pragma once

#include "compiler/import/caffe2/node.h"
#include "compiler/import/foreign/window.h"

namespace kiln::caffe2_import {

struct ReadWindowResult {
  Window window;
  std::vector<int64_t> ceil_pads_high;  ///< the part of pads_high that rounding up added
};

/// Reads kernel, stride, pad, dilation and legacy_pad of a window over `spatial`. `kernel` is used
/// where the node has none (the weights' extents); empty: it must have one.
StatusOr<ReadWindowResult> ReadWindow(Node& n, const Shape& spatial, std::vector<int64_t> kernel);

/// The names of the arguments that it reads.
std::vector<std::string> WindowArguments(std::vector<std::string> more);

}  // namespace kiln::caffe2_import
