#include "compiler/import/onnx/tensor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kiln::onnx_import {
namespace {

using onnx::TensorProto;
using testing::ElementsAre;
using testing::HasSubstr;

StatusOr<Tensor> Read(TensorProto proto) {
  ExternalData none("");
  return ToTensor(&proto, &none);
}

TensorProto Typed(int type, int64_t count) {
  TensorProto proto;
  proto.set_data_type(type);
  proto.add_dims(count);
  return proto;
}

TEST(OnnxTensor, RawDataOfEveryElementTypeRoundTrips) {
  for (int i = 0; i < kNumElementTypes; ++i) {
    const auto element = static_cast<ElementType>(i);
    const Tensor tensor = Tensor::FromInts(element, {3}, {0, 1, 1});
    const auto again = Read(ToProto(tensor, "t"));
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(*again, tensor) << Name(element);
  }
}

TEST(OnnxTensor, TypedFields) {
  TensorProto floats = Typed(TensorProto::FLOAT, 2);
  floats.add_float_data(1.5f);
  floats.add_float_data(-2);
  EXPECT_THAT(Read(floats)->ToDoubles(), ElementsAre(1.5, -2));
  TensorProto half = Typed(TensorProto::FLOAT16, 1);
  half.add_int32_data(0x3c00);
  EXPECT_THAT(Read(half)->ToDoubles(), ElementsAre(1));
  TensorProto bfloat = Typed(TensorProto::BFLOAT16, 1);
  bfloat.add_int32_data(0x3f80);
  EXPECT_THAT(Read(bfloat)->ToDoubles(), ElementsAre(1));
  TensorProto bytes = Typed(TensorProto::INT8, 2);
  bytes.add_int32_data(-1);
  bytes.add_int32_data(127);
  EXPECT_THAT(Read(bytes)->ToInts(), ElementsAre(-1, 127));
  TensorProto wide = Typed(TensorProto::UINT64, 1);
  wide.add_uint64_data(~uint64_t{0});
  EXPECT_THAT(Read(wide)->ToInts(), ElementsAre(-1));
  TensorProto word = Typed(TensorProto::UINT32, 1);
  word.add_uint64_data(4000000000);
  EXPECT_THAT(Read(word)->ToInts(), ElementsAre(4000000000));
  TensorProto big = Typed(TensorProto::DOUBLE, 1);
  big.add_double_data(1e300);
  EXPECT_THAT(Read(big)->ToDoubles(), ElementsAre(1e300));
}

TEST(OnnxTensor, AnyByteButZeroIsTrue) {
  TensorProto proto = Typed(TensorProto::BOOL, 3);
  proto.set_raw_data(std::string("\0\1\xff", 3));
  const auto tensor = Read(proto);
  ASSERT_TRUE(tensor.ok());
  EXPECT_EQ(*tensor, Tensor::FromInts(ElementType::kBool, {3}, {0, 1, 1}));
}

TEST(OnnxTensor, WhatIsNotSupportedIsSaidByName) {
  const auto strings = Read(Typed(TensorProto::STRING, 1));
  EXPECT_EQ(strings.status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(Message(strings.status()), "element type STRING is not supported");
  EXPECT_THAT(Message(Read(Typed(TensorProto::FLOAT8E5M2, 1)).status()), HasSubstr("FLOAT8E5M2"));
  EXPECT_EQ(Read(Typed(77, 1)).status().code(), absl::StatusCode::kInvalidArgument);
  TensorProto segment = Typed(TensorProto::FLOAT, 1);
  segment.mutable_segment()->set_end(1);
  EXPECT_THAT(Message(Read(segment).status()), HasSubstr("segments"));
  TensorProto external = Typed(TensorProto::FLOAT, 1);
  external.set_data_location(TensorProto::EXTERNAL);
  EXPECT_THAT(Message(Read(external).status()), HasSubstr("not allowed"));
}

TEST(OnnxTensor, SparsePartsMustFit) {
  onnx::SparseTensorProto sparse;
  *sparse.mutable_values() = ToProto(Tensor::FromInts(ElementType::kI32, {1}, {5}), "");
  *sparse.mutable_indices() = ToProto(Tensor::FromInts(ElementType::kI64, {1}, {9}), "");
  sparse.add_dims(4);
  ExternalData none("");
  onnx::SparseTensorProto copy = sparse;
  EXPECT_THAT(Message(ToTensor(&copy, &none).status()), HasSubstr("sparse index 9"));
  copy = sparse;
  *copy.mutable_indices() = ToProto(Tensor::FromInts(ElementType::kI64, {2}, {0, 1}), "");
  EXPECT_THAT(Message(ToTensor(&copy, &none).status()), HasSubstr("do not fit"));
  copy = sparse;
  copy.add_dims(int64_t{1} << 40);
  EXPECT_THAT(Message(ToTensor(&copy, &none).status()), HasSubstr("too large"));
}

}  // namespace
}  // namespace kiln::onnx_import
