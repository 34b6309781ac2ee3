#include "compiler/schedule/schedule_table.h"

#include <charconv>

#include "ir/graph/tensor.h"
#include "ir/support/strings.h"

namespace kiln {

namespace {

constexpr std::string_view kHeader = "kiln schedules 1 ";
constexpr size_t kHashDigits = 32;
// More rows or vectors than any target has registers.
constexpr int64_t kLargest = 64;

std::string HashOf(const loop::Kernel& kernel) {
  const std::string text = loop::ToString(kernel);
  return ContentHash({text.data(), text.size()});
}

/// A whole number from 1 to kLargest, all of `text`.
std::optional<int64_t> ParseExtent(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return whole && value >= 1 && value <= kLargest ? std::optional(value) : std::nullopt;
}

bool IsHash(std::string_view text) {
  return text.size() == kHashDigits &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace

std::optional<TileShape> ScheduleTable::Find(const loop::Kernel& kernel) const {
  if (shapes_.empty()) return std::nullopt;
  const auto it = shapes_.find(HashOf(kernel));
  return it == shapes_.end() ? std::nullopt : std::optional(it->second);
}

void ScheduleTable::Insert(const loop::Kernel& kernel, const TileShape& shape) {
  shapes_.insert_or_assign(HashOf(kernel), shape);
}

Status ScheduleTable::Merge(std::string_view text, const Target& target) {
  std::vector<std::string> lines = StrSplit(text, '\n');
  if (!lines.empty() && lines.back().empty()) lines.pop_back();
  if (lines.empty() || !lines[0].starts_with(kHeader)) {
    return InvalidInput("line 1: expected '", std::string(kHeader), "TARGET'");
  }
  const std::string key = lines[0].substr(kHeader.size());
  if (key != target.Key()) {
    return InvalidInput("holds schedules for ", key, ", not for ", target.Key());
  }
  for (size_t i = 1; i < lines.size(); ++i) {
    const std::string_view line = lines[i];
    const std::string_view hash = line.substr(0, kHashDigits);
    const size_t cross = line.find('x', kHashDigits);
    const bool form =
        IsHash(hash) && line.substr(kHashDigits, 2) == "  " && cross != std::string_view::npos;
    const auto rows =
        form ? ParseExtent(line.substr(kHashDigits + 2, cross - kHashDigits - 2)) : std::nullopt;
    const auto vectors = form ? ParseExtent(line.substr(cross + 1)) : std::nullopt;
    if (!rows || !vectors) return InvalidInput("line ", i + 1, ": expected 'HASH  ROWSxVECTORS'");
    shapes_.emplace(hash, TileShape{*rows, *vectors});
  }
  return OkStatus();
}

std::string ScheduleTable::ToText(const Target& target) const {
  std::string text = StrCat(kHeader, target.Key(), "\n");
  for (const auto& [hash, shape] : shapes_) {
    text += StrCat(hash, "  ", shape.rows, "x", shape.vectors, "\n");
  }
  return text;
}

}  // namespace kiln
