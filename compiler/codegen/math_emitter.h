// Arithmetic in the shape of one operand: what the polynomials of vector_math.h are written with.
#pragma once

#include <initializer_list>

#include "compiler/codegen/op_emitter.h"

namespace kiln {

class MathEmitter {
 public:
  using Value = llvm::Value*;

  /// All values have the lanes of `like`; `bits` is the width of the floats: 32 or 64.
  MathEmitter(OpEmitter& ops, const llvm::Value* like, int bits);

  llvm::Type* float_type() const { return float_type_; }
  llvm::Type* int_type() const { return int_type_; }

  Value F(double value) { return llvm::ConstantFP::get(float_type_, value); }
  Value I(int64_t value) { return llvm::ConstantInt::get(int_type_, value, true); }

  Value Add(Value a, Value c) { return b_.CreateFAdd(a, c); }
  Value Sub(Value a, Value c) { return b_.CreateFSub(a, c); }
  Value Mul(Value a, Value c) { return b_.CreateFMul(a, c); }
  Value Div(Value a, Value c) { return b_.CreateFDiv(a, c); }
  Value Fma(Value a, Value x, Value c) { return ops_.MultiplyAdd(a, x, c); }
  Value Abs(Value a) { return b_.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, a); }
  Value CopySign(Value size, Value sign) { return b_.CreateCopySign(size, sign); }
  Value Bits(Value a) { return b_.CreateBitCast(a, int_type_); }
  Value FromBits(Value a) { return b_.CreateBitCast(a, float_type_); }
  Value Select(Value condition, Value a, Value c) { return b_.CreateSelect(condition, a, c); }
  Value IsZero(Value a) { return b_.CreateFCmpOEQ(a, F(0)); }
  /// At least `low`, at most `high`; NaN stays.
  Value Clamp(Value a, double low, double high);
  /// a polynomial in x, lowest degree first.
  Value Polynomial(Value x, std::initializer_list<double> coefficients);
  /// x rounded to an integer (|x| < 2^22, or 2^51 for double), as a float and as bits whose low
  /// part is the integer; NaN gives some integer.
  struct Rounded {
    Value value;
    Value integer;
  };
  Rounded Round(Value x, Value scale);
  /// 2^n for integers n in the exponent range of normal numbers.
  Value PowerOfTwo(Value n);
  llvm::IRBuilder<>& builder() { return b_; }
  OpEmitter& ops() { return ops_; }

 private:
  OpEmitter& ops_;
  llvm::IRBuilder<>& b_;
  int bits_;
  llvm::Type* float_type_;
  llvm::Type* int_type_;
};

/// Functions that are computed in double precision: pow, sin and cos of floats.
llvm::Value* EmitFloatPow(OpEmitter& ops, llvm::Value* x, llvm::Value* y);
llvm::Value* EmitSinOrCos(OpEmitter& ops, llvm::Value* x, bool cosine);

}  // namespace kiln
