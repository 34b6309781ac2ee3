// Tuning: which of the tile shapes that the cost model finds good is the fastest on this machine.
#pragma once

#include <optional>
#include <string>

#include "compiler/schedule/schedule_table.h"
#include "compiler/schedule/target.h"
#include "ir/support/status.h"

namespace kiln {

struct TuningOptions {
  bool measure = false;      ///< measure kernels that no table knows
  std::string read_file;     ///< schedules to use; empty: none
  std::string export_file;   ///< where to write all those used; empty: nowhere
  std::string cache_folder;  ///< with `measure`, winners are kept there; empty: not kept
  bool active() const { return measure || !read_file.empty() || !export_file.empty(); }
};

class Tuner {
 public:
  /// Reads the tables: `read_file` first, then the winners kept before. A kept table that is
  /// damaged is ignored.
  static StatusOr<Tuner> Create(const Target& target, const TuningOptions& options);

  /// The shape for an unscheduled kernel: from a table, else the fastest of a few candidates,
  /// measured one after another on one thread over buffers of zeros; nullopt to leave it to the
  /// cost model.
  StatusOr<std::optional<TileShape>> ShapeOf(const loop::Kernel& kernel);

  /// Keeps and exports what has been found.
  Status Save() const;

 private:
  Tuner(const Target& target, const TuningOptions& options) : target_(target), options_(options) {}
  std::string CacheFile() const;

  Target target_;
  TuningOptions options_;
  ScheduleTable known_;  ///< everything read or measured
  ScheduleTable used_;   ///< of it, what ShapeOf has given
};

}  // namespace kiln
