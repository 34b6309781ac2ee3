// Integers of 2 and 4 bits and floats of 4 and 8: their codes, and casts to them against a search
// among all their values.
#include "compiler/import/onnx/narrow_type.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "compiler/import/onnx/onnx_import.h"
#include "ir/eval/interpreter.h"
#include "tests/compiler/import/onnx/model_builder.h"

namespace kiln::onnx_import {
namespace {

using onnx::TensorProto;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsNan;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int kFloats[] = {TensorProto::FLOAT4E2M1, TensorProto::FLOAT8E4M3FN,
                           TensorProto::FLOAT8E4M3FNUZ, TensorProto::FLOAT8E5M2,
                           TensorProto::FLOAT8E5M2FNUZ};

double Decode(int type, uint32_t code) { return FindNarrowType(type)->Decode(code); }

TEST(NarrowType, CodesOfTheFormatsTables) {
  EXPECT_EQ(Decode(TensorProto::FLOAT8E4M3FN, 0x7e), 448);
  EXPECT_EQ(Decode(TensorProto::FLOAT8E4M3FN, 0x81), -0x1p-9);
  EXPECT_EQ(Decode(TensorProto::FLOAT8E4M3FN, 0x08), 0x1p-6);
  EXPECT_THAT(Decode(TensorProto::FLOAT8E4M3FN, 0xff), IsNan());
  EXPECT_EQ(Decode(TensorProto::FLOAT8E4M3FNUZ, 0x7f), 240);
  EXPECT_EQ(Decode(TensorProto::FLOAT8E4M3FNUZ, 0x01), 0x1p-10);
  EXPECT_THAT(Decode(TensorProto::FLOAT8E4M3FNUZ, 0x80), IsNan());
  EXPECT_EQ(Decode(TensorProto::FLOAT8E5M2, 0x7b), 57344);
  EXPECT_EQ(Decode(TensorProto::FLOAT8E5M2, 0xfc), -kInfinity);
  EXPECT_THAT(Decode(TensorProto::FLOAT8E5M2, 0x7d), IsNan());
  EXPECT_EQ(Decode(TensorProto::FLOAT8E5M2FNUZ, 0x7f), 57344);
  EXPECT_EQ(Decode(TensorProto::FLOAT8E5M2FNUZ, 0x01), 0x1p-17);
  EXPECT_EQ(Decode(TensorProto::FLOAT4E2M1, 0x7), 6);
  EXPECT_EQ(Decode(TensorProto::FLOAT4E2M1, 0x9), -0.5);
  EXPECT_EQ(Decode(TensorProto::FLOAT8E8M0, 0), 0x1p-127);
  EXPECT_EQ(Decode(TensorProto::FLOAT8E8M0, 254), 0x1p127);
  EXPECT_THAT(Decode(TensorProto::FLOAT8E8M0, 255), IsNan());
  EXPECT_EQ(Decode(TensorProto::INT4, 0x8), -8);
  EXPECT_EQ(Decode(TensorProto::UINT4, 0xf), 15);
  EXPECT_EQ(Decode(TensorProto::INT2, 0x3), -1);
  EXPECT_EQ(Decode(TensorProto::UINT2, 0x2), 2);
}

TensorProto Packed(int type, int64_t count, const std::string& raw) {
  TensorProto proto;
  proto.set_data_type(type);
  proto.add_dims(count);
  proto.set_raw_data(raw);
  return proto;
}

TEST(NarrowType, SeveralElementsShareAByte) {
  ExternalData none("");
  TensorProto fours = Packed(TensorProto::INT4, 3, "\xf1\x08");
  EXPECT_EQ(*ToTensor(&fours, &none), Tensor::FromInts(ElementType::kI8, {3}, {1, -1, -8}));
  TensorProto twos = Packed(TensorProto::UINT2, 5, "\xe4\x02");
  EXPECT_EQ(*ToTensor(&twos, &none), Tensor::FromInts(ElementType::kU8, {5}, {0, 1, 2, 3, 2}));
  TensorProto typed = Packed(TensorProto::INT4, 2, "");
  typed.clear_raw_data();
  typed.add_int32_data(0x9f);
  EXPECT_EQ(*ToTensor(&typed, &none), Tensor::FromInts(ElementType::kI8, {2}, {-1, -7}));
  TensorProto cut = Packed(TensorProto::INT4, 3, "\xf1");
  EXPECT_THAT(Message(ToTensor(&cut, &none).status()), HasSubstr("holds 1 bytes"));
}

std::vector<double> Cast(int to, const std::vector<double>& values,
                         const OnnxAttributes& more = {}) {
  ModelBuilder b(25);
  const auto count = static_cast<int64_t>(values.size());
  OnnxAttributes attributes = more;
  attributes.push_back(OnnxInt("to", to));
  b.Input("x", {count}).Node("Cast", {"x"}, {"y"}, attributes).Output("y");
  const auto module = ImportOnnx(b.model(), "", {});
  EXPECT_TRUE(module.ok()) << module.status();
  if (!module.ok()) return {};
  const Tensor x = Tensor::FromDoubles(ElementType::kF32, {count}, values);
  const auto found = Interpret(*(*module)->FindFunction("forward"), {Array::FromTensor(x)});
  EXPECT_TRUE(found.ok()) << found.status();
  return found.ok() ? (*found)[0].ToTensor().ToDoubles() : std::vector<double>();
}

// The nearest of all finite values; of two equally near ones that of the even code.
double Nearest(const NarrowType& type, double x) {
  if (std::abs(x) > type.largest) return x < 0 ? -type.largest : type.largest;
  double best = 0;
  for (uint32_t code = 0; code < (1U << (type.bits - 1)); ++code) {
    const double value = type.Decode(code);
    if (!std::isfinite(value)) continue;
    const double gap = std::abs(std::abs(x) - value) - std::abs(std::abs(x) - best);
    if (gap < 0 || (gap == 0 && code % 2 == 0)) best = value;
  }
  return x < 0 ? -best : best;
}

TEST(NarrowType, CastsRoundToTheNearestValue) {
  std::mt19937 random(1);
  for (const int to : kFloats) {
    const NarrowType& type = *FindNarrowType(to);
    std::vector<double> values = {0, kInfinity, -kInfinity, type.largest * 1.0001};
    for (uint32_t code = 0; code + 1 < (1U << (type.bits - 1)); ++code) {
      const double value = type.Decode(code), next = type.Decode(code + 1);
      if (!std::isfinite(next)) continue;
      values.push_back(value);
      values.push_back((value + next) / 2);  // a tie
    }
    for (int i = 0; i < 500; ++i) {
      const double size = std::ldexp(1.0, static_cast<int>(random() % 40) - 22);
      values.push_back(size * (static_cast<double>(random() % 65536) / 32768 - 1));
    }
    const std::vector<double> found = Cast(to, values);
    ASSERT_EQ(found.size(), values.size());
    for (size_t i = 0; i < values.size(); ++i) {
      ASSERT_EQ(found[i], Nearest(type, values[i])) << DataTypeName(to) << " of " << values[i];
    }
  }
}

TEST(NarrowType, WithoutSaturationTheRangeEndsInInfinityOrNan) {
  const OnnxAttributes plain = {OnnxInt("saturate", 0)};
  EXPECT_THAT(Cast(TensorProto::FLOAT8E4M3FN, {464, 465, -1e9, kInfinity}, plain),
              ElementsAre(448, IsNan(), IsNan(), IsNan()));
  EXPECT_THAT(Cast(TensorProto::FLOAT8E5M2, {61439, 61440, -1e9, kInfinity}, plain),
              ElementsAre(57344, kInfinity, -kInfinity, kInfinity));
  EXPECT_THAT(Cast(TensorProto::FLOAT8E5M2FNUZ, {61440, -1e-9, NAN}, plain),
              ElementsAre(IsNan(), 0, IsNan()));
  // It has neither.
  EXPECT_THAT(Cast(TensorProto::FLOAT4E2M1, {-7, kInfinity, NAN}, plain), ElementsAre(-6, 6, 0));
}

TEST(NarrowType, ScalesArePowersOfTwo) {
  const std::vector<double> values = {0, 0.75, 1, 1.5, 3.5, 0x1.8p127, NAN};
  const auto cast = [&](const char* mode, int64_t saturate) {
    return Cast(TensorProto::FLOAT8E8M0, values,
                {OnnxString("round_mode", mode), OnnxInt("saturate", saturate)});
  };
  EXPECT_THAT(cast("up", 1), ElementsAre(0x1p-127, 1, 1, 2, 4, 0x1p127, IsNan()));
  EXPECT_THAT(cast("down", 1), ElementsAre(0x1p-127, 0.5, 1, 1, 2, 0x1p127, IsNan()));
  EXPECT_THAT(cast("nearest", 0), ElementsAre(IsNan(), 1, 1, 2, 4, IsNan(), IsNan()));
}

TEST(NarrowType, IntegersKeepTheLowBits) {
  EXPECT_THAT(Cast(TensorProto::INT4, {7.9, 8, -9, -1.5}), ElementsAre(7, -8, 7, -1));
  EXPECT_THAT(Cast(TensorProto::UINT2, {3, 5, -1}), ElementsAre(3, 1, 3));
}

// A type follows a value through views, to what is cast or quantised like it.
TEST(NarrowType, IsPassedOn) {
  ModelBuilder b(25);
  b.Input("x", {2}).Input("like", {1, 1}, TensorProto::INT4);
  b.Ints("shape", {1});
  b.Node("Reshape", {"like", "shape"}, {"flat"}).Node("CastLike", {"x", "flat"}, {"y"}).Output("y");
  const auto module = ImportOnnx(b.model(), "", {});
  ASSERT_TRUE(module.ok()) << module.status();
  const Tensor x = Tensor::FromDoubles(ElementType::kF32, {2}, {9, 3});
  const Tensor like = Tensor::FromInts(ElementType::kI8, {1, 1}, {0});
  const auto found = Interpret(*(*module)->FindFunction("forward"),
                               {Array::FromTensor(x), Array::FromTensor(like)});
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ((*found)[0].ToTensor(), Tensor::FromInts(ElementType::kI8, {2}, {-7, 3}));
}

TEST(NarrowType, OperatorsThatDoNotKnowOfItRefuseIt) {
  ModelBuilder b(25);
  b.Input("x", {2}, TensorProto::FLOAT8E5M2).Node("Add", {"x", "x"}, {"y"}).Output("y");
  EXPECT_THAT(Message(ImportOnnx(b.model(), "", {}).status()),
              HasSubstr("y: operator Add of FLOAT8E5M2 is not supported"));
}

TEST(NarrowType, QuantisesInBlocks) {
  ModelBuilder b(25);
  b.Input("x", {5}).Initializer("scale", Tensor::FromDoubles(ElementType::kF32, {3}, {1, 2, 4}));
  b.Node(
      "QuantizeLinear", {"x", "scale"}, {"q"},
      {OnnxInt("output_dtype", TensorProto::INT4), OnnxInt("block_size", 2), OnnxInt("axis", 0)});
  b.Node("DequantizeLinear", {"q", "scale"}, {"y"}, {OnnxInt("block_size", 2), OnnxInt("axis", 0)});
  b.Output("q").Output("y");
  const auto module = ImportOnnx(b.model(), "", {});
  ASSERT_TRUE(module.ok()) << module.status();
  const Tensor x = Tensor::FromDoubles(ElementType::kF32, {5}, {1.5, -9, 3, 15, -6.5});
  const auto found = Interpret(*(*module)->FindFunction("forward"), {Array::FromTensor(x)});
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ((*found)[0].ToTensor(), Tensor::FromInts(ElementType::kI8, {5}, {2, -8, 2, 7, -2}));
  EXPECT_THAT((*found)[1].floats, ElementsAre(2, -8, 4, 14, -8));
}

}  // namespace
}  // namespace kiln::onnx_import
