#include "compiler/codegen/vector_math.h"

#include <cmath>

#include "compiler/codegen/math_emitter.h"

namespace kiln {

using loop::UnaryOp;
using Value = llvm::Value*;

MathEmitter::MathEmitter(OpEmitter& ops, const llvm::Value* like, int bits)
    : ops_(ops), b_(ops.builder()), bits_(bits) {
  const int lanes = LanesOf(like);
  float_type_ = bits == 32 ? b_.getFloatTy() : b_.getDoubleTy();
  int_type_ = b_.getIntNTy(bits);
  if (lanes == 0) return;
  float_type_ = llvm::FixedVectorType::get(float_type_, lanes);
  int_type_ = llvm::FixedVectorType::get(int_type_, lanes);
}

Value MathEmitter::Clamp(Value a, double low, double high) {
  a = Select(b_.CreateFCmpOLT(a, F(low)), F(low), a);
  return Select(b_.CreateFCmpOGT(a, F(high)), F(high), a);
}

Value MathEmitter::Polynomial(Value x, std::initializer_list<double> coefficients) {
  auto next = std::rbegin(coefficients);
  Value sum = F(*next);
  for (++next; next != std::rend(coefficients); ++next) sum = Fma(sum, x, F(*next));
  return sum;
}

MathEmitter::Rounded MathEmitter::Round(Value x, Value scale) {
  // Adding 1.5 * 2^fraction_bits leaves the integer in the lowest bits of the sum. No conversion
  // instruction, whose result for NaN would be undefined.
  const double magic = bits_ == 32 ? 0x1.8p23 : 0x1.8p52;
  const Value sum = Fma(x, scale, F(magic));
  return {Sub(sum, F(magic)), b_.CreateSub(Bits(sum), Bits(F(magic)))};
}

Value MathEmitter::PowerOfTwo(Value n) {
  const int fraction = bits_ == 32 ? 23 : 52;
  const int bias = bits_ == 32 ? 127 : 1023;
  return FromBits(b_.CreateShl(b_.CreateAdd(n, I(bias)), I(fraction)));
}

namespace {

/// x = n ln2 + r with |r| <= ln2/2, and e^r - 1 = r + r^2 p(r).
struct Exponential {
  Value n;
  Value minus_one;
};

Exponential ReduceExponential(MathEmitter& m, Value x) {
  const auto [n, integer] = m.Round(x, m.F(M_LOG2E));
  // ln2 in two parts, the first of 9 bits: its products with n are exact.
  Value r = m.Fma(n, m.F(-0.693359375), x);
  r = m.Fma(n, m.F(2.12194440e-4), r);
  const Value p =
      m.Polynomial(r, {0.49999994, 0.166665196, 0.0416683927, 0.00836878084, 0.00138144637});
  return {integer, m.Fma(m.Mul(r, r), p, r)};
}

Value Exp(MathEmitter& m, Value x) {
  // The ends give 0 and infinity.
  const Exponential e = ReduceExponential(m, m.Clamp(x, -104, 89));
  // In two factors: 2^n may lie outside the normal numbers.
  const Value half = m.builder().CreateAShr(e.n, m.I(1));
  const Value rest = m.builder().CreateSub(e.n, half);
  const Value scaled = m.Mul(m.Add(e.minus_one, m.F(1)), m.PowerOfTwo(half));
  return m.Mul(scaled, m.PowerOfTwo(rest));
}

/// e^x - 1 for x <= 89 (more gives infinity); zeros lose their sign.
Value UnsignedExpm1(MathEmitter& m, Value x) {
  const Exponential e = ReduceExponential(m, m.Clamp(x, -20, 89));
  // 2^n (p + 1) - 1 = 2 (2^(n-1) p + (2^(n-1) - 1/2)), so that n = 128 works.
  const Value scale = m.PowerOfTwo(m.builder().CreateSub(e.n, m.I(1)));
  const Value half = m.Fma(e.minus_one, scale, m.Sub(scale, m.F(0.5)));
  return m.Add(half, half);
}

Value Expm1(MathEmitter& m, Value x) { return m.Select(m.IsZero(x), x, UnsignedExpm1(m, x)); }

/// log(x) + low for a positive finite x.
Value PositiveLog(MathEmitter& m, Value x, Value low) {
  auto& b = m.builder();
  // x = 2^n (1 + f) with sqrt(1/2) <= 1 + f < sqrt(2); subnormals are scaled up first.
  const Value small = b.CreateFCmpOLT(x, m.F(0x1p-126));
  const Value bits = m.Bits(m.Select(small, m.Mul(x, m.F(0x1p23)), x));
  const Value above = b.CreateSub(bits, m.I(0x3f3504f3));
  const Value n = b.CreateAShr(above, m.I(23));
  const Value f = m.Sub(m.FromBits(b.CreateSub(bits, b.CreateShl(n, m.I(23)))), m.F(1));
  const Value exponent = m.Sub(b.CreateSIToFP(n, m.float_type()), m.Select(small, m.F(23), m.F(0)));
  const Value p =
      m.Polynomial(f, {0.333333105, -0.249999866, 0.200022265, -0.166692525, 0.142186642,
                       -0.12384332, 0.118729159, -0.117898792, 0.0691558048});
  const Value square = m.Mul(f, f);
  Value tail = m.Fma(m.Mul(square, f), p, m.Fma(exponent, m.F(-2.12194440e-4), low));
  tail = m.Fma(square, m.F(-0.5), tail);
  return m.Fma(exponent, m.F(0.693359375), m.Add(f, tail));
}

/// `value`, or what a logarithm gives where its argument is 0, infinite, negative or NaN.
Value LogOrSpecial(MathEmitter& m, Value argument, Value value) {
  auto& b = m.builder();
  const Value is_infinite = b.CreateFCmpOEQ(argument, m.F(INFINITY));
  value = m.Select(is_infinite, m.F(INFINITY), value);
  value = m.Select(m.IsZero(argument), m.F(-INFINITY), value);
  return m.Select(b.CreateFCmpULT(argument, m.F(0)), m.F(NAN), value);
}

Value Log(MathEmitter& m, Value x) { return LogOrSpecial(m, x, PositiveLog(m, x, m.F(-0.0))); }

Value Log1p(MathEmitter& m, Value x) {
  // log(1 + x) = log(u) + (what rounding u lost) / u.
  const Value u = m.Add(x, m.F(1));
  const Value lost = m.Sub(x, m.Sub(u, m.F(1)));
  const Value value = PositiveLog(m, u, m.Div(lost, u));
  return m.Select(m.IsZero(x), x, LogOrSpecial(m, u, value));
}

Value Tanh(MathEmitter& m, Value x) {
  // tanh(t) = (e^2t - 1) / (e^2t - 1 + 2); 1 from 9.02 on.
  const Value size = m.Clamp(m.Abs(x), 0, 10);
  const Value e = UnsignedExpm1(m, m.Add(size, size));
  return m.CopySign(m.Div(e, m.Add(e, m.F(2))), x);
}

Value Sigmoid(MathEmitter& m, Value x) {
  const Value e = Exp(m, m.builder().CreateFNeg(m.Abs(x)));
  const Value numerator = m.Select(m.builder().CreateFCmpOLT(x, m.F(0)), e, m.F(1));
  return m.Div(numerator, m.Add(e, m.F(1)));
}

Value Erf(MathEmitter& m, Value x) {
  const Value t = m.Clamp(m.Abs(x), 0, 3.95);
  // Near 0: x + x p(x^2). Else 1 - erfc, by a polynomial for the logarithm of erfc.
  const Value p = m.Polynomial(m.Mul(x, x), {0.128379151, -0.376124948, 0.112818025, -0.0267655682,
                                             0.00499098096, -0.00059768965});
  const Value near = m.Fma(p, x, x);
  const Value q = m.Polynomial(t, {0.000177334528, -1.12952769, -0.633321226, -0.108308271,
                                   0.0251376182, -0.00417796103, 0.00043588446, -2.12178966e-05});
  const Value far = m.CopySign(m.Sub(m.F(1), Exp(m, q)), x);
  return m.Select(m.builder().CreateFCmpOLT(t, m.F(0.93)), near, far);
}

Value FloatMath(OpEmitter& ops, UnaryOp op, Value x) {
  MathEmitter m(ops, x, 32);
  switch (op) {
    case UnaryOp::kExp: return Exp(m, x);
    case UnaryOp::kExpm1: return Expm1(m, x);
    case UnaryOp::kLog: return Log(m, x);
    case UnaryOp::kLog1p: return Log1p(m, x);
    case UnaryOp::kTanh: return Tanh(m, x);
    case UnaryOp::kSigmoid: return Sigmoid(m, x);
    case UnaryOp::kErf: return Erf(m, x);
    case UnaryOp::kSin: return EmitSinOrCos(ops, x, false);
    case UnaryOp::kCos: return EmitSinOrCos(ops, x, true);
    default: return ops.CallLibm(std::string(Name(op)), {x});
  }
}

}  // namespace

Value EmitMath(OpEmitter& ops, UnaryOp op, Value x) {
  if (x->getType()->getScalarType()->isFloatTy()) return FloatMath(ops, op, x);
  if (op != UnaryOp::kSigmoid) return ops.CallLibm(std::string(Name(op)), {x});
  MathEmitter m(ops, x, 64);
  return m.Div(m.F(1), m.Add(m.F(1), ops.CallLibm("exp", {m.builder().CreateFNeg(x)})));
}

Value EmitPow(OpEmitter& ops, Value x, Value y) {
  if (x->getType()->getScalarType()->isFloatTy()) return EmitFloatPow(ops, x, y);
  return ops.CallLibm("pow", {x, y});
}

}  // namespace kiln
