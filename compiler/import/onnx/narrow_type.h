// ONNX element types that Kiln has none of: integers of 2 and 4 bits, floats of 4 and 8. Their
// values are held, exactly, by a wider element type. Which of them a value is of is known while
// importing only: it says what a cast or quantisation like that value rounds to. Operators that do
// not know of them refuse them (OnnxOp::on_narrow).
//
// Source: onnx.proto, and ONNX's "Float stored in 8 bits" and "Float stored in 4 bits".
#pragma once

#include <cstdint>
#include <span>

#include "ir/graph/tensor.h"

namespace kiln::onnx_import {

/// What codes stand for beside finite numbers.
enum class Specials : uint8_t {
  kNone,      ///< nothing
  kIeee,      ///< all exponent bits set: infinities and NaNs
  kNan,       ///< all bits set: NaN, with either sign
  kUnsigned,  ///< that of -0: NaN; there is no -0 ("FNUZ")
  kScale,     ///< all bits set: NaN; no sign, no 0: powers of two (E8M0)
};

struct NarrowType {
  int data_type;     ///< ONNX's DataType
  ElementType held;  ///< the element type that holds the values
  int bits;          ///< of one element; several share a byte, the first in its low bits
  bool is_signed;
  // Of floats, whose codes are sign, exponent, mantissa:
  int mantissa_bits = 0;
  int bias = 0;        ///< of the exponent
  double largest = 0;  ///< finite value
  Specials specials = Specials::kNone;

  bool is_float() const { return IsFloat(held); }
  int exponent_bits() const { return bits - mantissa_bits - (is_signed ? 1 : 0); }
  /// Of the smallest number with a full mantissa.
  int min_exponent() const { return specials == Specials::kScale ? -bias : 1 - bias; }
  /// Bytes of a tensor of `count` elements.
  int64_t PackedBytes(int64_t count) const { return count / (8 / bits) + (count % (8 / bits) > 0); }
  /// The value that a code, of `bits` bits, stands for.
  double Decode(uint32_t code) const;
};

/// nullptr when `data_type` is not one of these.
const NarrowType* FindNarrowType(int data_type);

/// The tensor of `shape` that `packed`, PackedBytes of it, stands for.
Tensor Unpack(const NarrowType& type, Shape shape, std::span<const char> packed);

}  // namespace kiln::onnx_import
