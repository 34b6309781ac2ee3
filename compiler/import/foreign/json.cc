#include "compiler/import/foreign/json.h"

#include <algorithm>
#include <cctype>

namespace kiln::foreign {

namespace {

constexpr size_t kMaxBytes = 64 << 20;
constexpr int kMaxDepth = 32;
constexpr int64_t kMaxParts = 2'000'000;

// The parser builds before anybody can look, so depth and number of parts are bounded first.
Status CheckText(std::span<const char> bytes, const std::string& what) {
  if (bytes.size() > kMaxBytes) return InvalidInput("the ", what, " is larger than 64 MiB");
  int depth = 0;
  int64_t parts = 0;
  bool in_string = false;
  for (size_t i = 0; i < bytes.size(); ++i) {
    const char c = bytes[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
      continue;
    }
    if (c == '"') in_string = true;
    if (c == '[' || c == '{') ++depth;
    if (c == ']' || c == '}') --depth;
    if (c == ',' || c == '[' || c == '{') ++parts;
    if (depth > kMaxDepth) {
      return InvalidInput("the ", what, " is nested more than ", kMaxDepth, " deep");
    }
    if (parts > kMaxParts)
      return InvalidInput("the ", what, " has more than ", kMaxParts, " parts");
  }
  return OkStatus();
}

}  // namespace

StatusOr<Json> ParseJson(std::span<const char> bytes, const std::string& what) {
  const auto start =
      std::ranges::find_if_not(bytes, [](unsigned char c) { return std::isspace(c) != 0; });
  if (start == bytes.end() || *start != '{')
    return InvalidInput("the ", what, " is no JSON object");
  KILN_RETURN_IF_ERROR(CheckText(bytes, what));
  Json json = Json::parse(bytes.begin(), bytes.end(), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return InvalidInput("the ", what, " is no JSON object");
  return json;
}

const Json* Find(const Json& json, const char* key) {
  if (!json.is_object()) return nullptr;
  const auto it = json.find(key);
  return it == json.end() || it->is_null() ? nullptr : &*it;
}

std::string TextIn(const Json& json, const char* key) {
  const Json* const found = Find(json, key);
  return found != nullptr && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace kiln::foreign
