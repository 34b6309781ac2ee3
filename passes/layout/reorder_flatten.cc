// reorder-flatten: an image is flattened in the order in which it will lie in memory, and the
// weights behind it are reordered instead.
//
//   matmul(reshape(x), w) = matmul(reshape(transpose(x, [0, 2.., 1])), w')     x [N, C, spatial...]
//
// w' are the rows of w for (c, position) at (position, c), moved when the model is compiled. The
// transpose costs nothing once assign-layouts has put x's channels last.
//
// Kept: an image that will lie plainly, weights that are not known, a flattened image that
// something else reads too.
#include <algorithm>
#include <numeric>
#include <set>

#include "ir/graph/builder.h"
#include "ir/graph/op_def.h"
#include "ir/graph/relayout.h"
#include "passes/function_pass.h"
#include "passes/graph/constants.h"
#include "passes/layout/layout_classes.h"
#include "passes/layout/layout_passes.h"
#include "passes/rewrite.h"

namespace kiln {

namespace {

constexpr char kName[] = "reorder-flatten";

/// [N, C, spatial...] to [N, C * spatial].
bool IsFlatten(const Op& op) {
  if (!op.Is("reshape") || op.shape().size() != 2) return false;
  const Shape& x = op.operand(0)->shape();
  return x.size() >= 3 && x[0] == op.shape()[0];
}

/// The rows of `w` (its columns when it is transposed) for (c, position) at (position, c).
Tensor ReorderRows(const Tensor& w, bool transposed, int64_t channels) {
  const Shape& shape = w.shape();
  const int64_t positions = shape[transposed ? 1 : 0] / channels;
  const Shape split =
      transposed ? Shape{shape[0], channels, positions} : Shape{channels, positions, shape[1]};
  const Layout swapped{.order = transposed ? std::vector<int>{0, 2, 1} : std::vector<int>{1, 0, 2}};
  return ToLayout(w.Reshaped(split), swapped).Retyped({w.type().element, shape});
}

class FlattenReorderer {
 public:
  FlattenReorderer(Graph& graph, int64_t lanes, PassContext& context)
      : graph_(graph), context_(context) {
    for (const LayoutClass& group : FindLayoutClasses(graph, lanes)) {
      if (group.kind == LayoutClass::Kind::kPlain) continue;
      for (const Op* const op : group.members) moved_.insert(op);
    }
  }

  StatusOr<bool> Run() {
    bool changed = false;
    for (Op* const op : graph_.Snapshot()) {
      if (!IsFlatten(*op) || !moved_.contains(op->operand(0)) || op->operand(0)->Is("transpose")) {
        continue;
      }
      const std::string why_not = WhyNot(*op);
      if (!why_not.empty()) {
        context_.Refused(kName, *op, StrCat(Describe(*op), " keeps its order: ", why_not));
      } else if (context_.Allow(kName, *op)) {
        KILN_RETURN_IF_ERROR(Reorder(*op));
        changed = true;
      }
    }
    if (changed) graph_.EraseDeadOps();
    return changed;
  }

 private:
  std::string WhyNot(const Op& flatten) const {
    if (graph_.IsOutput(&flatten)) return "it is an output";
    for (const Op* const user : flatten.users()) {
      const bool product = user->Is("matmul") && user->operand(0) == &flatten &&
                           user->operand(1) != &flatten && !user->Bool("transpose_a");
      if (!product) return StrCat(Describe(*user), " reads it too");
      const Tensor* const weights = KnownTensor(*user->operand(1), context_);
      if (weights == nullptr || !weights->type().layout.IsRowMajor() ||
          weights->shape().size() != 2) {
        return StrCat("the weights of ", Describe(*user), " are not known");
      }
    }
    return flatten.users().empty() ? "nothing reads it" : "";
  }

  Status Reorder(Op& flatten) {
    Op* const x = flatten.operand(0);
    std::vector<int64_t> channels_last(x->shape().size());
    std::iota(channels_last.begin() + 1, channels_last.end(), 2);
    channels_last.back() = 1;
    Builder builder(&graph_, &flatten);
    builder.SetSources(flatten.sources());
    KILN_ASSIGN_OR_RETURN(Op* const reordered,
                          builder.Reshape(builder.Transpose(x, channels_last), flatten.shape()));
    const std::vector<Op*> users = flatten.users();
    for (Op* const user : users) {
      Op* const weights = user->operand(1);
      builder.SetInsertionPoint(user);
      builder.SetSources(weights->sources());
      builder.SetNameHint(weights->name());
      const Tensor& value = *KnownTensor(*weights, context_);
      KILN_ASSIGN_OR_RETURN(Op* const moved, builder.Constant(ReorderRows(
                                                 value, user->Bool("transpose_b"), x->shape()[1])));
      user->SetOperand(0, reordered);
      user->SetOperand(1, moved);
    }
    context_.Fired(kName, flatten,
                   StrCat(Describe(flatten), " flattens channels last: the weights of ",
                          Describe(*users[0]), " are reordered for it"));
    return OkStatus();
  }

  Graph& graph_;
  PassContext& context_;
  std::set<const Op*> moved_;  ///< images that will not lie plainly
};

}  // namespace

Pass ReorderFlatten(int lanes) {
  return FunctionPass(kName,
                      "flattens images channels last, and reorders the weights that read them",
                      [lanes](Graph& function, PassContext& context) {
                        return FlattenReorderer(function, lanes, context).Run();
                      });
}

}  // namespace kiln
