// The pipeline: which passes run, in which order, and what holds after each. See pipeline.cc, which
// reads as the story.
#pragma once

#include <string_view>
#include <vector>

#include "passes/graph/graph_passes.h"
#include "passes/pass.h"

namespace kiln {

/// Every pass: those of the inference pipeline in its order, then those for training.
const std::vector<Pass>& AllPasses();

struct PipelineOptions {
  int lanes = 16;  ///< f32 elements in a vector of the target: the size of channel blocks
  Winograd winograd = Winograd::kAuto;
};

/// The passes that take an imported inference graph to the graph that is lowered.
std::vector<Pass> InferencePipeline(const PipelineOptions& options = {});

/// The passes named in "a,b,c"; an error names the one that does not exist. A name may come twice.
StatusOr<std::vector<Pass>> ParsePassList(std::string_view names);

/// "name  doc", one line a pass: what --list-passes prints.
std::string ListPasses();

}  // namespace kiln
