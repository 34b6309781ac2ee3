// recompute-elementwise: a large value that a training step could have again with one pass over
// values which it keeps anyway is not kept for the backward half, but computed again there.
//
//   y = f(x); ... loss ...; g(x, y)   =   y = f(x); ... loss ...; y' = f(x); g(x, y')
//
// f is elementwise and cheap, such as the scale, shift and relu behind a normalisation: keeping x
// alone halves what such a layer keeps. Or it moves x to where convolutions like it, an input with
// zeros around it. The numbers are the same to the bit.
//
// Kept: what reads a value that is not kept itself, small values, and what is expensive.
#include <algorithm>
#include <vector>

#include "ir/graph/builder.h"
#include "ir/graph/op_def.h"
#include "passes/function_pass.h"
#include "passes/memory/memory_passes.h"
#include "passes/memory/timeline.h"
#include "passes/rewrite.h"

namespace kiln {

namespace {

constexpr char kName[] = "recompute-elementwise";
constexpr int64_t kWorthwhile = 1 << 20;  // bytes

bool IsCheap(const Op& op) {
  if (op.body() != nullptr) {
    return std::ranges::all_of(op.body()->ops(), [](const auto& inner) {
      return inner->HasTrait(kLeaf) || inner->Is("broadcast") || IsCheap(*inner);
    });
  }
  return (op.HasTrait(kElementwise) && !op.HasTrait(kExpensive)) || op.Is("relayout");
}

class ElementwiseRecomputer {
 public:
  ElementwiseRecomputer(Graph& graph, PassContext& context)
      : context_(context), time_(graph), builder_(&graph) {}

  StatusOr<bool> Run() {
    bool changed = false;
    again_.assign(static_cast<size_t>(time_.loss() + 1), false);
    for (int i = 0; i <= time_.loss(); ++i) {
      Op& op = *time_.ops()[static_cast<size_t>(i)];
      if (!IsWorthwhile(i) || !context_.Allow(kName, op)) continue;
      KILN_RETURN_IF_ERROR(ComputeAgain(i));
      context_.Fired(
          kName, op,
          StrCat(Describe(op), " is computed again: ", time_.Bytes(i), " bytes are not kept"));
      again_[static_cast<size_t>(i)] = changed = true;
    }
    return changed;
  }

 private:
  bool IsWorthwhile(int position) const {
    const Op& op = *time_.ops()[static_cast<size_t>(position)];
    if (time_.Bytes(position) < kWorthwhile || !IsCheap(op)) return false;
    // A view behind the loss would go on showing the value itself.
    const std::vector<int>& readers = time_.ReadersAfter(position);
    const auto reads = [&](int reader) {
      return std::ranges::count(op.users(), time_.ops()[static_cast<size_t>(reader)]) > 0;
    };
    return !readers.empty() && std::ranges::all_of(readers, reads) &&
           time_.LastUseBefore(position) >= 0 &&
           std::ranges::all_of(op.operands(), [&](const Op* x) { return IsKept(*x); });
  }

  bool IsKept(const Op& value) const {
    const Op* op = &value;
    while (op->HasTrait(kView)) op = op->operand(0);
    const int position = time_.PositionOf(*op);
    return op->HasTrait(kLeaf) ||
           (time_.IsReadAfter(position) && !again_[static_cast<size_t>(position)]);
  }

  /// In front of the first reader behind the loss.
  Status ComputeAgain(int position) {
    Op& op = *time_.ops()[static_cast<size_t>(position)];
    const std::vector<int>& readers = time_.ReadersAfter(position);
    builder_.SetInsertionPoint(time_.ops()[static_cast<size_t>(readers.front())]);
    KILN_ASSIGN_OR_RETURN(Op* const copy, builder_.CloneOp(op, op.operands()));
    for (const int reader : readers) {
      Op& user = *time_.ops()[static_cast<size_t>(reader)];
      for (size_t k = 0; k < user.operands().size(); ++k) {
        if (user.operand(k) == &op) user.SetOperand(k, copy);
      }
    }
    return OkStatus();
  }

  PassContext& context_;
  const Timeline time_;
  Builder builder_;
  std::vector<bool> again_;  // by position, up to the loss
};

}  // namespace

Pass RecomputeElementwise() {
  return FunctionPass(kName,
                      "computes again behind the loss what is elementwise in values kept anyway",
                      [](Graph& function, PassContext& context) {
                        return ElementwiseRecomputer(function, context).Run();
                      });
}

}  // namespace kiln
