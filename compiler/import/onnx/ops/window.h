// The attributes that convolutions and pools share.
#pragma once

#include <vector>

#include "compiler/import/foreign/window.h"
#include "compiler/import/onnx/node.h"

namespace kiln::onnx_import {

/// Reads strides, dilations, pads and auto_pad; `kernel` has one extent per dimension of `spatial`.
StatusOr<Window> ReadWindow(Node& n, const Shape& spatial, std::vector<int64_t> kernel);

/// Reads strides, dilations and pads only (what auto_pad means for ConvTranspose differs).
StatusOr<Window> ReadExplicitWindow(Node& n, std::vector<int64_t> kernel);

}  // namespace kiln::onnx_import
