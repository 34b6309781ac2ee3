#include "runtime/train/run_log.h"

#include <cmath>
#include <cstdio>
#include <span>

#include "runtime/file.h"
#include "runtime/train/event_file.h"

namespace kiln {

namespace {

constexpr struct {
  const char* column;
  const char* tag;  // of TensorBoard
  double HistoryRow::* value;
} kColumns[] = {
    {"loss", "train/loss", &HistoryRow::loss},
    {"rate", "train/rate", &HistoryRow::rate},
    {"test_loss", "test/loss", &HistoryRow::test_loss},
    {"test_accuracy", "test/accuracy", &HistoryRow::test_accuracy},
    {"test_top5", "test/top5", &HistoryRow::test_top5},
    {"items_per_second", "items_per_second", &HistoryRow::items_per_second},
};

std::string Text(double value) {
  if (std::isnan(value)) return "";
  char text[32];
  std::snprintf(text, sizeof text, "%.9g", value);
  return text;
}

std::string MetricsPath(const std::string& folder) { return folder + "/metrics.csv"; }

}  // namespace

std::string MetricsHeader() {
  std::string line = "step,epoch";
  for (const auto& column : kColumns) line += std::string(",") + column.column;
  return line + ",seconds\n";
}

std::string MetricsLine(const HistoryRow& row) {
  std::string line = std::to_string(row.step) + "," + Text(row.epoch);
  for (const auto& column : kColumns) line += "," + Text(row.*column.value);
  return line + "," + Text(row.seconds) + "\n";
}

std::string EventRecords(const HistoryRow& row) {
  std::string records;
  for (const auto& column : kColumns) {
    const double value = row.*column.value;
    if (std::isnan(value)) continue;
    records += ScalarEvent(row.wall_time, row.step, column.tag, static_cast<float>(value));
  }
  return records;
}

absl::Status RunLog::Rewrite(const RunState& state) {
  std::string metrics = MetricsHeader(), events = EventFileHeader(state.started);
  for (const HistoryRow& row : state.history) {
    metrics += MetricsLine(row);
    events += EventRecords(row);
  }
  whole_ = false;
  absl::Status status = WriteFile(MetricsPath(folder_), {std::span<const char>(metrics)});
  if (!status.ok()) return status;
  status = WriteFile(folder_ + "/" + EventFileName(state.started), {std::span<const char>(events)});
  whole_ = status.ok();
  return status;
}

absl::Status RunLog::Append(const RunState& state) {
  if (!whole_) return Rewrite(state);
  const HistoryRow& row = state.history.back();
  whole_ = false;
  absl::Status status = AppendToFile(MetricsPath(folder_), MetricsLine(row));
  if (!status.ok()) return status;
  status = AppendToFile(folder_ + "/" + EventFileName(state.started), EventRecords(row));
  whole_ = status.ok();
  return status;
}

}  // namespace kiln
