#include "compiler/import/pytorch/tensor_meta.h"

#include <algorithm>

namespace kiln::pytorch_import {

namespace {

using foreign::Find;
using foreign::Json;

// The name in "Symbol('s77', positive=True, integer=True)", or the text itself, as of old.
std::string SymbolName(const std::string& text) {
  const std::string_view prefix = "Symbol('";
  if (!text.starts_with(prefix)) return text;
  return text.substr(prefix.size(), text.find('\'', prefix.size()) - prefix.size());
}

// {"as_int": 3}, or {"as_expr": {"expr_str": ...}}.
StatusOr<Extent> ReadExtent(const Json& json) {
  if (const Json* const number = Find(json, "as_int"); number != nullptr) {
    if (!number->is_number_integer()) return InvalidInput("a size is no integer");
    return Extent{number->get<int64_t>(), ""};
  }
  const Json* const expression = Find(json, "as_expr");
  if (expression == nullptr) return InvalidInput("a size is neither a number nor an expression");
  return Extent{-1, SymbolName(foreign::TextIn(*expression, "expr_str"))};
}

StatusOr<std::vector<Extent>> ReadExtents(const Json& json, const char* key) {
  const Json* const list = Find(json, key);
  if (list == nullptr || !list->is_array() || list->size() > kMaxRank) {
    return InvalidInput("a tensor has no ", key, " or too many");
  }
  std::vector<Extent> extents;
  for (const Json& entry : *list) {
    KILN_ASSIGN_OR_RETURN(Extent extent, ReadExtent(entry));
    extents.push_back(std::move(extent));
  }
  return extents;
}

bool IsRowMajor(const Shape& sizes, const std::vector<int64_t>& strides) {
  const std::vector<int64_t> expected = RowMajorStrides(sizes);
  for (size_t d = 0; d < sizes.size(); ++d) {
    if (sizes[d] != 1 && strides[d] != expected[d]) return false;
  }
  return true;
}

// Whether the box lies within `elements` elements. It is not empty.
bool Fits(const Shape& sizes, const std::vector<int64_t>& strides, int64_t offset,
          int64_t elements) {
  if (offset < 0 || offset >= elements) return false;
  int64_t last = offset;
  for (size_t d = 0; d < sizes.size(); ++d) {
    if (strides[d] < 0) return false;
    if (sizes[d] > 1 && strides[d] > (elements - 1 - last) / (sizes[d] - 1)) return false;
    last += (sizes[d] - 1) * strides[d];
  }
  return true;
}

// Row by row: `from` points at the first element of what is left from dimension `d` on.
void Gather(const char* from, const Shape& sizes, const std::vector<int64_t>& strides, size_t d,
            int64_t width, char*& to) {
  if (d == sizes.size()) {
    to = std::copy(from, from + width, to);
    return;
  }
  for (int64_t i = 0; i < sizes[d]; ++i) {
    Gather(from + i * strides[d] * width, sizes, strides, d + 1, width, to);
  }
}

}  // namespace

std::optional<ElementType> ToElementType(int64_t scalar_type) {
  switch (scalar_type) {
    case 1: return ElementType::kU8;
    case 2: return ElementType::kI8;
    case 3: return ElementType::kI16;
    case 4: return ElementType::kI32;
    case 5: return ElementType::kI64;
    case 6: return ElementType::kF16;
    case 7: return ElementType::kF32;
    case 8: return ElementType::kF64;
    case 12: return ElementType::kBool;
    case 13: return ElementType::kBF16;
    case 28: return ElementType::kU16;
    case 34: return ElementType::kU32;
    case 35: return ElementType::kU64;
    default: return std::nullopt;
  }
}

StatusOr<TensorMeta> ReadTensorMeta(const Json& json) {
  TensorMeta meta;
  const Json* const type = Find(json, "dtype");
  if (type == nullptr || !type->is_number_integer()) return InvalidInput("a tensor has no dtype");
  meta.element = ToElementType(type->get<int64_t>());
  KILN_ASSIGN_OR_RETURN(meta.sizes, ReadExtents(json, "sizes"));
  KILN_ASSIGN_OR_RETURN(const std::vector<Extent> strides, ReadExtents(json, "strides"));
  for (const Extent& stride : strides) meta.strides.push_back(stride.value);
  if (meta.strides.size() != meta.sizes.size()) {
    return InvalidInput("a tensor has ", static_cast<uint64_t>(meta.sizes.size()), " sizes and ",
                        static_cast<uint64_t>(meta.strides.size()), " strides");
  }
  if (const Json* const offset = Find(json, "storage_offset"); offset != nullptr) {
    KILN_ASSIGN_OR_RETURN(const Extent extent, ReadExtent(*offset));
    meta.offset = extent.value;
  }
  const Json* const trained = Find(json, "requires_grad");
  meta.requires_grad = trained != nullptr && trained->is_boolean() && trained->get<bool>();
  return meta;
}

StatusOr<Tensor> StorageReader::Read(const Storage& storage, ElementType element,
                                     const Shape& sizes, const std::vector<int64_t>& strides,
                                     int64_t offset) {
  const TensorType type{element, sizes, {}};
  KILN_ASSIGN_OR_RETURN(const int64_t size, CheckedByteSize(type));
  if (strides.size() != sizes.size()) return InvalidInput("has sizes and strides of two ranks");
  if (size == 0) return Tensor(type, std::vector<char>());
  const int64_t width = ByteSize(element);
  const int64_t elements = static_cast<int64_t>(storage.bytes.size()) / width;
  if (!Fits(sizes, strides, offset, elements)) {
    return InvalidInput("is ", type.ToString(), " with strides ", FormatInts(strides), " from ",
                        offset, " on, which passes the end of ", elements, " elements");
  }
  const char* const first = storage.bytes.data() + offset * width;
  constexpr uintptr_t kAlignment = 8;
  if (IsRowMajor(sizes, strides) && reinterpret_cast<uintptr_t>(first) % kAlignment == 0) {
    return Tensor(type, storage.owner, {first, static_cast<size_t>(size)});
  }
  if (size > budget_) {
    return Unsupported("is ", type.ToString(), " of ", elements, " elements, which is too large");
  }
  budget_ -= size;
  std::vector<char> bytes(static_cast<size_t>(size));
  char* to = bytes.data();
  Gather(first, sizes, strides, 0, width, to);
  return Tensor(type, std::move(bytes));
}

}  // namespace kiln::pytorch_import
