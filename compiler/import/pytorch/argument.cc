#include "compiler/import/pytorch/argument.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>

namespace kiln::pytorch_import {

namespace {

using foreign::Find;
using foreign::Json;
using foreign::TextIn;

Number FromInteger(int64_t value) { return {static_cast<double>(value), value, "", false}; }

Number FromDouble(double value) {
  constexpr double kLimit = 9.2e18;
  const double cut = std::isnan(value) ? 0 : std::clamp(value, -kLimit, kLimit);
  return {value, static_cast<int64_t>(cut), "", true};
}

StatusOr<Number> ReadNumber(const Json& json) {
  if (json.is_boolean()) return FromInteger(json.get<bool>() ? 1 : 0);
  if (json.is_number_integer()) return FromInteger(json.get<int64_t>());
  if (json.is_number()) return FromDouble(json.get<double>());
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (json == "Infinity") return FromDouble(kInfinity);
  if (json == "-Infinity") return FromDouble(-kInfinity);
  if (json == "NaN") return FromDouble(std::numeric_limits<double>::quiet_NaN());
  // {"as_name": "sym_size_int"}, {"as_int": 3}
  if (const Json* const value = Find(json, "as_int"); value != nullptr && value->is_number()) {
    return ReadNumber(*value);
  }
  Number number;
  number.symbol = TextIn(json, "as_name");
  if (number.symbol.empty()) return InvalidInput("is no number");
  return number;
}

// {"name": "x"}, or in lists of tensors that may be absent {"as_tensor": {"name": "x"}}.
StatusOr<std::string> ReadName(const Json& json) {
  if (Find(json, "as_none") != nullptr) return std::string();
  const Json* const inner = Find(json, "as_tensor");
  const std::string name = TextIn(inner == nullptr ? json : *inner, "name");
  if (name.empty()) return InvalidInput("is no name of a tensor");
  return name;
}

Argument::Kind KindOf(std::string_view key) {
  using Kind = Argument::Kind;
  static constexpr std::pair<std::string_view, Kind> kKinds[] = {
      {"as_none", Kind::kNone},
      {"as_tensor", Kind::kTensors},
      {"as_tensors", Kind::kTensors},
      {"as_optional_tensor", Kind::kTensors},
      {"as_optional_tensors", Kind::kTensors},
      {"as_int", Kind::kNumbers},
      {"as_ints", Kind::kNumbers},
      {"as_float", Kind::kNumbers},
      {"as_floats", Kind::kNumbers},
      {"as_sym_int", Kind::kNumbers},
      {"as_sym_ints", Kind::kNumbers},
      {"as_bool", Kind::kBools},
      {"as_bools", Kind::kBools},
      {"as_string", Kind::kText},
      {"as_scalar_type", Kind::kScalarType},
  };
  for (const auto& [name, kind] : kKinds) {
    if (key == name) return kind;
  }
  return Kind::kOther;
}

Status ReadEntry(const Json& json, Argument* argument) {
  if (argument->kind == Argument::Kind::kTensors) {
    KILN_ASSIGN_OR_RETURN(std::string name, ReadName(json));
    argument->names.push_back(std::move(name));
    return OkStatus();
  }
  KILN_ASSIGN_OR_RETURN(Number number, ReadNumber(json));
  argument->numbers.push_back(std::move(number));
  return OkStatus();
}

}  // namespace

StatusOr<std::pair<std::string, const Json*>> UnionMember(const Json& json) {
  if (!json.is_object()) return InvalidInput("is no object");
  std::pair<std::string, const Json*> found;
  for (const auto& [key, value] : json.items()) {
    if (value.is_null() && json.size() > 1) continue;  // as some versions write the others
    if (found.second != nullptr) return InvalidInput("has more than one kind");
    found = {key, &value};
  }
  if (found.second == nullptr) return InvalidInput("has no kind");
  return found;
}

StatusOr<Argument> ReadArgument(const Json& json) {
  KILN_ASSIGN_OR_RETURN(const auto member, UnionMember(json));
  const auto& [key, value] = member;
  Argument argument;
  argument.kind = KindOf(key);
  switch (argument.kind) {
    case Argument::Kind::kNone: return argument;
    case Argument::Kind::kOther: argument.text = key; return argument;
    case Argument::Kind::kText:
      if (!value->is_string()) return InvalidInput("is no text");
      argument.text = value->get<std::string>();
      return argument;
    default: break;
  }
  argument.is_list = value->is_array();
  if (!argument.is_list) {
    KILN_RETURN_IF_ERROR(ReadEntry(*value, &argument));
    if (argument.kind == Argument::Kind::kTensors && argument.names[0].empty()) return Argument();
    return argument;
  }
  for (const Json& entry : *value) KILN_RETURN_IF_ERROR(ReadEntry(entry, &argument));
  return argument;
}

}  // namespace kiln::pytorch_import
