// ONNX tensors (TensorProto) to and from ours.
#pragma once

#include <optional>
#include <string>

#include "compiler/import/external_file.h"
#include "compiler/import/onnx/raw_data.h"
#include "ir/graph/tensor.h"
#include "ir/support/status.h"
#include "proto/onnx.pb.h"

namespace kiln::onnx_import {

/// "FLOAT", "COMPLEX64", ...: ONNX's own name of a DataType.
std::string DataTypeName(int data_type);

/// The element type of an ONNX DataType; Unsupported for strings, complex numbers and those that
/// Kiln has none for (narrow_type.h).
StatusOr<ElementType> ToElementType(int data_type);
/// The element type that holds values of an ONNX DataType: ToElementType, or the wider one of a
/// NarrowType.
StatusOr<ElementType> ToHeldType(int data_type);
/// The ONNX DataType of an element type.
int ToDataType(ElementType type);

/// Dimensions from a file: at most 32, none negative, the size within bounds.
StatusOr<Shape> ToShape(ElementType element, const google::protobuf::RepeatedField<int64_t>& dims);

/// Where tensors are looked for that do not lie in the parsed message: in other files, which are
/// mapped once, or in the model's own.
class ExternalData {
 public:
  /// `folder` is the model's; an empty one refuses all other files.
  explicit ExternalData(std::string folder, RawData raw_data = {})
      : folder_(std::move(folder)), raw_data_(std::move(raw_data)) {}
  /// The `size` bytes that `tensor` refers to, and what keeps them alive.
  StatusOr<std::shared_ptr<const MappedFile>> Find(const onnx::TensorProto& tensor, int64_t size,
                                                   std::span<const char>* bytes);

  const RawData& raw_data() const { return raw_data_; }

 private:
  std::string folder_;
  RawData raw_data_;
  std::map<std::string, std::shared_ptr<const MappedFile>> files_;
};

/// Any encoding: raw, typed or external. `proto` gives up its raw data when they can be shared.
/// Checks that there are exactly as many bytes or values as the shape says.
StatusOr<Tensor> ToTensor(onnx::TensorProto* proto, ExternalData* external);

/// The dense form of a sparse tensor.
StatusOr<Tensor> ToTensor(onnx::SparseTensorProto* proto, ExternalData* external);

/// Raw encoding. Requires known() and row-major.
onnx::TensorProto ToProto(const Tensor& tensor, const std::string& name);

}  // namespace kiln::onnx_import
