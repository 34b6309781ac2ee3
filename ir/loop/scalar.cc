#include "ir/loop/scalar.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace kiln::loop {

namespace {

int Bits(ElementType type) { return static_cast<int>(8 * ByteSize(type)); }

/// `value` rounded to `digits` significant bits, with subnormals below 2^(min_exponent-1), and
/// overflow to infinity from `limit` on.
double RoundToDigits(double value, int digits, int min_exponent, double limit) {
  if (value == 0 || !std::isfinite(value)) return value;
  int exponent;
  std::frexp(value, &exponent);
  const int quantum = std::max(exponent, min_exponent) - digits;
  const double rounded = std::ldexp(std::nearbyint(std::ldexp(value, -quantum)), quantum);
  if (std::abs(rounded) < limit) return rounded;
  return std::copysign(std::numeric_limits<double>::infinity(), value);
}

int64_t Divide(bool is_signed, int64_t a, int64_t b) {
  if (b == 0) return 0;
  if (!is_signed) return static_cast<int64_t>(static_cast<uint64_t>(a) / static_cast<uint64_t>(b));
  if (b == -1) return static_cast<int64_t>(-static_cast<uint64_t>(a));
  return a / b;
}

int64_t Remainder(bool is_signed, int64_t a, int64_t b) {
  if (b == 0) return 0;
  if (!is_signed) return static_cast<int64_t>(static_cast<uint64_t>(a) % static_cast<uint64_t>(b));
  return b == -1 ? 0 : a % b;
}

int64_t FloorDivide(bool is_signed, int64_t a, int64_t b) {
  const int64_t quotient = Divide(is_signed, a, b);
  const bool inexact = Remainder(is_signed, a, b) != 0;
  return quotient - (is_signed && inexact && (a < 0) != (b < 0));
}

int64_t FloorModulo(bool is_signed, int64_t a, int64_t b) {
  const int64_t remainder = Remainder(is_signed, a, b);
  return is_signed && remainder != 0 && (a < 0) != (b < 0) ? remainder + b : remainder;
}

/// a^b modulo 2^64; a negative exponent gives the truncated quotient 1/a^-b.
int64_t Power(bool is_signed, int64_t a, int64_t b) {
  if (is_signed && b < 0) {
    if (a == 1) return 1;
    if (a == -1) return b % 2 == 0 ? 1 : -1;
    return 0;
  }
  uint64_t result = 1;
  uint64_t base = static_cast<uint64_t>(a);
  for (uint64_t exponent = static_cast<uint64_t>(b); exponent != 0; exponent >>= 1) {
    if (exponent & 1) result *= base;
    base *= base;
  }
  return static_cast<int64_t>(result);
}

int64_t Shift(BinaryOp op, ElementType type, int64_t a, int64_t b) {
  if (b < 0 || b >= Bits(type)) return 0;
  if (op == BinaryOp::kShl) return static_cast<int64_t>(static_cast<uint64_t>(a) << b);
  return IsSigned(type) ? a >> b : static_cast<int64_t>(static_cast<uint64_t>(a) >> b);
}

bool Less(bool is_signed, int64_t a, int64_t b) {
  return is_signed ? a < b : static_cast<uint64_t>(a) < static_cast<uint64_t>(b);
}

int64_t EvalIntUnwrapped(BinaryOp op, ElementType type, int64_t a, int64_t b) {
  const bool is_signed = IsSigned(type);
  const auto ua = static_cast<uint64_t>(a), ub = static_cast<uint64_t>(b);
  switch (op) {
    case BinaryOp::kAdd: return static_cast<int64_t>(ua + ub);
    case BinaryOp::kSub: return static_cast<int64_t>(ua - ub);
    case BinaryOp::kMul: return static_cast<int64_t>(ua * ub);
    case BinaryOp::kDiv: return Divide(is_signed, a, b);
    case BinaryOp::kRem: return Remainder(is_signed, a, b);
    case BinaryOp::kFloorDiv: return FloorDivide(is_signed, a, b);
    case BinaryOp::kFloorMod: return FloorModulo(is_signed, a, b);
    case BinaryOp::kMin: return Less(is_signed, a, b) ? a : b;
    case BinaryOp::kMax: return Less(is_signed, a, b) ? b : a;
    case BinaryOp::kPow: return Power(is_signed, a, b);
    case BinaryOp::kAnd: return a & b;
    case BinaryOp::kOr: return a | b;
    case BinaryOp::kXor: return a ^ b;
    case BinaryOp::kShl:
    case BinaryOp::kShr: return Shift(op, type, a, b);
    case BinaryOp::kEq: return a == b;
    case BinaryOp::kNe: return a != b;
    case BinaryOp::kLt: return Less(is_signed, a, b);
    case BinaryOp::kLe: return !Less(is_signed, b, a);
    case BinaryOp::kGt: return Less(is_signed, b, a);
    case BinaryOp::kGe: return !Less(is_signed, a, b);
  }
  return 0;
}

double FloatFloorModulo(double a, double b) {
  const double remainder = std::fmod(a, b);
  return remainder != 0 && (remainder < 0) != (b < 0) ? remainder + b : remainder;
}

double Sigmoid(double a) {
  if (a >= 0) return 1 / (1 + std::exp(-a));
  const double e = std::exp(a);
  return e / (1 + e);
}

}  // namespace

int64_t WrapTo(ElementType type, int64_t value) {
  if (type == ElementType::kBool) return value != 0;
  const int unused = 64 - Bits(type);
  const auto shifted = static_cast<uint64_t>(value) << unused;
  return IsSigned(type) ? static_cast<int64_t>(shifted) >> unused
                        : static_cast<int64_t>(shifted >> unused);
}

