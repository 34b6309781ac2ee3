// Timeline: a function in the order in which it runs, and how long its values are needed: up to the
// output "loss", the forward half of a training step, and after it.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "ir/graph/graph.h"

namespace kiln {

class Timeline {
 public:
  explicit Timeline(const Graph& function);

  const std::vector<Op*>& ops() const { return ops_; }
  /// The position of the loss; -1: there is none.
  int loss() const { return loss_; }
  int PositionOf(const Op& op) const { return positions_.at(&op); }
  /// Bytes of its own that the op takes: none for a leaf or a view.
  int64_t Bytes(int position) const;
  /// The last op up to the loss that reads the value at `position`, views of it included; -1: none.
  int LastUseBefore(int position) const { return last_use_[static_cast<size_t>(position)]; }
  bool IsReadAfter(int position) const { return !ReadersAfter(position).empty(); }
  /// The positions of the ops after the loss that read the value at `position`, itself or a view of
  /// it; ascending.
  const std::vector<int>& ReadersAfter(int position) const {
    return readers_after_[static_cast<size_t>(position)];
  }

 private:
  void Use(const Op& value, int user);

  std::vector<Op*> ops_;
  std::unordered_map<const Op*, int> positions_;
  int loss_ = -1;
  std::vector<int> last_use_;                    // by position, up to the loss
  std::vector<std::vector<int>> readers_after_;  // likewise
};

}  // namespace kiln
