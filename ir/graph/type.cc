#include "ir/graph/type.h"

#include <algorithm>
#include <array>
#include <numeric>

namespace kiln {

namespace {

struct ElementInfo {
  std::string_view name;
  int64_t bytes;
  bool is_float;
  bool is_signed;
};

constexpr std::array<ElementInfo, kNumElementTypes> kElements = {{
    {"bool", 1, false, false},
    {"i8", 1, false, true},
    {"i16", 2, false, true},
    {"i32", 4, false, true},
    {"i64", 8, false, true},
    {"u8", 1, false, false},
    {"u16", 2, false, false},
    {"u32", 4, false, false},
    {"u64", 8, false, false},
    {"f16", 2, true, true},
    {"bf16", 2, true, true},
    {"f32", 4, true, true},
    {"f64", 8, true, true},
}};

const ElementInfo& Info(ElementType type) { return kElements[static_cast<size_t>(type)]; }

constexpr int64_t kMaxBytes = int64_t{1} << 48;
constexpr int64_t kMaxBlockSize = 4096;
constexpr int64_t kMaxPadding = int64_t{1} << 31;

}  // namespace

std::string_view Name(ElementType type) { return Info(type).name; }

std::optional<ElementType> ParseElementType(std::string_view name) {
  for (int i = 0; i < kNumElementTypes; ++i) {
    if (kElements[i].name == name) return static_cast<ElementType>(i);
  }
  return std::nullopt;
}

int64_t ByteSize(ElementType type) { return Info(type).bytes; }
bool IsFloat(ElementType type) { return Info(type).is_float; }
bool IsInteger(ElementType type) { return !Info(type).is_float && type != ElementType::kBool; }
bool IsSigned(ElementType type) { return Info(type).is_signed; }

int64_t ElementCount(const Shape& shape) {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

StatusOr<int64_t> CheckedByteSize(ElementType type, const Shape& shape) {
  if (shape.size() > kMaxRank) {
    return InvalidInput("a tensor has at most ", kMaxRank, " dimensions, found ", shape.size());
  }
  int64_t bytes = ByteSize(type);
  bool empty = false;
  for (const int64_t extent : shape) {
    if (extent < 0) return InvalidInput("shape ", FormatInts(shape), " has a negative dimension");
    if (extent == 0) empty = true;
  }
  for (const int64_t extent : shape) {
    // The other dimensions of an empty tensor are bounded too: strides are built from them.
    if (extent == 0) continue;
    if (bytes > kMaxBytes / extent) {
      return InvalidInput("shape ", FormatInts(shape), " of ", Name(type), " is too large");
    }
    bytes *= extent;
  }
  return empty ? 0 : bytes;
}

StatusOr<int64_t> CheckedByteSize(const TensorType& type) {
  KILN_ASSIGN_OR_RETURN(const int64_t bytes, CheckedByteSize(type.element, type.shape));
  const Layout& layout = type.layout;
  if (layout.IsRowMajor()) return bytes;
  const auto error = [&] {
    return InvalidInput("layout ", layout.ToString(), " does not fit shape ",
                        FormatInts(type.shape));
  };
  std::vector<int> sorted = layout.order;
  std::sort(sorted.begin(), sorted.end());
  if (!sorted.empty() && sorted.size() != type.shape.size()) return error();
  for (size_t d = 0; d < sorted.size(); ++d) {
    if (sorted[d] != static_cast<int>(d)) return error();
  }
  if (layout.blocks.size() > kMaxRank) return error();
  for (const Layout::Block& block : layout.blocks) {
    if (block.dim < 0 || block.dim >= type.rank()) return error();
    if (block.size < 1 || block.size > kMaxBlockSize) return error();
  }
  std::vector<int> single;  // dimensions that may be named once
  for (const Layout::Block& block : layout.blocks) single.push_back(block.dim);
  for (const Layout::Padding& padding : layout.padding) {
    if (padding.dim < 0 || padding.dim >= type.rank()) return error();
    if (std::find(single.begin(), single.end(), padding.dim) != single.end()) return error();
    if (padding.low < 0 || padding.low > kMaxPadding) return error();
    if (padding.high < 0 || padding.high > kMaxPadding) return error();
    single.push_back(padding.dim);
  }
  return CheckedByteSize(type.element, layout.PhysicalShape(type.shape));
}

std::vector<int64_t> RowMajorStrides(const Shape& shape) {
  std::vector<int64_t> strides(shape.size());
  int64_t stride = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    strides[i] = stride;
    stride *= shape[i];
  }
  return strides;
}

Shape Layout::PhysicalShape(const Shape& shape) const {
  Shape outer = shape;
  for (const Block& block : blocks) {
    outer[block.dim] = (outer[block.dim] + block.size - 1) / block.size;
  }
  for (const Padding& around : padding) outer[around.dim] += around.low + around.high;
  Shape physical;
  for (size_t i = 0; i < shape.size(); ++i) {
    physical.push_back(outer[order.empty() ? i : static_cast<size_t>(order[i])]);
  }
  for (const Block& block : blocks) physical.push_back(block.size);
  return physical;
}

Layout Layout::Transposed(const std::vector<int64_t>& perm) const {
  std::vector<int> renamed(perm.size());
  for (size_t d = 0; d < perm.size(); ++d) renamed[perm[d]] = static_cast<int>(d);
  Layout result;
  for (size_t i = 0; i < perm.size(); ++i) {
    result.order.push_back(renamed[order.empty() ? i : static_cast<size_t>(order[i])]);
  }
  if (std::is_sorted(result.order.begin(), result.order.end())) result.order.clear();
  for (const Block& block : blocks) result.blocks.push_back({renamed[block.dim], block.size});
  for (const Padding& around : padding) {
    result.padding.push_back({renamed[around.dim], around.low, around.high});
  }
  std::sort(result.padding.begin(), result.padding.end(),
            [](const Padding& a, const Padding& b) { return a.dim < b.dim; });
  return result;
}

Layout::Padding Layout::PaddingOf(int dim) const {
  for (const Padding& around : padding) {
    if (around.dim == dim) return around;
  }
  return {dim, 0, 0};
}

std::string Layout::ToString() const {
  if (IsRowMajor()) return "";
  std::string text = "{" + StrJoin(order, ",");
  if (!blocks.empty() || !padding.empty()) {
    text += "|";
    for (size_t i = 0; i < blocks.size(); ++i) {
      text += StrCat(i ? "," : "", blocks[i].dim, ":", blocks[i].size);
    }
  }
  if (!padding.empty()) {
    text += "|";
    for (size_t i = 0; i < padding.size(); ++i) {
      text += StrCat(i ? "," : "", padding[i].dim, ":", padding[i].low, ":", padding[i].high);
    }
  }
  return text + "}";
}

int64_t TensorType::bytes() const {
  return ByteSize(element) * ElementCount(layout.PhysicalShape(shape));
}

std::string TensorType::ToString() const {
  return StrCat(Name(element), FormatInts(shape), layout.ToString());
}

StatusOr<Shape> BroadcastShapes(const Shape& a, const Shape& b) {
  Shape result(std::max(a.size(), b.size()));
  for (size_t i = 0; i < result.size(); ++i) {
    const int64_t x = i < a.size() ? a[a.size() - 1 - i] : 1;
    const int64_t y = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (x != y && x != 1 && y != 1) {
      return InvalidInput("shapes ", FormatInts(a), " and ", FormatInts(b), " do not broadcast");
    }
    result[result.size() - 1 - i] = x == 1 ? y : x;
  }
  return result;
}

}  // namespace kiln
