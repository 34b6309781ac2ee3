#include "tools/outputs.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <numeric>

#include "runtime/file.h"
#include "runtime/npy.h"
#include "tools/numbers.h"
#include "tools/tensors.h"

namespace kiln {

namespace {

constexpr uint64_t kMaxLabelBytes = uint64_t{16} << 20;

double Element(const HostTensor& tensor, int64_t i) {
  const ElementType element = ToElementType(tensor.dtype);
  const char* const address = tensor.bytes.data() + i * ByteSize(element);
  return IsFloat(element) ? LoadDouble(element, address)
                          : static_cast<double>(LoadInt(element, address));
}

/// Smallest, largest and mean number; `nans` of them are none.
struct Statistics {
  double min = NAN;
  double max = NAN;
  double mean = NAN;
  int64_t nans = 0;
};

Statistics Describe(const HostTensor& tensor) {
  Statistics statistics;
  double sum = 0;
  const int64_t count = ElementCount(tensor.shape);
  for (int64_t i = 0; i < count; ++i) {
    const double value = Element(tensor, i);
    if (std::isnan(value)) {
      ++statistics.nans;
      continue;
    }
    statistics.min = std::fmin(statistics.min, value);
    statistics.max = std::fmax(statistics.max, value);
    sum += value;
  }
  if (count > statistics.nans) statistics.mean = sum / static_cast<double>(count - statistics.nans);
  return statistics;
}

/// The name of the output's file: what could steer a file system becomes '_'; equal names are
/// numbered.
std::string FileName(const std::string& name, std::set<std::string>& taken) {
  constexpr size_t kMaxName = 200;
  std::string safe;
  for (const char c : name.substr(0, kMaxName)) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) || std::strchr("_-.", c);
    safe += plain && c != '\0' ? c : '_';
  }
  if (safe.empty() || safe[0] == '.') safe = "_" + safe;
  std::string unique = safe;
  for (int i = 2; !taken.insert(unique).second; ++i) unique = StrCat(safe, "_", i);
  return unique + ".npy";
}

StatusOr<std::vector<std::string>> ReadLabels(const std::string& path) {
  if (path.empty()) return std::vector<std::string>();
  KILN_ASSIGN_OR_RETURN(const std::vector<char> bytes, ReadFile(path, kMaxLabelBytes));
  std::vector<std::string> labels = StrSplit(std::string(bytes.begin(), bytes.end()), '\n');
  for (std::string& label : labels) {
    if (label.ends_with('\r')) label.pop_back();
  }
  return labels;
}

/// The classes of the largest scores of row `row`, best first, as {class, score, label}.
Json TopClasses(const HostTensor& tensor, int64_t row, int64_t classes, int64_t top,
                const std::vector<std::string>& labels) {
  const auto score = [&](int64_t i) { return Element(tensor, row * classes + i); };
  std::vector<int64_t> order(static_cast<size_t>(classes));
  std::iota(order.begin(), order.end(), 0);
  const auto middle = order.begin() + std::min(top, classes);
  std::partial_sort(order.begin(), middle, order.end(), [&](int64_t a, int64_t b) {
    // A NaN is smaller than anything, so that this is an order.
    const double x = std::isnan(score(a)) ? -INFINITY : score(a);
    const double y = std::isnan(score(b)) ? -INFINITY : score(b);
    return x != y ? x > y : a < b;
  });
  Json best = Json::array();
  for (auto it = order.begin(); it != middle; ++it) {
    Json entry = {{"class", *it}, {"score", score(*it)}};
    if (static_cast<size_t>(*it) < labels.size()) entry["label"] = labels[static_cast<size_t>(*it)];
    best.push_back(std::move(entry));
  }
  return best;
}

/// A list of best classes for each row of the output (the leading dimension, from rank 2 on).
Json TopOfRows(const HostTensor& tensor, int64_t top, const std::vector<std::string>& labels) {
  const int64_t rows = tensor.rank() > 1 ? tensor.shape[0] : 1;
  Json all = Json::array();
  for (int64_t row = 0; row < rows; ++row) {
    all.push_back(TopClasses(tensor, row, ElementCount(tensor.shape) / rows, top, labels));
  }
  return all;
}

}  // namespace

void AddOutputOptions(CLI::App& app, OutputOptions& options) {
  app.add_option("--output-dir", options.directory, "Where outputs are written [.]")
      ->type_name("DIR");
  CLI::Option* const top =
      app.add_option("--top", options.top, "Print the K best classes of each output")
          ->check(WholeNumber(1))
          ->type_name("K");
  app.add_option("--labels", options.labels, "Names of the classes, one a line")
      ->needs(top)
      ->type_name("FILE");
}

StatusOr<OutputWriter> OutputWriter::Create(const OutputOptions& options) {
  KILN_ASSIGN_OR_RETURN(std::vector<std::string> labels, ReadLabels(options.labels));
  std::error_code error;
  std::filesystem::create_directories(options.directory, error);
  if (error) return InvalidInput(options.directory, ": cannot be made: ", error.message());
  return OutputWriter(options, std::move(labels));
}

StatusOr<Json> OutputWriter::Write(const std::string& name, const HostTensor& tensor) {
  const auto file = std::filesystem::path(options_.directory) / FileName(name, taken_);
  KILN_RETURN_IF_ERROR(WriteNpy(file.string(), tensor));
  const Statistics statistics = Describe(tensor);
  Json output = {{"name", name},
                 {"type", TypeText(tensor.dtype, tensor.shape)},
                 {"min", statistics.min},
                 {"max", statistics.max},
                 {"mean", statistics.mean},
                 {"nans", statistics.nans},
                 {"file", file.string()}};
  if (options_.top > 0 && ElementCount(tensor.shape) > 0) {
    output["top"] = TopOfRows(tensor, options_.top, labels_);
  }
  return output;
}

void PrintOutput(const Json& output) {
  std::string line = StrCat(std::string(output["name"]), ": ", std::string(output["type"]));
  if (output["min"].is_number()) {
    line += Format(", min %.6g", output["min"]) + Format(", max %.6g", output["max"]) +
            Format(", mean %.6g", output["mean"]);
  }
  if (output["nans"] != 0) line += StrCat(", ", int64_t{output["nans"]}, " are NaN");
  PrintOut(line + "\n");
  if (!output.contains("top")) return;
  for (size_t row = 0; row < output["top"].size(); ++row) {
    if (output["top"].size() > 1) PrintOut(StrCat("  row ", row, "\n"));
    for (const Json& entry : output["top"][row]) {
      const double score = entry["score"].is_number() ? double{entry["score"]} : NAN;
      PrintOut(StrCat("  ", Pad(Format("%.6g", score), -12), "  class ", int64_t{entry["class"]},
                      entry.contains("label") ? "  " + std::string(entry["label"]) : "", "\n"));
    }
  }
}

}  // namespace kiln
