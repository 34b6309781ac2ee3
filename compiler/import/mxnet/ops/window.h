// The attributes by which MXNet's convolutions and pools say how their window slides.
#pragma once

#include "compiler/import/foreign/window.h"
#include "compiler/import/mxnet/node.h"

namespace kiln::mxnet_import {

/// Reads stride, dilate and pad of a window with this kernel over `rank` spatial dimensions.
StatusOr<Window> ReadWindow(Node& n, std::vector<int64_t> kernel, size_t rank);

/// Whether attribute `layout` says that channels come last.
StatusOr<bool> IsChannelsLast(Node& n);

}  // namespace kiln::mxnet_import
