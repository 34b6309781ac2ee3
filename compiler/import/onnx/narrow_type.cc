#include "compiler/import/onnx/narrow_type.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "proto/onnx.pb.h"

namespace kiln::onnx_import {

namespace {

using onnx::TensorProto;

constexpr ElementType kI8 = ElementType::kI8, kU8 = ElementType::kU8;
constexpr ElementType kF16 = ElementType::kF16, kF32 = ElementType::kF32;

// f16 has more exponent and mantissa bits than all but E8M0, whose 2^-127 is subnormal in f32.
constexpr NarrowType kTypes[] = {
    {TensorProto::UINT2, kU8, 2, false},
    {TensorProto::INT2, kI8, 2, true},
    {TensorProto::UINT4, kU8, 4, false},
    {TensorProto::INT4, kI8, 4, true},
    {TensorProto::FLOAT4E2M1, kF16, 4, true, 1, 1, 6, Specials::kNone},
    {TensorProto::FLOAT8E4M3FN, kF16, 8, true, 3, 7, 448, Specials::kNan},
    {TensorProto::FLOAT8E4M3FNUZ, kF16, 8, true, 3, 8, 240, Specials::kUnsigned},
    {TensorProto::FLOAT8E5M2, kF16, 8, true, 2, 15, 57344, Specials::kIeee},
    {TensorProto::FLOAT8E5M2FNUZ, kF16, 8, true, 2, 16, 57344, Specials::kUnsigned},
    {TensorProto::FLOAT8E8M0, kF32, 8, false, 0, 127, 0x1p127, Specials::kScale},
};

}  // namespace

double NarrowType::Decode(uint32_t code) const {
  const uint32_t all = (1U << bits) - 1;
  const uint32_t sign_bit = is_signed ? 1U << (bits - 1) : 0;
  const uint32_t sign = code & sign_bit;
  if (!is_float())
    return static_cast<double>(code) - (sign != 0 ? static_cast<double>(all) + 1 : 0);
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  const uint32_t magnitude = code & ~sign_bit;
  const uint32_t fraction = magnitude & ((1U << mantissa_bits) - 1);
  const auto exponent = static_cast<int>(magnitude >> mantissa_bits);
  const bool top = exponent == (1 << exponent_bits()) - 1;
  switch (specials) {
    case Specials::kNone: break;
    case Specials::kIeee:
      if (top && fraction != 0) return kNan;
      if (top) return (sign != 0 ? -1 : 1) * std::numeric_limits<double>::infinity();
      break;
    case Specials::kNan:
    case Specials::kScale:
      if (magnitude == (all & ~sign_bit)) return kNan;
      break;
    case Specials::kUnsigned:
      if (code == sign_bit) return kNan;
      break;
  }
  if (specials == Specials::kScale) return std::ldexp(1.0, exponent - bias);
  const uint32_t leading = exponent == 0 ? 0 : 1U << mantissa_bits;
  const double value = std::ldexp(leading + fraction, std::max(exponent, 1) - bias - mantissa_bits);
  return sign != 0 ? -value : value;
}

const NarrowType* FindNarrowType(int data_type) {
  const auto* const it =
      std::find_if(std::begin(kTypes), std::end(kTypes),
                   [data_type](const NarrowType& type) { return type.data_type == data_type; });
  return it == std::end(kTypes) ? nullptr : it;
}

Tensor Unpack(const NarrowType& type, Shape shape, std::span<const char> packed) {
  const int per_byte = 8 / type.bits;
  const int64_t count = ElementCount(shape);
  const int64_t size = ByteSize(type.held);
  std::vector<char> bytes(static_cast<size_t>(count * size));
  for (int64_t i = 0; i < count; ++i) {
    const auto byte = static_cast<uint8_t>(packed[i / per_byte]);
    const uint32_t code = (byte >> (i % per_byte * type.bits)) & ((1U << type.bits) - 1);
    char* const address = &bytes[i * size];
    if (type.is_float()) {
      StoreDouble(type.held, address, type.Decode(code));
    } else {
      StoreInt(type.held, address, static_cast<int64_t>(type.Decode(code)));
    }
  }
  return Tensor(TensorType{type.held, std::move(shape), {}}, std::move(bytes));
}

}  // namespace kiln::onnx_import
