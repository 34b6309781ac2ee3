#include "compiler/import/caffe2/tensor.h"

#include <algorithm>
#include <cctype>

#include "compiler/import/foreign/problems.h"

namespace kiln::caffe2_import {

namespace {

struct Row {
  int64_t number;
  const char* name;
  ElementType type;
};

constexpr Row kRows[] = {{1, "float", ElementType::kF32},    {2, "int32", ElementType::kI32},
                         {2, "int", ElementType::kI32},      {3, "byte", ElementType::kU8},
                         {5, "bool", ElementType::kBool},    {6, "uint8", ElementType::kU8},
                         {7, "int8", ElementType::kI8},      {8, "uint16", ElementType::kU16},
                         {9, "int16", ElementType::kI16},    {10, "int64", ElementType::kI64},
                         {12, "float16", ElementType::kF16}, {13, "double", ElementType::kF64}};

}  // namespace

StatusOr<ElementType> ToElementType(int64_t data_type) {
  for (const Row& row : kRows) {
    if (row.number == data_type) return row.type;
  }
  return Unsupported("data type ", data_type, " is not supported");
}

StatusOr<ElementType> ToElementType(const std::string& name) {
  std::string lower = name;
  std::ranges::transform(lower, lower.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (const Row& row : kRows) {
    if (lower == row.name) return row.type;
  }
  return Unsupported("data type '", foreign::Printable(name), "' is not supported");
}

}  // namespace kiln::caffe2_import
