#include "compiler/codegen/half.h"

namespace kiln {

namespace {

/// The type `scalar`, or a vector of it, with the lanes of `like`.
llvm::Type* Shaped(llvm::Type* scalar, const llvm::Value* like) {
  const int lanes = LanesOf(like);
  return lanes == 0 ? scalar : llvm::FixedVectorType::get(scalar, lanes);
}

}  // namespace

llvm::Value* FloatFromHalf(OpEmitter& ops, llvm::Value* bits) {
  auto& b = ops.builder();
  llvm::Type* const f32 = Shaped(b.getFloatTy(), bits);
  if (ops.isa().has_half_conversion) {
    return b.CreateFPExt(b.CreateBitCast(bits, Shaped(b.getHalfTy(), bits)), f32);
  }
  llvm::Type* const i32 = Shaped(b.getInt32Ty(), bits);
  const auto constant = [&](uint32_t value) { return llvm::ConstantInt::get(i32, value); };
  llvm::Value* const wide = b.CreateZExt(bits, i32);
  llvm::Value* const sign = b.CreateShl(b.CreateAnd(wide, constant(0x8000)), constant(16));
  llvm::Value* const size = b.CreateAnd(wide, constant(0x7fff));
  // Exponent and fraction moved into place and rebiased by multiplying with 2^112, which also
  // normalises subnormals; infinity and NaN get the largest exponent instead.
  llvm::Value* const moved = b.CreateShl(size, constant(13));
  llvm::Value* const scaled =
      b.CreateFMul(b.CreateBitCast(moved, f32), llvm::ConstantFP::get(f32, 0x1p112));
  llvm::Value* const special = b.CreateOr(moved, constant(0x7f800000));
  llvm::Value* const is_special = b.CreateICmpUGE(size, constant(0x7c00));
  llvm::Value* const magnitude = b.CreateSelect(is_special, special, b.CreateBitCast(scaled, i32));
  return b.CreateBitCast(b.CreateOr(magnitude, sign), f32);
}

llvm::Value* HalfFromFloat(OpEmitter& ops, llvm::Value* value) {
  auto& b = ops.builder();
  llvm::Type* const i16 = Shaped(b.getInt16Ty(), value);
  if (ops.isa().has_half_conversion) {
    return b.CreateBitCast(b.CreateFPTrunc(value, Shaped(b.getHalfTy(), value)), i16);
  }
  llvm::Type* const i32 = Shaped(b.getInt32Ty(), value);
  llvm::Type* const f32 = value->getType();
  const auto constant = [&](uint32_t bits) { return llvm::ConstantInt::get(i32, bits); };
  llvm::Value* const bits = b.CreateBitCast(value, i32);
  llvm::Value* const sign = b.CreateAnd(b.CreateLShr(bits, constant(16)), constant(0x8000));
  llvm::Value* const size = b.CreateAnd(bits, constant(0x7fffffff));
  // Normal: rebias the exponent and round the fraction's 13 lowest bits to even.
  llvm::Value* const odd = b.CreateAnd(b.CreateLShr(size, constant(13)), constant(1));
  llvm::Value* const rounded = b.CreateAdd(b.CreateAdd(size, constant(0xc8000000u + 0xfff)), odd);
  llvm::Value* const normal = b.CreateLShr(rounded, constant(13));
  // Subnormal: adding 0.5 makes the float unit round at 2^-24.
  llvm::Value* const shifted =
      b.CreateFAdd(b.CreateBitCast(size, f32), llvm::ConstantFP::get(f32, 0.5));
  llvm::Value* const subnormal = b.CreateSub(b.CreateBitCast(shifted, i32), constant(0x3f000000));
  llvm::Value* const is_nan = b.CreateICmpUGT(size, constant(0x7f800000));
  llvm::Value* const overflow = b.CreateSelect(is_nan, constant(0x7e00), constant(0x7c00));
  llvm::Value* result =
      b.CreateSelect(b.CreateICmpULT(size, constant(0x38800000)), subnormal, normal);
  result = b.CreateSelect(b.CreateICmpUGE(size, constant(0x477ff000)), overflow, result);
  return b.CreateTrunc(b.CreateOr(result, sign), i16);
}

llvm::Value* FloatFromBfloat(OpEmitter& ops, llvm::Value* bits) {
  auto& b = ops.builder();
  llvm::Type* const i32 = Shaped(b.getInt32Ty(), bits);
  llvm::Value* const moved = b.CreateShl(b.CreateZExt(bits, i32), llvm::ConstantInt::get(i32, 16));
  return b.CreateBitCast(moved, Shaped(b.getFloatTy(), bits));
}

llvm::Value* BfloatFromFloat(OpEmitter& ops, llvm::Value* value) {
  auto& b = ops.builder();
  llvm::Type* const i32 = Shaped(b.getInt32Ty(), value);
  const auto constant = [&](uint32_t bits) { return llvm::ConstantInt::get(i32, bits); };
  llvm::Value* const bits = b.CreateBitCast(value, i32);
  llvm::Value* const odd = b.CreateAnd(b.CreateLShr(bits, constant(16)), constant(1));
  llvm::Value* const rounded = b.CreateAdd(b.CreateAdd(bits, constant(0x7fff)), odd);
  // A NaN keeps its sign and its highest bits and becomes quiet.
  llvm::Value* const quiet = b.CreateOr(bits, constant(0x400000));
  llvm::Value* const result = b.CreateSelect(b.CreateFCmpUNO(value, value), quiet, rounded);
  return b.CreateTrunc(b.CreateLShr(result, constant(16)), Shaped(b.getInt16Ty(), value));
}

}  // namespace kiln
