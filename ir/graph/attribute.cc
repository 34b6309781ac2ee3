#include "ir/graph/attribute.h"

#include <array>

namespace kiln {

std::string_view Name(Attribute::Kind kind) {
  static constexpr std::array<std::string_view, 9> kNames = {
      "bool", "int", "double", "string", "ints", "doubles", "type", "layout", "tensor"};
  return kNames[static_cast<size_t>(kind)];
}

}  // namespace kiln
