// Runs one op on given values, by its reference evaluation.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "ir/eval/array.h"
#include "ir/graph/builder.h"
#include "ir/graph/op_def.h"

namespace kiln {

inline Tensor Floats(Shape shape, const std::vector<double>& values,
                     ElementType element = ElementType::kF64) {
  return Tensor::FromDoubles(element, std::move(shape), values);
}

inline Tensor Ints(Shape shape, const std::vector<int64_t>& values,
                   ElementType element = ElementType::kI64) {
  return Tensor::FromInts(element, std::move(shape), values);
}

inline Tensor Bools(Shape shape, const std::vector<int64_t>& values) {
  return Tensor::FromInts(ElementType::kBool, std::move(shape), values);
}

/// The result of `kind` on `operands`, which are tensors known to the test. An error of the builder
/// or of the evaluation comes out.
inline StatusOr<Tensor> RunOp(std::string_view kind, const std::vector<Tensor>& operands,
                              AttributeMap attributes = {}) {
  Module module;
  Builder builder(module.AddFunction("test"));
  std::vector<StatusOr<Op*>> values;
  std::vector<Array> arrays;
  for (const Tensor& tensor : operands) {
    values.push_back(builder.Constant(tensor));
    arrays.push_back(Array::FromTensor(tensor));
  }
  KILN_ASSIGN_OR_RETURN(Op* const op, builder.Make(kind, values, std::move(attributes)));
  std::vector<const Array*> pointers;
  for (const Array& array : arrays) pointers.push_back(&array);
  Array result(op->element(), op->shape());
  KILN_RETURN_IF_ERROR(op->def().evaluate(*op, pointers, result));
  return result.ToTensor();
}

/// The values of a result as doubles; fails the test on an error.
inline std::vector<double> Values(const StatusOr<Tensor>& result) {
  EXPECT_TRUE(result.ok()) << result.status();
  return result.ok() ? result->ToDoubles() : std::vector<double>();
}

inline Shape ShapeOf(const StatusOr<Tensor>& result) {
  EXPECT_TRUE(result.ok()) << result.status();
  return result.ok() ? result->shape() : Shape{-1};
}

/// The message of the error of `result`; empty when there is none.
inline std::string ErrorOf(const StatusOr<Tensor>& result) {
  return result.ok() ? "" : Message(result.status());
}

}  // namespace kiln
