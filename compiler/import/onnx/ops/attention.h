// What the kinds of attention share. Heads are dimension 1: [batch, heads, length, size].
#pragma once

#include "compiler/import/onnx/node.h"

namespace kiln::onnx_import {

/// [batch, length, heads * size] as [batch, heads, length, size].
StatusOr<Op*> SplitHeads(Builder& b, Op* x, int64_t heads);
/// The same backwards.
StatusOr<Op*> JoinHeads(Builder& b, Op* x);

}  // namespace kiln::onnx_import
