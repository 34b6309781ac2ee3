// decompose-composites: every op that its definition expresses in other ops becomes those ops.
//
//   instance_norm(x) = ...               what OpDef::decompose builds
//
// Runs when the passes that profit from the structure (fold-batch-norm) have had their turn, so
// that what is left is optimised and fused like everything else.
#include "ir/graph/op_def.h"
#include "passes/graph/graph_passes.h"
#include "passes/rewrite.h"

namespace kiln {

namespace {

StatusOr<Op*> Decompose(RewriteSite& at) {
  const auto& decompose = at.op().def().decompose;
  if (!decompose) return kNoMatch;
  return decompose(at.b(), at.op());
}

}  // namespace

Pass DecomposeComposites() {
  static const auto* const rules = new std::vector<RewriteRule>{
      {"decompose", "a composite is its decomposition", Decompose},
  };
  return MakeRewritePass("decompose-composites", "expresses composite ops by primitive ones",
                         *rules);
}

}  // namespace kiln
