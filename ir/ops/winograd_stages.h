// The loops of winograd_conv and winograd_weights: what winograd.h says, for whole tensors.
#pragma once

#include "ir/graph/op_def.h"

namespace kiln::winograd {

/// The stages: V = B^T x B for all tiles, P = V U for every place in a tile, y = A^T P A.
Stages ConvolutionStages(const Op& op, const StageContext& context);

/// u = G w G^T for every pair of channels.
Stages WeightStages(const Op& op, const StageContext& context);

}  // namespace kiln::winograd
