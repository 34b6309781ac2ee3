#include "ir/graph/element_text.h"

#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>

#include "ir/graph/tensor.h"
#include "ir/support/strings.h"

namespace kiln {

namespace {

// The bits of an element, zero-extended. Little-endian hosts only, as the whole of Kiln.
uint64_t Bits(ElementType type, const char* address) {
  uint64_t bits = 0;
  std::memcpy(&bits, address, static_cast<size_t>(ByteSize(type)));
  return bits;
}

std::string Hex(uint64_t bits) {
  char buffer[20];
  return "0x" + std::string(buffer, std::to_chars(buffer, buffer + sizeof(buffer), bits, 16).ptr);
}

// The bits of the NaN that is written `nan`.
uint64_t PlainNan(ElementType type) {
  char bytes[8] = {};
  StoreDouble(type, bytes, std::numeric_limits<double>::quiet_NaN());
  return Bits(type, bytes);
}

// f16, bf16 and f32 are written in as many digits as tell f32 values apart.
std::string FormatFloat(float value) {
  char buffer[40];
  std::string text(buffer, std::to_chars(buffer, buffer + sizeof(buffer), value).ptr);
  if (text.find_first_of(".ein") == std::string::npos) text += ".0";
  return text;
}

template <typename T>
bool ParseWhole(std::string_view text, T* value, auto... base) {
  const auto result = std::from_chars(text.data(), text.data() + text.size(), *value, base...);
  return result.ec == std::errc() && result.ptr == text.data() + text.size();
}

bool ParseFloat(ElementType type, std::string_view text, char* address) {
  double value = 0;
  if (type == ElementType::kF64) {
    if (!ParseWhole(text, &value)) return false;
  } else {
    float single = 0;
    if (!ParseWhole(text, &single)) return false;
    value = single;
    if (std::isfinite(value) && !std::isfinite(RoundTo(type, value))) return false;
  }
  if (std::isnan(value)) value = std::numeric_limits<double>::quiet_NaN();
  StoreDouble(type, address, value);
  return true;
}

bool ParseInteger(ElementType type, std::string_view text, char* address) {
  if (type == ElementType::kU64) {
    uint64_t value = 0;
    if (!ParseWhole(text, &value)) return false;
    StoreInt(type, address, static_cast<int64_t>(value));
    return true;
  }
  int64_t value = 0;
  if (!ParseWhole(text, &value)) return false;
  StoreInt(type, address, value);
  return LoadInt(type, address) == value;
}

bool ParseHex(ElementType type, std::string_view digits, char* address) {
  const auto size = static_cast<size_t>(ByteSize(type));
  uint64_t bits = 0;
  if (!ParseWhole(digits, &bits, 16)) return false;
  if (size < 8 && bits >> (8 * size) != 0) return false;
  std::memcpy(address, &bits, size);
  return true;
}

}  // namespace

std::string FormatElement(ElementType type, const char* address) {
  const uint64_t bits = Bits(type, address);
  if (type == ElementType::kBool) {
    return bits == 0 ? "false" : bits == 1 ? "true" : Hex(bits);
  }
  if (type == ElementType::kU64) return StrCat(bits);
  if (!IsFloat(type)) return StrCat(LoadInt(type, address));
  const double value = LoadDouble(type, address);
  if (std::isnan(value)) return bits == PlainNan(type) ? "nan" : Hex(bits);
  return type == ElementType::kF64 ? FormatDouble(value) : FormatFloat(static_cast<float>(value));
}

bool ParseElement(ElementType type, std::string_view text, char* address) {
  if (text.starts_with("0x")) return ParseHex(type, text.substr(2), address);
  if (type == ElementType::kBool) {
    if (text != "true" && text != "false") return false;
    *address = text == "true";
    return true;
  }
  return IsFloat(type) ? ParseFloat(type, text, address) : ParseInteger(type, text, address);
}

}  // namespace kiln
