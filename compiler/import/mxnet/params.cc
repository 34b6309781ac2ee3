#include "compiler/import/mxnet/params.h"

#include <cstring>
#include <vector>

#include "compiler/import/foreign/problems.h"

namespace kiln::mxnet_import {

namespace {

constexpr uint64_t kListMagic = 0x112;
// What an array begins with; anything smaller is the number of dimensions of the oldest form.
constexpr uint32_t kV1 = 0xF993fac8;  // dimensions are 64-bit
constexpr uint32_t kV2 = 0xF993fac9;  // and a storage type stands before the shape
constexpr uint32_t kV3 = 0xF993faca;  // the same, under numpy's shapes
constexpr uint64_t kMaxArrays = 1'000'000;

/// Takes little-endian numbers off the front; once a read passes the end, all give 0.
class Reader {
 public:
  explicit Reader(std::span<const char> bytes) : rest_(bytes) {}

  template <typename T>
  T Take() {
    T value{};
    if (sizeof(T) > rest_.size()) {
      failed_ = true;
      rest_ = {};
      return value;
    }
    std::memcpy(&value, rest_.data(), sizeof(T));
    rest_ = rest_.subspan(sizeof(T));
    return value;
  }
  std::span<const char> TakeBytes(uint64_t count) {
    if (count > rest_.size()) {
      failed_ = true;
      rest_ = {};
      return {};
    }
    const auto bytes = rest_.first(count);
    rest_ = rest_.subspan(count);
    return bytes;
  }
  bool failed() const { return failed_; }
  size_t left() const { return rest_.size(); }

 private:
  std::span<const char> rest_;
  bool failed_ = false;
};

Status CutShort() { return InvalidInput("the file is cut short"); }

StatusOr<Shape> ReadShape(Reader& reader, uint32_t rank, bool wide) {
  if (rank > static_cast<uint32_t>(kMaxRank)) {
    return InvalidInput("an array has ", static_cast<uint64_t>(rank), " dimensions");
  }
  Shape shape;
  for (uint32_t d = 0; d < rank; ++d) {
    shape.push_back(wide ? reader.Take<int64_t>() : int64_t{reader.Take<uint32_t>()});
  }
  return shape;
}

StatusOr<Tensor> ReadArray(Reader& reader, const std::shared_ptr<const void>& owner) {
  const auto first = reader.Take<uint32_t>();
  const bool storage = first == kV2 || first == kV3;
  if (storage && reader.Take<int32_t>() > 0) {
    return Unsupported("sparse arrays are not supported");
  }
  const bool wide = storage || first == kV1;
  const uint32_t rank = wide ? reader.Take<uint32_t>() : first;
  KILN_ASSIGN_OR_RETURN(const Shape shape, ReadShape(reader, rank, wide));
  if (reader.failed()) return CutShort();
  if (rank == 0 && first != kV3) return Tensor();  // an empty place: nothing follows
  reader.Take<int32_t>();                          // the device and its number
  reader.Take<int32_t>();
  KILN_ASSIGN_OR_RETURN(const ElementType element, ToElementType(reader.Take<int32_t>()));
  KILN_ASSIGN_OR_RETURN(const int64_t size, CheckedByteSize(element, shape));
  const std::span<const char> bytes = reader.TakeBytes(static_cast<uint64_t>(size));
  if (reader.failed()) return CutShort();
  const TensorType type{element, shape, {}};
  // Arrays stand at odd places, and what computes wants them aligned.
  constexpr uintptr_t kAlignment = 8;
  if (reinterpret_cast<uintptr_t>(bytes.data()) % kAlignment == 0)
    return Tensor(type, owner, bytes);
  return Tensor(type, std::vector<char>(bytes.begin(), bytes.end()));
}

}  // namespace

StatusOr<ElementType> ToElementType(int64_t flag) {
  switch (flag) {
    case 0: return ElementType::kF32;
    case 1: return ElementType::kF64;
    case 2: return ElementType::kF16;
    case 3: return ElementType::kU8;
    case 4: return ElementType::kI32;
    case 5: return ElementType::kI8;
    case 6: return ElementType::kI64;
    case 7: return ElementType::kBool;
    case 12: return ElementType::kBF16;
    default: return Unsupported("element type ", flag, " is not supported");
  }
}

bool LooksLikeParams(std::span<const char> bytes) {
  Reader reader(bytes);
  return reader.Take<uint64_t>() == kListMagic && reader.Take<uint64_t>() == 0 && !reader.failed();
}

StatusOr<Arrays> ReadParams(std::span<const char> bytes, std::shared_ptr<const void> owner) {
  if (!LooksLikeParams(bytes)) return InvalidInput("is no .params file");
  Reader reader(bytes.subspan(16));
  const auto count = reader.Take<uint64_t>();
  if (count > kMaxArrays) return InvalidInput("the file holds ", count, " arrays");
  std::vector<Tensor> tensors;
  for (uint64_t i = 0; i < count; ++i) {
    auto tensor = ReadArray(reader, owner);
    if (!tensor.ok()) return Annotate(tensor.status(), StrCat("array ", i));
    tensors.push_back(*std::move(tensor));
  }
  const auto names = reader.Take<uint64_t>();
  if (reader.failed()) return CutShort();
  if (names != count) {
    return InvalidInput("the file holds ", count, " arrays and ", names, " names");
  }
  Arrays arrays;
  for (const Tensor& tensor : tensors) {
    const std::span<const char> text = reader.TakeBytes(reader.Take<uint64_t>());
    if (reader.failed()) return CutShort();
    std::string name(text.data(), text.size());
    const bool auxiliary = name.starts_with("aux:");
    if (auxiliary || name.starts_with("arg:")) name.erase(0, 4);
    if (!arrays.emplace(name, Array{tensor, auxiliary}).second) {
      return InvalidInput("array '", foreign::Printable(name), "' is there twice");
    }
  }
  if (reader.left() > 0) return InvalidInput("the file goes on behind its end");
  return arrays;
}

}  // namespace kiln::mxnet_import
