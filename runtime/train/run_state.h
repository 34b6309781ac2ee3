// Where a training run stands, beside the parameter block: together they are all that is needed to
// go on exactly as if it had never stopped.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

namespace kiln {

/// A line of metrics.csv: what was seen up to a step. NaN: not measured there.
struct HistoryRow {
  static constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

  int64_t step = 0;
  double epoch = 0;     ///< passes through the data, as a fraction
  double loss = kNone;  ///< the mean over the steps since the row before
  double rate = kNone;  ///< of the last of them
  double test_loss = kNone;
  double test_accuracy = kNone;
  double test_top5 = kNone;
  double items_per_second = kNone;
  double seconds = 0;    ///< of the run, what was before a resume included
  double wall_time = 0;  ///< of the clock: seconds since 1970
};

struct RunState {
  int64_t step = 0;      ///< updates done
  int64_t position = 0;  ///< items consumed, over all epochs: the data cursor
  uint64_t seed = 0;
  int64_t step_items = 0;  ///< items to a step
  int64_t train_size = 0;  ///< items of the data set
  double smoothed_loss = HistoryRow::kNone;
  double loss_sum = 0;  ///< since the last row
  int64_t loss_count = 0;
  double best_score = HistoryRow::kNone;  ///< the higher the better; NaN: not tested yet
  int64_t best_step = -1;
  int64_t tests_since_best = 0;
  double seconds = 0;
  double started = 0;  ///< by the clock, of the first start
  std::vector<HistoryRow> history;
};

}  // namespace kiln
