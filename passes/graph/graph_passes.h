// The explicit list of passes on the graph IR. Each is one file of the same name, which opens with
// its laws and what it must not do; a new pass is one file, one line here, and one in pipeline.cc.
#pragma once

#include "passes/pass.h"

namespace kiln {

/// Which 3x3 convolutions are computed in Winograd's form.
enum class Winograd {
  kOff,
  kTile2,  ///< all that qualify, F(2x2, 3x3)
  kTile4,  ///< all that qualify, F(4x4, 3x3)
  kAuto,   ///< those that become faster, by the cost model
};

Pass SimplifyAlgebra();
Pass EliminateCommonSubexpressions();
Pass FoldConstants();
Pass FoldBatchNorm();
Pass FoldTransposes();
Pass DecomposeComposites();
/// `lanes`: f32 elements in a vector of the target.
Pass UseWinograd(Winograd tiles, int lanes);
Pass SplitConvTranspose();
Pass FoldConvTranspose(int lanes);
Pass Reduce1x1();
Pass MergeSiblings();
Pass FoldPadding();
Pass MaskBeforeUnpool();
Pass PadPoolsWithZeros();
Pass FuseConvRelu();
Pass FuseElementwise();
Pass EliminateDeadCode();

}  // namespace kiln
