// What the plain and the quantised contractions share.
#pragma once

#include "compiler/import/onnx/node.h"
#include "compiler/import/onnx/ops/window.h"

namespace kiln::onnx_import {

/// numpy.matmul: a vector on the left is a row, one on the right a column, and its dimension goes.
StatusOr<Op*> MatMulNumpy(Builder& b, Op* left, Op* right);

/// y [N, C, ...] + bias [C].
StatusOr<Op*> AddBias(Builder& b, const StatusOr<Op*>& y, const StatusOr<Op*>& bias);

/// The window of a convolution of x [N, C, ...] with w [O, C/groups, ...].
StatusOr<Window> ReadConvWindow(Node& n, const TensorType& x, const TensorType& w);

/// The attributes of all convolutions.
std::vector<AttributeSpec> ConvAttributeSpecs();

}  // namespace kiln::onnx_import
