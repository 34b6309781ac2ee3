// The logs of a run in its folder: metrics.csv and a TensorBoard event file, a row at a time.
//
// Both are written anew from the history when the run starts or resumes, so that they always say
// what the history says, and appended to from then on. When a row cannot be written (a full disk),
// the next one writes everything again: nothing is lost that there is room for in the end.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "runtime/train/run_state.h"

namespace kiln {

class RunLog {
 public:
  explicit RunLog(std::string folder) : folder_(std::move(folder)) {}

  /// Writes what `state` holds; the event file is named by when the run started.
  absl::Status Rewrite(const RunState& state);
  /// Writes the last row of the history.
  absl::Status Append(const RunState& state);

 private:
  std::string folder_;
  bool whole_ = false;  ///< the files hold all rows but those yet to come
};

/// The line of metrics.csv with the names of its columns.
std::string MetricsHeader();
/// A row of it; what was not measured is empty.
std::string MetricsLine(const HistoryRow& row);
/// Its scalars as event records.
std::string EventRecords(const HistoryRow& row);

}  // namespace kiln
