// Comma-separated values: a line for each item.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "runtime/file.h"
#include "runtime/train/dataset_files.h"

namespace kiln {

namespace {

constexpr uint64_t kMaxFileBytes = uint64_t{1} << 32;
constexpr float kMaxLabel = 1 << 20;

struct Table {
  std::vector<float> values;
  int64_t columns = 0;
  int64_t rows() const { return columns == 0 ? 0 : static_cast<int64_t>(values.size()) / columns; }
  float at(int64_t row, int64_t column) const {
    return values[static_cast<size_t>(row * columns + column)];
  }
};

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) {
    text.remove_suffix(1);
  }
  return text;
}

// The numbers of a line; false when a field is none.
bool ParseLine(std::string_view line, std::vector<float>& numbers) {
  numbers.clear();
  while (true) {
    const size_t comma = line.find(',');
    std::string_view field = Trimmed(line.substr(0, comma));
    if (!field.empty() && field.front() == '+') field.remove_prefix(1);
    float number;
    const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), number);
    if (error != std::errc() || end != field.data() + field.size()) return false;
    numbers.push_back(number);
    if (comma == line.npos) return true;
    line.remove_prefix(comma + 1);
  }
}

absl::StatusOr<Table> ReadTable(const std::string& path) {
  const absl::StatusOr<std::vector<char>> file = ReadFile(path, kMaxFileBytes);
  if (!file.ok()) return file.status();
  Table table;
  std::string_view text(file->data(), file->size());
  std::vector<float> numbers;
  for (int64_t line = 1; !text.empty(); ++line) {
    const size_t end = text.find('\n');
    const std::string_view content = Trimmed(text.substr(0, end));
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
    if (content.empty()) continue;
    if (!ParseLine(content, numbers)) {
      if (line == 1) continue;  // the names of the columns
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": line ", line, ": expected numbers separated by commas"));
    }
    const auto count = static_cast<int64_t>(numbers.size());
    if (table.columns == 0) table.columns = count;
    if (count != table.columns) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": line ", line, ": expected ",
                                                     table.columns, " numbers, found ", count));
    }
    table.values.insert(table.values.end(), numbers.begin(), numbers.end());
  }
  return table;
}

bool HoldsLabels(const Table& table, int64_t column) {
  for (int64_t row = 0; row < table.rows(); ++row) {
    const float value = table.at(row, column);
    if (!(value >= 0 && value <= kMaxLabel && value == std::floor(value))) return false;
  }
  return true;
}

}  // namespace

absl::StatusOr<DatasetSplit> ReadCsv(const std::string& path, const DatasetOptions& options) {
  const absl::StatusOr<Table> table = ReadTable(path);
  if (!table.ok()) return table.status();
  const int64_t behind = std::max<int64_t>(options.targets, 1);
  const int64_t features = table->columns - behind;
  if (table->rows() == 0 || features < 1) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": expected lines of at least ",
                                                   behind + 1, " numbers, found ", table->rows(),
                                                   " lines of ", table->columns));
  }
  Dataset dataset;
  dataset.item_shape = {features};
  const bool labels = options.targets == 0 && HoldsLabels(*table, features);
  if (!labels) dataset.target_count = behind;
  std::vector<float> items;
  for (int64_t row = 0; row < table->rows(); ++row) {
    const auto start = table->values.begin() + row * table->columns;
    items.insert(items.end(), start, start + features);
    if (labels) {
      dataset.labels.push_back(static_cast<int32_t>(table->at(row, features)));
      dataset.classes = std::max<int64_t>(dataset.classes, dataset.labels.back() + 1);
    } else {
      dataset.targets.insert(dataset.targets.end(), start + features, start + table->columns);
    }
  }
  dataset.items = ItemsInMemory(std::move(items), features);
  return HoldOut(std::move(dataset), options);
}

}  // namespace kiln