double RoundTo(ElementType type, double value) {
  switch (type) {
    case ElementType::kF16: return RoundToDigits(value, 11, -13, 65520);
    case ElementType::kBF16: return RoundToDigits(value, 8, -125, std::ldexp(1.0, 128));
    case ElementType::kF32: return static_cast<float>(value);
    default: return value;
  }
}

int64_t SaturatingInt(ElementType type, double value) {
  if (type == ElementType::kBool) return value != 0;
  if (std::isnan(value)) return 0;
  const int bits = Bits(type);
  if (!IsSigned(type)) {
    if (value <= 0) return 0;
    if (value >= std::ldexp(1.0, bits)) return WrapTo(type, -1);
    return static_cast<int64_t>(static_cast<uint64_t>(value));
  }
  const double limit = std::ldexp(1.0, bits - 1);
  if (value >= limit) return static_cast<int64_t>((uint64_t{1} << (bits - 1)) - 1);
  if (value <= -limit) return -static_cast<int64_t>((uint64_t{1} << (bits - 1)) - 1) - 1;
  return static_cast<int64_t>(value);
}

double IntToDouble(ElementType type, int64_t value) {
  return type == ElementType::kU64 ? static_cast<double>(static_cast<uint64_t>(value))
                                   : static_cast<double>(value);
}

bool IsComparison(BinaryOp op) { return op >= BinaryOp::kEq; }

int64_t EvalInt(UnaryOp op, ElementType type, int64_t a) {
  const auto negated = static_cast<int64_t>(-static_cast<uint64_t>(a));
  const bool negative = IsSigned(type) && a < 0;
  switch (op) {
    case UnaryOp::kNeg: return WrapTo(type, negated);
    case UnaryOp::kNot: return a == 0;
    case UnaryOp::kBitNot: return WrapTo(type, ~a);
    case UnaryOp::kAbs: return WrapTo(type, negative ? negated : a);
    case UnaryOp::kSign: return negative ? -1 : a != 0;
    case UnaryOp::kIsNan:
    case UnaryOp::kIsInf: return 0;
    default: return a;  // floor, ceil, round, trunc; the others are never applied to integers
  }
}

int64_t EvalInt(BinaryOp op, ElementType type, int64_t a, int64_t b) {
  const int64_t value = EvalIntUnwrapped(op, type, a, b);
  return IsComparison(op) ? value : WrapTo(type, value);
}

double EvalFloat(UnaryOp op, double a) {
  switch (op) {
    case UnaryOp::kNeg: return -a;
    case UnaryOp::kNot:
    case UnaryOp::kBitNot: return a == 0;
    case UnaryOp::kAbs: return std::abs(a);
    case UnaryOp::kSign: return a > 0 ? 1 : a < 0 ? -1 : a;
    case UnaryOp::kFloor: return std::floor(a);
    case UnaryOp::kCeil: return std::ceil(a);
    case UnaryOp::kRound: return std::nearbyint(a);
    case UnaryOp::kTrunc: return std::trunc(a);
    case UnaryOp::kSqrt: return std::sqrt(a);
    case UnaryOp::kExp: return std::exp(a);
    case UnaryOp::kExpm1: return std::expm1(a);
    case UnaryOp::kLog: return std::log(a);
    case UnaryOp::kLog1p: return std::log1p(a);
    case UnaryOp::kSin: return std::sin(a);
    case UnaryOp::kCos: return std::cos(a);
    case UnaryOp::kTan: return std::tan(a);
    case UnaryOp::kAsin: return std::asin(a);
    case UnaryOp::kAcos: return std::acos(a);
    case UnaryOp::kAtan: return std::atan(a);
    case UnaryOp::kSinh: return std::sinh(a);
    case UnaryOp::kCosh: return std::cosh(a);
    case UnaryOp::kTanh: return std::tanh(a);
    case UnaryOp::kAsinh: return std::asinh(a);
    case UnaryOp::kAcosh: return std::acosh(a);
    case UnaryOp::kAtanh: return std::atanh(a);
    case UnaryOp::kErf: return std::erf(a);
    case UnaryOp::kSigmoid: return Sigmoid(a);
    case UnaryOp::kIsNan: return std::isnan(a);
    case UnaryOp::kIsInf: return std::isinf(a);
  }
  return a;
}

double EvalFloat(BinaryOp op, double a, double b) {
  switch (op) {
    case BinaryOp::kAdd: return a + b;
    case BinaryOp::kSub: return a - b;
    case BinaryOp::kMul: return a * b;
    case BinaryOp::kDiv: return a / b;
    case BinaryOp::kRem: return std::fmod(a, b);
    case BinaryOp::kFloorDiv: return std::floor(a / b);
    case BinaryOp::kFloorMod: return FloatFloorModulo(a, b);
    case BinaryOp::kMin: return std::isnan(a) || a < b ? a : b;
    case BinaryOp::kMax: return std::isnan(a) || a > b ? a : b;
    case BinaryOp::kPow: return std::pow(a, b);
    default: return CompareFloat(op, a, b);  // bitwise operators are never applied to floats
  }
}

bool CompareFloat(BinaryOp op, double a, double b) {
  switch (op) {
    case BinaryOp::kEq: return a == b;
    case BinaryOp::kNe: return a != b;
    case BinaryOp::kLt: return a < b;
    case BinaryOp::kLe: return a <= b;
    case BinaryOp::kGt: return a > b;
    case BinaryOp::kGe: return a >= b;
    default: return false;
  }
}

}  // namespace kiln::loop
