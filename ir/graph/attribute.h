// Attributes: the compile-time arguments of an op, by name.
#pragma once

#include <map>
#include <string>
#include <variant>
#include <vector>

#include "ir/graph/tensor.h"
#include "ir/graph/type.h"

namespace kiln {

/// One value out of a closed set of kinds. The kind is part of the value: an int never reads as a
/// double.
class Attribute {
 public:
  enum class Kind {
    kBool,
    kInt,
    kDouble,
    kString,
    kInts,
    kDoubles,
    kElementType,
    kLayout,
    kTensor
  };

  Attribute(bool value) : value_(value) {}
  Attribute(int value) : value_(int64_t{value}) {}
  Attribute(int64_t value) : value_(value) {}
  Attribute(double value) : value_(value) {}
  Attribute(const char* value) : value_(std::string(value)) {}
  Attribute(std::string value) : value_(std::move(value)) {}
  Attribute(std::vector<int64_t> value) : value_(std::move(value)) {}
  Attribute(std::vector<double> value) : value_(std::move(value)) {}
  Attribute(ElementType value) : value_(value) {}
  Attribute(Layout value) : value_(std::move(value)) {}
  Attribute(Tensor value) : value_(std::move(value)) {}

  Kind kind() const { return static_cast<Kind>(value_.index()); }
  template <typename T>
  const T& as() const {
    return std::get<T>(value_);
  }
  /// Calls `visitor` with the value, in its own C++ type.
  template <typename Visitor>
  auto Visit(const Visitor& visitor) const {
    return std::visit(visitor, value_);
  }
  bool operator==(const Attribute&) const = default;

 private:
  std::variant<bool, int64_t, double, std::string, std::vector<int64_t>, std::vector<double>,
               ElementType, Layout, Tensor>
      value_;
};

/// The name of a kind as documentation and messages say it: "int", "ints", ...
std::string_view Name(Attribute::Kind kind);

using AttributeMap = std::map<std::string, Attribute, std::less<>>;

}  // namespace kiln
