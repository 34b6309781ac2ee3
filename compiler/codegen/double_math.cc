// Functions of floats that are computed in double precision: pow, whose exponent would lose what a
// float cannot hold, and sin and cos, whose argument must be reduced by multiples of pi/2.
#include <cmath>

#include "compiler/codegen/math_emitter.h"

namespace kiln {

namespace {

using Value = llvm::Value*;

/// log2 of a positive normal double (a relative error of 1e-15); not for 0, infinity and NaN.
Value Log2(MathEmitter& m, Value x) {
  auto& b = m.builder();
  // x = 2^n z with sqrt(1/2) <= z < sqrt(2); log2(z) is odd in s = (z - 1) / (z + 1).
  const Value bits = m.Bits(x);
  const Value above = b.CreateSub(bits, m.I(0x3fe6a09e667f3bcd));
  const Value n = b.CreateAShr(above, m.I(52));
  const Value z = m.FromBits(b.CreateSub(bits, b.CreateShl(n, m.I(52))));
  const Value s = m.Div(m.Sub(z, m.F(1)), m.Add(z, m.F(1)));
  const Value p =
      m.Polynomial(m.Mul(s, s), {2.8853900817779272, 0.96179669392431844, 0.57707801725270835,
                                 0.41219840112314871, 0.32061644876411854, 0.26144241795291817,
                                 0.24293682856806395});
  // n as a double without a 64-bit conversion, which few targets have.
  const double magic = 0x1.8p52;
  const Value shifted = m.FromBits(b.CreateAdd(n, m.Bits(m.F(magic))));
  return m.Fma(s, p, m.Sub(shifted, m.F(magic)));
}

/// 2^x as a double, for |x| <= 1000; NaN stays.
Value Exp2(MathEmitter& m, Value x) {
  const auto [value, integer] = m.Round(x, m.F(1));
  const Value p = m.Polynomial(
      m.Sub(x, value),
      {0.99999999996168243, 0.69314718072845194, 0.24022651198152817, 0.055504103534252454,
       0.00961802725421434, 0.0013333922585649989, 0.00015469290999469272, 1.520191609354323e-05});
  return m.Mul(p, m.PowerOfTwo(integer));
}

/// |x|^y for positive x; 0 and infinity included.
Value PowerOfSize(OpEmitter& ops, Value size, Value y) {
  auto& b = ops.builder();
  MathEmitter f(ops, size, 32), d(ops, size, 64);
  const Value wide = b.CreateFPExt(size, d.float_type());
  Value log = Log2(d, wide);
  log = d.Select(d.IsZero(wide), d.F(-INFINITY), log);
  log = d.Select(b.CreateFCmpOEQ(wide, d.F(INFINITY)), wide, log);
  // 2^200 and 2^-200 become infinity and 0 as floats.
  const Value exponent = d.Clamp(d.Mul(log, b.CreateFPExt(y, d.float_type())), -200, 200);
  const Value power = b.CreateFPTrunc(Exp2(d, exponent), f.float_type());
  const Value is_one = b.CreateFCmpOEQ(size, f.F(1));
  return f.Select(is_one, f.F(1), power);
}

/// sin(r) (or cos(r)) for |r| <= pi/4.
Value SinPolynomial(MathEmitter& m, Value r, Value square) {
  const Value p = m.Polynomial(square, {-0.166666552, 0.00833217334, -0.000195166562});
  return m.Fma(m.Mul(r, square), p, r);
}

Value CosPolynomial(MathEmitter& m, Value square) {
  const Value p = m.Polynomial(square, {0.0416666456, -0.00138873619, 2.44377297e-05});
  return m.Fma(m.Mul(square, square), p, m.Fma(square, m.F(-0.5), m.F(1)));
}

/// `fast`, or the library's value of every lane when a lane of |x| exceeds `limit`.
Value OrLibmBeyond(OpEmitter& ops, const std::string& name, Value x, Value fast, double limit) {
  auto& b = ops.builder();
  MathEmitter m(ops, x, 32);
  Value beyond = b.CreateFCmpOGT(m.Abs(x), m.F(limit));
  if (LanesOf(x) > 0) beyond = b.CreateOrReduce(beyond);
  llvm::BasicBlock* const before = b.GetInsertBlock();
  auto* const slow = llvm::BasicBlock::Create(b.getContext(), "slow", before->getParent());
  auto* const after = llvm::BasicBlock::Create(b.getContext(), "after", before->getParent());
  b.CreateCondBr(beyond, slow, after);
  b.SetInsertPoint(slow);
  const Value exact = ops.CallLibm(name, {x});
  b.CreateBr(after);
  b.SetInsertPoint(after);
  llvm::PHINode* const result = b.CreatePHI(x->getType(), 2);
  result->addIncoming(fast, before);
  result->addIncoming(exact, slow);
  return result;
}

}  // namespace

Value EmitFloatPow(OpEmitter& ops, Value x, Value y) {
  auto& b = ops.builder();
  MathEmitter m(ops, x, 32);
  const auto truncate = [&](Value a) { return b.CreateUnaryIntrinsic(llvm::Intrinsic::trunc, a); };
  const Value size = m.Abs(x);
  const Value power = PowerOfSize(ops, size, y);
  const Value half = m.Mul(y, m.F(0.5));
  const Value is_integer = b.CreateFCmpOEQ(truncate(y), y);
  const Value is_odd = b.CreateAnd(is_integer, b.CreateFCmpUNE(truncate(half), half));
  const Value sign = m.CopySign(m.F(1), x);
  Value result = m.Mul(power, m.Select(is_odd, sign, m.F(1)));
  // A negative finite number to a fraction has no real value.
  const Value negative =
      b.CreateAnd(b.CreateFCmpOLT(x, m.F(0)), b.CreateFCmpONE(size, m.F(INFINITY)));
  const Value finite_y = b.CreateFCmpONE(m.Abs(y), m.F(INFINITY));
  const Value fraction = b.CreateAnd(finite_y, b.CreateNot(is_integer));
  result = m.Select(b.CreateAnd(negative, fraction), m.F(NAN), result);
  result = m.Select(b.CreateFCmpUNO(x, y), m.F(NAN), result);
  const Value is_one = b.CreateOr(m.IsZero(y), b.CreateFCmpOEQ(x, m.F(1)));
  return m.Select(is_one, m.F(1), result);
}

Value EmitSinOrCos(OpEmitter& ops, Value x, bool cosine) {
  auto& b = ops.builder();
  MathEmitter f(ops, x, 32), d(ops, x, 64);
  const Value wide = b.CreateFPExt(x, d.float_type());
  const auto [n, integer] = d.Round(wide, d.F(M_2_PI));
  // pi/2 in two parts, the first of 33 bits: its products with n < 2^20 are exact.
  Value reduced = d.Fma(n, d.F(-1.57079632673412561417), wide);
  reduced = d.Fma(n, d.F(-6.07710050650619224932e-11), reduced);
  const Value r = b.CreateFPTrunc(reduced, f.float_type());
  Value quadrant = b.CreateTrunc(integer, f.int_type());
  if (cosine) quadrant = b.CreateAdd(quadrant, f.I(1));
  const Value square = f.Mul(r, r);
  const Value odd = b.CreateICmpNE(b.CreateAnd(quadrant, f.I(1)), f.I(0));
  const Value size = f.Select(odd, CosPolynomial(f, square), SinPolynomial(f, r, square));
  const Value sign = b.CreateShl(b.CreateAnd(quadrant, f.I(2)), f.I(30));
  Value result = f.FromBits(b.CreateXor(f.Bits(size), sign));
  if (!cosine) result = f.Select(f.IsZero(x), x, result);
  return OrLibmBeyond(ops, cosine ? "cos" : "sin", x, result, 1e6);
}

}  // namespace kiln
