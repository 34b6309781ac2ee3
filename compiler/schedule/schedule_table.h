// Schedules that were chosen before: the shape of the register tile for kernels, by the hash of
// their unscheduled text. As a file, one line a kernel under a first line that names the target:
//
//   kiln schedules 1 x86_64-pc-linux-gnu/znver4/...
//   0f3c...  14x2
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "compiler/schedule/contraction.h"
#include "ir/loop/stmt.h"
#include "ir/support/status.h"

namespace kiln {

class ScheduleTable {
 public:
  std::optional<TileShape> Find(const loop::Kernel& kernel) const;
  void Insert(const loop::Kernel& kernel, const TileShape& shape);
  /// Adds what `text` holds; what is there already stays. An error says in which line what was
  /// expected, or that the schedules are another target's.
  Status Merge(std::string_view text, const Target& target);
  /// Deterministic: sorted by hash.
  std::string ToText(const Target& target) const;
  size_t size() const { return shapes_.size(); }

 private:
  std::map<std::string, TileShape, std::less<>> shapes_;
};

}  // namespace kiln
