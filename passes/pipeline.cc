#include "passes/pipeline.h"

#include <algorithm>

#include "passes/layout/layout_passes.h"
#include "passes/memory/memory_passes.h"
#include "passes/training/training_passes.h"

namespace kiln {

std::vector<Pass> InferencePipeline(const PipelineOptions& options) {
  return {
      // Every op and parameter left is needed by an output; equal frozen parameters are one.
      EliminateDeadCode(),
      // No op can be dropped or shortened by a law of arithmetic or shapes.
      SimplifyAlgebra(),
      // No two ops compute the same value.
      EliminateCommonSubexpressions(),
      // What is known now is a constant, as far as the budgets reach.
      FoldConstants(),
      // No batch_norm is left, and no scale stands right behind a contraction of its own.
      FoldBatchNorm(),
      // No composite is left: every op has an evaluation and a lowering of its own.
      DecomposeComposites(),
      // Transposed convolutions have strides of 1, but for some that are dilated as well.
      SplitConvTranspose(),
      // No two transposes follow one another, none stands before a matmul that can do without.
      FoldTransposes(),
      // Pools and convolutions over extents of 1 are products or gone, means stand before products.
      Reduce1x1(),
      // What the last four built is simplified and computed; biases are one constant.
      SimplifyAlgebra(),
      FoldConstants(),
      EliminateCommonSubexpressions(),
      // 1x1 convolutions of one image are one.
      MergeSiblings(),
      // Zeros around an image are padding of the convolution that reads it.
      FoldPadding(),
      // Weights that have been folded into others take no memory.
      EliminateDeadCode(),
      // 3x3 convolutions that gain by it are winograd_conv, with transformed weights.
      UseWinograd(options.winograd, options.lanes),
      // Transposed convolutions that would multiply many zeros are folded products.
      FoldConvTranspose(options.lanes),
      // Nor do weights that have been transformed.
      EliminateDeadCode(),
      // Gradients are masked where there is less of them: before they go back through a pool.
      MaskBeforeUnpool(),
      // Pools over what is never negative may read the same zeros.
      PadPoolsWithZeros(),
      // Images that will lie channels last are flattened so.
      ReorderFlatten(options.lanes),
      // Elementwise ops behind a contraction of their own are its epilogue.
      FuseConvRelu(),
      // Elementwise ops over one iteration space are one kernel.
      FuseElementwise(),
      // Values lie as their kernels like best, with the zeros around them that windows read.
      AssignLayouts(options.lanes),
      // Weights lie in the order in which their kernels read them.
      PackWeights(options.lanes),
      // Nothing is left that no output needs.
      EliminateDeadCode(),
      // A training step keeps no large value that is elementwise in others that it keeps,
      RecomputeElementwise(),
      // and none longer than it must.
      OrderForMemory(),
  };
}

const std::vector<Pass>& AllPasses() {
  static const auto* const all = [] {
    auto* passes = new std::vector<Pass>;
    for (Pass& pass : InferencePipeline()) {
      const bool known = std::any_of(passes->begin(), passes->end(),
                                     [&](const Pass& other) { return other.name == pass.name; });
      if (!known) passes->push_back(std::move(pass));
    }
    passes->push_back(DifferentiateLoss());
    return passes;
  }();
  return *all;
}

StatusOr<std::vector<Pass>> ParsePassList(std::string_view names) {
  std::vector<Pass> passes;
  if (names.empty()) return passes;
  for (const std::string& name : StrSplit(names, ',')) {
    const auto it = std::find_if(AllPasses().begin(), AllPasses().end(),
                                 [&](const Pass& pass) { return pass.name == name; });
    if (it == AllPasses().end()) return InvalidInput("there is no pass '", name, "'");
    passes.push_back(*it);
  }
  return passes;
}

std::string ListPasses() {
  size_t width = 0;
  for (const Pass& pass : AllPasses()) width = std::max(width, pass.name.size());
  std::string text;
  for (const Pass& pass : AllPasses()) {
    text += StrCat(pass.name, std::string(width + 2 - pass.name.size(), ' '), pass.doc, "\n");
  }
  return text;
}

}  // namespace kiln
