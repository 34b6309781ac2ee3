// Arguments of operators: the union Argument of torch/_export/serde/schema.py.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "compiler/import/foreign/json.h"
#include "ir/support/status.h"

namespace kiln::pytorch_import {

/// A number among arguments: as it stands, or the name of an integer of the graph.
struct Number {
  double value = 0;
  int64_t integer = 0;  ///< where it is none: the value cut
  std::string symbol;
  bool is_float = false;
};

/// An argument of an operator, or a result.
struct Argument {
  enum class Kind { kNone, kTensors, kNumbers, kBools, kText, kScalarType, kOther };
  Kind kind = Kind::kNone;
  bool is_list = false;
  std::vector<std::string> names;  ///< of kTensors; empty where a list has None
  std::vector<Number> numbers;     ///< of kNumbers, kBools, kScalarType
  std::string text;                ///< of kText; what kOther is called
};

StatusOr<Argument> ReadArgument(const foreign::Json& json);

/// The one member that a union has: its name and value.
StatusOr<std::pair<std::string, const foreign::Json*>> UnionMember(const foreign::Json& json);

}  // namespace kiln::pytorch_import
