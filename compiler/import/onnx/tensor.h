// ONNX tensors (TensorProto) to and from ours.
#pragma once

#include <optional>
#include <string>

#include "compiler/import/external_file.h"
#include "ir/graph/tensor.h"
#include "ir/support/status.h"
#include "proto/onnx.pb.h"

namespace kiln::onnx_import {

/// "FLOAT", "COMPLEX64", ...: ONNX's own name of a DataType.
std::string DataTypeName(int data_type);

/// The element type of an ONNX DataType; Unsupported for strings, complex numbers and those
/// narrower than 8 bits.
StatusOr<ElementType> ToElementType(int data_type);
/// The ONNX DataType of an element type.
int ToDataType(ElementType type);

/// Dimensions from a file: at most 32, none negative, the size within bounds.
StatusOr<Shape> ToShape(ElementType element, const google::protobuf::RepeatedField<int64_t>& dims);

/// Where tensors that lie outside the model file are looked for. Files are mapped once.
class ExternalData {
 public:
  /// `folder` is the model's; an empty one refuses all external data.
  explicit ExternalData(std::string folder) : folder_(std::move(folder)) {}
  /// The `size` bytes that `tensor` refers to, and what keeps them alive.
  StatusOr<std::shared_ptr<const MappedFile>> Find(const onnx::TensorProto& tensor, int64_t size,
                                                   std::span<const char>* bytes);

 private:
  std::string folder_;
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
