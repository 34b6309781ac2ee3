#include "passes/memory/timeline.h"

#include "ir/graph/op_def.h"
#include "passes/training/train_step.h"

namespace kiln {

Timeline::Timeline(const Graph& function) : ops_(function.Snapshot()) {
  for (const Op* const op : ops_) positions_.emplace(op, static_cast<int>(positions_.size()));
  for (const Graph::Output& output : function.outputs()) {
    if (!output.update && output.name == kLoss) loss_ = positions_.at(output.value);
  }
  const size_t before = static_cast<size_t>(loss_ + 1);
  last_use_.assign(before, -1);
  readers_after_.resize(before);
  for (size_t user = 0; user < ops_.size(); ++user) {
    for (const Op* const operand : ops_[user]->operands()) Use(*operand, static_cast<int>(user));
  }
}

int64_t Timeline::Bytes(int position) const {
  const Op& op = *ops_[static_cast<size_t>(position)];
  return op.HasTrait(kLeaf) || op.HasTrait(kView) ? 0 : op.type().bytes();
}

void Timeline::Use(const Op& value, int user) {
  const Op* op = &value;
  while (true) {
    const int position = PositionOf(*op);
    if (position > loss_) return;
    if (user <= loss_) {
      last_use_[static_cast<size_t>(position)] = user;
    } else {
      readers_after_[static_cast<size_t>(position)].push_back(user);
    }
    if (!op->HasTrait(kView)) return;
    op = op->operand(0);
  }
}

}  // namespace kiln
