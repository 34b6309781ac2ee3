// Convolutions, also of data that a SpaceToBatchND has spread, which are dilated ones.
#pragma once

#include "compiler/import/foreign/window.h"
#include "compiler/import/tensorflow/node.h"

namespace kiln::tensorflow_import {

/// The weights of Conv2D [H, W, I, O] as conv takes them, [O, I, H, W].
StatusOr<Op*> ConvWeights(Builder& b, const StatusOr<Op*>& w);
/// The weights of DepthwiseConv2dNative [H, W, C, M] as [C*M, 1, H, W].
StatusOr<Op*> DepthwiseWeights(Builder& b, const StatusOr<Op*>& w);

/// conv of x [N, C, spatial..] with w [O, I, kernel..], in C / I groups.
StatusOr<Op*> GroupedConv(Builder& b, const StatusOr<Op*>& x, const StatusOr<Op*>& w,
                          const Window& window);

}  // namespace kiln::tensorflow_import
