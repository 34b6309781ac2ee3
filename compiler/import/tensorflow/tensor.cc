#include "compiler/import/tensorflow/tensor.h"

#include <vector>

namespace kiln::tensorflow_import {

namespace {

using tensorflow::DataType;
using tensorflow::TensorProto;

struct Row {
  DataType proto;
  ElementType type;
};

constexpr Row kRows[] = {
    {tensorflow::DT_FLOAT, ElementType::kF32},   {tensorflow::DT_DOUBLE, ElementType::kF64},
    {tensorflow::DT_HALF, ElementType::kF16},    {tensorflow::DT_BFLOAT16, ElementType::kBF16},
    {tensorflow::DT_INT8, ElementType::kI8},     {tensorflow::DT_INT16, ElementType::kI16},
    {tensorflow::DT_INT32, ElementType::kI32},   {tensorflow::DT_INT64, ElementType::kI64},
    {tensorflow::DT_UINT8, ElementType::kU8},    {tensorflow::DT_UINT16, ElementType::kU16},
    {tensorflow::DT_UINT32, ElementType::kU32},  {tensorflow::DT_UINT64, ElementType::kU64},
    {tensorflow::DT_BOOL, ElementType::kBool},   {tensorflow::DT_QINT8, ElementType::kI8},
    {tensorflow::DT_QUINT8, ElementType::kU8},   {tensorflow::DT_QINT16, ElementType::kI16},
    {tensorflow::DT_QUINT16, ElementType::kU16}, {tensorflow::DT_QINT32, ElementType::kI32}};

// Writes the values of a typed list, and repeats the last of them.
template <typename List, typename Store>
Status FillFrom(const List& list, int64_t count, std::vector<char>& bytes, int64_t size,
                const Store& store) {
  if (list.size() > count) {
    return InvalidInput("has ", static_cast<int64_t>(list.size()), " values for ", count,
                        " elements");
  }
  if (list.empty()) return OkStatus();  // zeros
  for (int64_t i = 0; i < count; ++i) {
    const int at = static_cast<int>(std::min<int64_t>(i, list.size() - 1));
    store(bytes.data() + i * size, list.Get(at));
  }
  return OkStatus();
}

Status FillValues(const TensorProto& proto, ElementType element, int64_t count,
                  std::vector<char>& bytes) {
  const int64_t size = ByteSize(element);
  const auto ints = [element](char* to, int64_t value) { StoreInt(element, to, value); };
  const auto doubles = [element](char* to, double value) { StoreDouble(element, to, value); };
  switch (element) {
    case ElementType::kF32: return FillFrom(proto.float_val(), count, bytes, size, doubles);
    case ElementType::kF64: return FillFrom(proto.double_val(), count, bytes, size, doubles);
    case ElementType::kF16:
    case ElementType::kBF16:
      return FillFrom(proto.half_val(), count, bytes, size, [](char* to, int32_t bits) {
        const auto half = static_cast<uint16_t>(bits);
        std::memcpy(to, &half, sizeof half);
      });
    case ElementType::kBool: return FillFrom(proto.bool_val(), count, bytes, size, ints);
    case ElementType::kI64: return FillFrom(proto.int64_val(), count, bytes, size, ints);
    case ElementType::kU32: return FillFrom(proto.uint32_val(), count, bytes, size, ints);
    case ElementType::kU64:
      return FillFrom(proto.uint64_val(), count, bytes, size,
                      [&](char* to, uint64_t value) { ints(to, static_cast<int64_t>(value)); });
    default: return FillFrom(proto.int_val(), count, bytes, size, ints);
  }
}

}  // namespace

StatusOr<ElementType> ToElementType(DataType type) {
  constexpr int kReference = 100;  // a variable of this type
  const int plain = type > kReference ? type - kReference : type;
  for (const Row& row : kRows) {
    if (row.proto == plain) return row.type;
  }
  const std::string name = tensorflow::DataType_IsValid(plain)
                               ? tensorflow::DataType_Name(static_cast<DataType>(plain))
                               : StrCat(plain);
  return Unsupported("element type ", name, " is not supported");
}

std::optional<Shape> ToShape(const tensorflow::TensorShapeProto& proto) {
  if (proto.unknown_rank()) return std::nullopt;
  Shape shape;
  for (const auto& dim : proto.dim()) shape.push_back(dim.size() < 0 ? -1 : dim.size());
  return shape;
}

bool IsSplat(const TensorProto& proto) {
  constexpr int64_t kLarge = 1 << 12;
  const auto shape = ToShape(proto.tensor_shape());
  if (!proto.tensor_content().empty() || !shape) return false;
  if (!CheckedByteSize(ElementType::kI8, *shape).ok() || ElementCount(*shape) < kLarge)
    return false;
  return proto.float_val_size() + proto.double_val_size() + proto.int_val_size() +
             proto.half_val_size() + proto.int64_val_size() + proto.bool_val_size() +
             proto.uint32_val_size() + proto.uint64_val_size() <=
         1;
}

StatusOr<Tensor> ToTensor(const TensorProto& proto) {
  KILN_ASSIGN_OR_RETURN(const ElementType element, ToElementType(proto.dtype()));
  const std::optional<Shape> shape = ToShape(proto.tensor_shape());
  if (!shape) return InvalidInput("a constant has no shape");
  KILN_ASSIGN_OR_RETURN(const int64_t size, CheckedByteSize(element, *shape));
  // A few values may stand for very many.
  constexpr int64_t kMaxRepeated = int64_t{1} << 20;
  const TensorType type{element, *shape, {}};
  if (!proto.tensor_content().empty()) {
    if (static_cast<int64_t>(proto.tensor_content().size()) != size) {
      return InvalidInput("a constant of ", type.ToString(), " has ",
                          static_cast<uint64_t>(proto.tensor_content().size()), " bytes");
    }
    const std::string& content = proto.tensor_content();
    return Tensor(type, std::vector<char>(content.begin(), content.end()));
  }
  if (size > kMaxRepeated && size / 64 > static_cast<int64_t>(proto.ByteSizeLong())) {
    return Unsupported("a constant of ", size, " bytes made of a few values is not supported");
  }
  std::vector<char> bytes(static_cast<size_t>(size));
  KILN_RETURN_IF_ERROR(FillValues(proto, element, type.count(), bytes));
  return Tensor(type, std::move(bytes));
}

}  // namespace kiln::tensorflow_import
