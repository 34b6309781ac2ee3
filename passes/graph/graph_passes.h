// The explicit list of passes on the graph IR. Each is one file of the same name, which opens with
// its laws and what it must not do; a new pass is one file, one line here, and one in pipeline.cc.
#pragma once

#include "passes/pass.h"

namespace kiln {

Pass SimplifyAlgebra();
Pass EliminateCommonSubexpressions();
Pass FoldConstants();
Pass FoldBatchNorm();
Pass FoldTransposes();
Pass DecomposeComposites();
Pass MakePaddingExplicit();
Pass FuseConvRelu();
Pass FuseElementwise();
Pass EliminateDeadCode();

}  // namespace kiln
