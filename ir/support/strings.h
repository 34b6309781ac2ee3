// Small string helpers: concatenation and joining for messages and printed IR.
// Numbers print in the shortest form that reads back to the same value.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kiln {

namespace internal {
void Append(std::string& out, std::string_view piece);
void Append(std::string& out, bool value);
void Append(std::string& out, int64_t value);
void Append(std::string& out, uint64_t value);
void Append(std::string& out, double value);
inline void Append(std::string& out, char c) { out.push_back(c); }
inline void Append(std::string& out, const char* piece) { Append(out, std::string_view(piece)); }
inline void Append(std::string& out, const std::string& piece) {
  Append(out, std::string_view(piece));
}
inline void Append(std::string& out, int value) { Append(out, static_cast<int64_t>(value)); }
inline void Append(std::string& out, unsigned value) { Append(out, static_cast<uint64_t>(value)); }
inline void Append(std::string& out, long long value) { Append(out, static_cast<int64_t>(value)); }
}  // namespace internal

/// Concatenates strings and numbers.
template <typename... Pieces>
std::string StrCat(const Pieces&... pieces) {
  std::string out;
  (internal::Append(out, pieces), ...);
  return out;
}

/// Joins the elements of `range` with `separator`.
template <typename Range>
std::string StrJoin(const Range& range, std::string_view separator) {
  std::string out;
  bool first = true;
  for (const auto& element : range) {
    if (!first) out.append(separator);
    first = false;
    internal::Append(out, element);
  }
  return out;
}

/// The shortest decimal text that parses back to exactly `value`; `nan`, `inf` and `-inf` by name.
/// Always holds one of `.`, `e`, `n` or `i`, so that it never reads as an integer.
std::string FormatDouble(double value);

/// "[2, 3]" -> the form used for shapes and integer lists everywhere: `[2,3]`.
std::string FormatInts(const std::vector<int64_t>& values);

/// A string in double quotes with `"`, `\`, newline and other control characters escaped; the
/// parser's string token reads it back.
std::string Quote(std::string_view text);

std::vector<std::string> StrSplit(std::string_view text, char separator);

/// Parses the whole of `text`; false when anything is left over or out of range.
bool ParseInt(std::string_view text, int64_t* value);
bool ParseDouble(std::string_view text, double* value);

}  // namespace kiln
