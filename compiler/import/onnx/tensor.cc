#include "compiler/import/onnx/tensor.h"

#include <array>
#include <cstdint>

#include "compiler/import/onnx/narrow_type.h"

namespace kiln::onnx_import {

namespace {

using onnx::TensorProto;

constexpr int kMaxRank = 32;
// A dense tensor made from a sparse one is not backed by bytes of the file, so it has a limit.
constexpr int64_t kMaxDenseBytes = int64_t{1} << 28;

struct DataTypeInfo {
  const char* name;
  std::optional<ElementType> element;
};

// Indexed by TensorProto::DataType.
constexpr std::array<DataTypeInfo, 29> kDataTypes = {{
    {"UNDEFINED", std::nullopt},      {"FLOAT", ElementType::kF32},
    {"UINT8", ElementType::kU8},      {"INT8", ElementType::kI8},
    {"UINT16", ElementType::kU16},    {"INT16", ElementType::kI16},
    {"INT32", ElementType::kI32},     {"INT64", ElementType::kI64},
    {"STRING", std::nullopt},         {"BOOL", ElementType::kBool},
    {"FLOAT16", ElementType::kF16},   {"DOUBLE", ElementType::kF64},
    {"UINT32", ElementType::kU32},    {"UINT64", ElementType::kU64},
    {"COMPLEX64", std::nullopt},      {"COMPLEX128", std::nullopt},
    {"BFLOAT16", ElementType::kBF16}, {"FLOAT8E4M3FN", std::nullopt},
    {"FLOAT8E4M3FNUZ", std::nullopt}, {"FLOAT8E5M2", std::nullopt},
    {"FLOAT8E5M2FNUZ", std::nullopt}, {"UINT4", std::nullopt},
    {"INT4", std::nullopt},           {"FLOAT4E2M1", std::nullopt},
    {"FLOAT8E8M0", std::nullopt},     {"UINT2", std::nullopt},
    {"INT2", std::nullopt},           {"FLOAT6E2M3", std::nullopt},
    {"FLOAT6E3M2", std::nullopt},
}};

bool IsDataType(int data_type) {
  return data_type >= 0 && data_type < static_cast<int>(kDataTypes.size());
}

// Bytes from one of the typed fields: `store` writes one value.
template <typename Field, typename Store>
StatusOr<Tensor> FromField(TensorType type, const Field& field, const Store& store) {
  const int64_t count = type.count();
  if (field.size() != count) {
    return InvalidInput("holds ", static_cast<int64_t>(field.size()), " values, the shape ",
                        FormatInts(type.shape), " needs ", count);
  }
  const int64_t size = ByteSize(type.element);
  std::vector<char> bytes(static_cast<size_t>(count * size));
  for (int64_t i = 0; i < count; ++i) store(&bytes[i * size], field.Get(static_cast<int>(i)));
  return Tensor(std::move(type), std::move(bytes));
}

// f16 and bf16 are kept by their bits in int32_data.
void StoreBits(char* address, int32_t value) {
  const auto bits = static_cast<uint16_t>(value);
  std::memcpy(address, &bits, sizeof(bits));
}

StatusOr<Tensor> FromTypedFields(TensorType type, const TensorProto& proto) {
  const ElementType element = type.element;
  const auto store_int = [element](char* address, auto value) {
    StoreInt(element, address, static_cast<int64_t>(value));
  };
  const auto store_float = [element](char* address, auto value) {
    StoreDouble(element, address, value);
  };
  switch (element) {
    case ElementType::kF32: return FromField(std::move(type), proto.float_data(), store_float);
    case ElementType::kF64: return FromField(std::move(type), proto.double_data(), store_float);
    case ElementType::kF16:
    case ElementType::kBF16: return FromField(std::move(type), proto.int32_data(), StoreBits);
    case ElementType::kI64: return FromField(std::move(type), proto.int64_data(), store_int);
    case ElementType::kU32:
    case ElementType::kU64: return FromField(std::move(type), proto.uint64_data(), store_int);
    default: return FromField(std::move(type), proto.int32_data(), store_int);
  }
}

// Shares `bytes`. A bool is any byte in a file but 0 or 1 in a Tensor.
Tensor FromBytes(TensorType type, std::shared_ptr<const void> owner, std::span<const char> bytes) {
  if (type.element != ElementType::kBool && !bytes.empty()) {
    return Tensor(std::move(type), std::move(owner), bytes);
  }
  std::vector<char> copy(bytes.begin(), bytes.end());
  if (type.element == ElementType::kBool) {
    for (char& byte : copy) byte = byte != 0;
  }
  return Tensor(std::move(type), std::move(copy));
}

StatusOr<Tensor> FromRaw(TensorType type, TensorProto* proto, const RawData& raw_data) {
  const auto mapped = raw_data.Find(proto->raw_data());
  const auto found = static_cast<int64_t>(mapped ? mapped->size() : proto->raw_data().size());
  if (found != type.bytes()) {
    return InvalidInput("holds ", found, " bytes, its type ", type.ToString(), " needs ",
                        type.bytes());
  }
  if (mapped) return FromBytes(std::move(type), raw_data.OwnerOf(*mapped), *mapped);
  const std::shared_ptr<const std::string> raw(proto->release_raw_data());
  return FromBytes(std::move(type), raw, *raw);
}

StatusOr<Tensor> FromExternal(TensorType type, const TensorProto& proto, ExternalData* external) {
  std::span<const char> bytes;
  KILN_ASSIGN_OR_RETURN(auto owner, external->Find(proto, type.bytes(), &bytes));
  return FromBytes(std::move(type), std::move(owner), bytes);
}

// Codes lie packed in bytes, in int32_data one byte a number.
StatusOr<Tensor> FromCodes(const NarrowType& narrow, Shape shape, const TensorProto& proto,
                           ExternalData* external) {
  const int64_t size = narrow.PackedBytes(ElementCount(shape));
  std::span<const char> bytes;
  std::shared_ptr<const void> owner;
  std::string typed;
  if (proto.data_location() == TensorProto::EXTERNAL) {
    KILN_ASSIGN_OR_RETURN(owner, external->Find(proto, size, &bytes));
  } else if (proto.has_raw_data()) {
    bytes = external->raw_data().Find(proto.raw_data()).value_or(std::span(proto.raw_data()));
  } else {
    for (const int32_t byte : proto.int32_data()) typed += static_cast<char>(byte);
    bytes = typed;
  }
  if (static_cast<int64_t>(bytes.size()) != size) {
    return InvalidInput("holds ", bytes.size(), " bytes, ", FormatInts(shape), " of ",
                        DataTypeName(narrow.data_type), " needs ", size);
  }
  return Unpack(narrow, std::move(shape), bytes);
}

// The linear position of value `i` of a sparse tensor, from either form of indices.
StatusOr<int64_t> SparseOffset(const Tensor& indices, const Shape& shape, int64_t i) {
  if (indices.type().rank() == 1) {
    const int64_t offset = indices.GetInt(i);
    if (offset < 0 || offset >= ElementCount(shape)) {
      return InvalidInput("sparse index ", offset, " is out of range");
    }
    return offset;
  }
  int64_t offset = 0;
  const auto rank = static_cast<int64_t>(shape.size());
  for (int64_t d = 0; d < rank; ++d) {
    const int64_t index = indices.GetInt(i * rank + d);
    if (index < 0 || index >= shape[d]) {
      return InvalidInput("sparse index ", index, " is out of range");
    }
    offset = offset * shape[d] + index;
  }
  return offset;
}

}  // namespace

std::string DataTypeName(int data_type) {
  return IsDataType(data_type) ? kDataTypes[data_type].name : StrCat("number ", data_type);
}

StatusOr<ElementType> ToElementType(int data_type) {
  if (!IsDataType(data_type) || data_type == TensorProto::UNDEFINED) {
    return InvalidInput("element type ", data_type, " does not exist");
  }
  if (!kDataTypes[data_type].element) {
    return Unsupported("element type ", DataTypeName(data_type), " is not supported");
  }
  return *kDataTypes[data_type].element;
}

StatusOr<ElementType> ToHeldType(int data_type) {
  if (const NarrowType* const narrow = FindNarrowType(data_type)) return narrow->held;
  return ToElementType(data_type);
}

int ToDataType(ElementType type) {
  for (size_t i = 0; i < kDataTypes.size(); ++i) {
    if (kDataTypes[i].element == type) return static_cast<int>(i);
  }
  return TensorProto::UNDEFINED;
}

StatusOr<Shape> ToShape(ElementType element, const google::protobuf::RepeatedField<int64_t>& dims) {
  if (dims.size() > kMaxRank) {
    return InvalidInput("has ", dims.size(), " dimensions; at most ", kMaxRank, " are supported");
  }
  Shape shape(dims.begin(), dims.end());
  KILN_RETURN_IF_ERROR(CheckedByteSize(element, shape).status());
  return shape;
}

StatusOr<std::shared_ptr<const MappedFile>> ExternalData::Find(const TensorProto& tensor,
                                                               int64_t size,
                                                               std::span<const char>* bytes) {
  std::string location;
  int64_t offset = 0;
  int64_t length = size;
  for (const auto& entry : tensor.external_data()) {
    int64_t* const number = entry.key() == "offset"   ? &offset
                            : entry.key() == "length" ? &length
                                                      : nullptr;
    if (entry.key() == "location") location = entry.value();
    if (number != nullptr && (!ParseInt(entry.value(), number) || *number < 0)) {
      return InvalidInput("external data: ", entry.key(), " is ", Quote(entry.value()));
    }
  }
  if (folder_.empty()) return InvalidInput("external data are not allowed here");
  if (length != size) {
    return InvalidInput("external data: length is ", length, ", the shape needs ", size);
  }
  auto& file = files_[location];
  if (file == nullptr) {
    auto mapped = MapFileInside(folder_, location);
    if (!mapped.ok()) {
      return Annotate(mapped.status(), StrCat("external data ", Quote(location)));
    }
    file = *std::move(mapped);
  }
  const auto available = static_cast<int64_t>(file->bytes().size());
  if (offset > available || length > available - offset) {
    return InvalidInput("external data ", Quote(location), ": bytes ", offset, " to ", offset, "+",
                        length, " lie past its end at ", available);
  }
  *bytes = file->bytes().subspan(static_cast<size_t>(offset), static_cast<size_t>(length));
  return file;
}

StatusOr<Tensor> ToTensor(TensorProto* proto, ExternalData* external) {
  KILN_ASSIGN_OR_RETURN(const ElementType element, ToHeldType(proto->data_type()));
  KILN_ASSIGN_OR_RETURN(Shape shape, ToShape(element, proto->dims()));
  if (proto->has_segment()) return Unsupported("tensors in segments are not supported");
  if (const NarrowType* const narrow = FindNarrowType(proto->data_type())) {
    return FromCodes(*narrow, std::move(shape), *proto, external);
  }
  TensorType type{element, std::move(shape), {}};
  if (proto->data_location() == TensorProto::EXTERNAL) {
    return FromExternal(std::move(type), *proto, external);
  }
  if (proto->has_raw_data()) return FromRaw(std::move(type), proto, external->raw_data());
  return FromTypedFields(std::move(type), *proto);
}

StatusOr<Tensor> ToTensor(onnx::SparseTensorProto* proto, ExternalData* external) {
  KILN_ASSIGN_OR_RETURN(const Tensor values, ToTensor(proto->mutable_values(), external));
  KILN_ASSIGN_OR_RETURN(const Tensor indices, ToTensor(proto->mutable_indices(), external));
  const ElementType element = values.type().element;
  KILN_ASSIGN_OR_RETURN(Shape shape, ToShape(element, proto->dims()));
  const int64_t count = values.type().count();
  const Shape linear = {count};
  const Shape by_dimension = {count, static_cast<int64_t>(shape.size())};
  if (values.shape() != linear || indices.type().element != ElementType::kI64 ||
      (indices.shape() != linear && indices.shape() != by_dimension)) {
    return InvalidInput("the parts of a sparse tensor do not fit: values are ",
                        values.type().ToString(), ", indices ", indices.type().ToString());
  }
  TensorType type{element, std::move(shape), {}};
  if (type.bytes() > kMaxDenseBytes) {
    return Unsupported("a sparse tensor of ", type.ToString(), " is too large to make dense");
  }
  std::vector<char> bytes(static_cast<size_t>(type.bytes()));
  const int64_t size = ByteSize(element);
  for (int64_t i = 0; i < count; ++i) {
    KILN_ASSIGN_OR_RETURN(const int64_t offset, SparseOffset(indices, type.shape, i));
    std::memcpy(&bytes[offset * size], values.bytes().data() + i * size, size);
  }
  return Tensor(std::move(type), std::move(bytes));
}

TensorProto ToProto(const Tensor& tensor, const std::string& name) {
  TensorProto proto;
  for (const int64_t extent : tensor.shape()) proto.add_dims(extent);
  proto.set_data_type(ToDataType(tensor.type().element));
  proto.set_name(name);
  proto.set_raw_data(tensor.bytes().data(), tensor.bytes().size());
  return proto;
}

}  // namespace kiln::onnx_import
