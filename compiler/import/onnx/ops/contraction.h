// What the plain and the quantised contractions share.
#pragma once

#include "compiler/import/onnx/node.h"
#include "compiler/import/onnx/ops/window.h"

namespace kiln::onnx_import {

/// The window of a convolution of x [N, C, ...] with w [O, C/groups, ...].
StatusOr<Window> ReadConvWindow(Node& n, const TensorType& x, const TensorType& w);

/// The attributes of all convolutions.
std::vector<AttributeSpec> ConvAttributeSpecs();

}  // namespace kiln::onnx_import
