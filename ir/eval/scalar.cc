#include "ir/eval/scalar.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "ir/eval/array.h"
#include "ir/graph/tensor.h"

namespace kiln {

using loop::BinaryOp;
using loop::ExprKind;
using loop::UnaryOp;

namespace {

Scalar Float(double value) { return {.f = value}; }
Scalar Int(int64_t value) { return {.i = value}; }

// Two's complement arithmetic without undefined overflow.
int64_t WrapAdd(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}
int64_t WrapSub(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
}
int64_t WrapMul(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
}

double Sigmoid(double x) {
  if (x >= 0) return 1 / (1 + std::exp(-x));
  const double e = std::exp(x);
  return e / (1 + e);
}

double SignOf(double x) { return x > 0 ? 1 : x < 0 ? -1 : x; }

double UnaryDouble(UnaryOp op, double x) {
  switch (op) {
    case UnaryOp::kNeg: return -x;
    case UnaryOp::kAbs: return std::fabs(x);
    case UnaryOp::kSign: return SignOf(x);
    case UnaryOp::kFloor: return std::floor(x);
    case UnaryOp::kCeil: return std::ceil(x);
    case UnaryOp::kRound: return std::nearbyint(x);
    case UnaryOp::kTrunc: return std::trunc(x);
    case UnaryOp::kSqrt: return std::sqrt(x);
    case UnaryOp::kExp: return std::exp(x);
    case UnaryOp::kExpm1: return std::expm1(x);
    case UnaryOp::kLog: return std::log(x);
    case UnaryOp::kLog1p: return std::log1p(x);
    case UnaryOp::kSin: return std::sin(x);
    case UnaryOp::kCos: return std::cos(x);
    case UnaryOp::kTan: return std::tan(x);
    case UnaryOp::kAsin: return std::asin(x);
    case UnaryOp::kAcos: return std::acos(x);
    case UnaryOp::kAtan: return std::atan(x);
    case UnaryOp::kSinh: return std::sinh(x);
    case UnaryOp::kCosh: return std::cosh(x);
    case UnaryOp::kTanh: return std::tanh(x);
    case UnaryOp::kAsinh: return std::asinh(x);
    case UnaryOp::kAcosh: return std::acosh(x);
    case UnaryOp::kAtanh: return std::atanh(x);
    case UnaryOp::kErf: return std::erf(x);
    case UnaryOp::kSigmoid: return Sigmoid(x);
    // Defined on other types, or handled before: not reached from a well-typed expression.
    case UnaryOp::kNot:
    case UnaryOp::kBitNot:
    case UnaryOp::kIsNan:
    case UnaryOp::kIsInf: break;
  }
  return x;
}

int64_t UnaryInt(UnaryOp op, ElementType type, int64_t x) {
  const bool negative = IsSigned(type) && x < 0;
  switch (op) {
    case UnaryOp::kNeg: return WrapSub(0, x);
    case UnaryOp::kNot: return x == 0;
    case UnaryOp::kBitNot: return ~x;
    case UnaryOp::kAbs: return negative ? WrapSub(0, x) : x;
    case UnaryOp::kSign: return negative ? -1 : x != 0;
    default: return x;  // rounding an integer; the float functions do not take integers
  }
}

double FloorModDouble(double a, double b) {
  const double rest = std::fmod(a, b);
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

double MinDouble(double a, double b) { return std::isnan(a) || a < b ? a : b; }
double MaxDouble(double a, double b) { return std::isnan(a) || a > b ? a : b; }

double BinaryDouble(BinaryOp op, double a, double b) {
  switch (op) {
    case BinaryOp::kAdd: return a + b;
    case BinaryOp::kSub: return a - b;
    case BinaryOp::kMul: return a * b;
    case BinaryOp::kDiv: return a / b;
    case BinaryOp::kRem: return std::fmod(a, b);
    case BinaryOp::kFloorDiv: return std::floor(a / b);
    case BinaryOp::kFloorMod: return FloorModDouble(a, b);
    case BinaryOp::kMin: return MinDouble(a, b);
    case BinaryOp::kMax: return MaxDouble(a, b);
    case BinaryOp::kPow: return std::pow(a, b);
    default: return a;  // bit operations do not take floats; comparisons are handled before
  }
}

// Division of signed integers, 0 when the divisor is 0; the smallest value by -1 wraps.
int64_t DivInt(int64_t a, int64_t b) {
  if (b == 0) return 0;
  return b == -1 ? WrapSub(0, a) : a / b;
}
int64_t RemInt(int64_t a, int64_t b) { return b == 0 || b == -1 ? 0 : a % b; }

int64_t FloorModInt(int64_t a, int64_t b) {
  const int64_t rest = RemInt(a, b);
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

int64_t FloorDivInt(int64_t a, int64_t b) {
  const int64_t rest = RemInt(a, b);
  return DivInt(a, b) - (rest != 0 && (rest < 0) != (b < 0));
}

// Repeated multiplication, wrapping. A negative exponent truncates the fraction: 0, but for a base
// of 1 or -1.
int64_t PowInt(ElementType type, int64_t base, int64_t exponent) {
  if (IsSigned(type) && exponent < 0) {
    if (base == 1) return 1;
    if (base == -1) return exponent % 2 == 0 ? 1 : -1;
    return 0;
  }
  int64_t result = 1;
  for (auto bits = static_cast<uint64_t>(exponent); bits != 0; bits >>= 1) {
    if (bits & 1) result = WrapMul(result, base);
    base = WrapMul(base, base);
  }
  return result;
}

int64_t ShiftInt(BinaryOp op, ElementType type, int64_t a, int64_t amount) {
  if (amount < 0 || amount >= 8 * ByteSize(type)) return 0;
  if (op == BinaryOp::kShl) return static_cast<int64_t>(static_cast<uint64_t>(a) << amount);
  if (type == ElementType::kU64) return static_cast<int64_t>(static_cast<uint64_t>(a) >> amount);
  return a >> amount;  // the narrower unsigned types are held as values that are not negative
}

bool LessInt(ElementType type, int64_t a, int64_t b) {
  return type == ElementType::kU64 ? static_cast<uint64_t>(a) < static_cast<uint64_t>(b) : a < b;
}

// The quotients of u64, whose bits an int64 would read with the wrong sign.
int64_t DivideU64(BinaryOp op, int64_t a, int64_t b) {
  if (b == 0) return 0;
  const auto x = static_cast<uint64_t>(a);
  const auto y = static_cast<uint64_t>(b);
  const bool quotient = op == BinaryOp::kDiv || op == BinaryOp::kFloorDiv;
  return static_cast<int64_t>(quotient ? x / y : x % y);
}

int64_t BinaryInt(BinaryOp op, ElementType type, int64_t a, int64_t b) {
  const bool u64 = type == ElementType::kU64;
  switch (op) {
    case BinaryOp::kAdd: return WrapAdd(a, b);
    case BinaryOp::kSub: return WrapSub(a, b);
    case BinaryOp::kMul: return WrapMul(a, b);
    case BinaryOp::kDiv: return u64 ? DivideU64(op, a, b) : DivInt(a, b);
    case BinaryOp::kRem: return u64 ? DivideU64(op, a, b) : RemInt(a, b);
    case BinaryOp::kFloorDiv: return u64 ? DivideU64(op, a, b) : FloorDivInt(a, b);
    case BinaryOp::kFloorMod: return u64 ? DivideU64(op, a, b) : FloorModInt(a, b);
    case BinaryOp::kMin: return LessInt(type, a, b) ? a : b;
    case BinaryOp::kMax: return LessInt(type, a, b) ? b : a;
    case BinaryOp::kPow: return PowInt(type, a, b);
    case BinaryOp::kAnd: return a & b;
    case BinaryOp::kOr: return a | b;
    case BinaryOp::kXor: return a ^ b;
    case BinaryOp::kShl:
    case BinaryOp::kShr: return ShiftInt(op, type, a, b);
    default: return a;  // comparisons are handled before
  }
}

bool IsComparison(BinaryOp op) { return op >= BinaryOp::kEq; }

// `less` is a < b, `greater` a > b; both are false for NaN, which is not equal to anything.
bool Compare(BinaryOp op, bool less, bool greater, bool equal) {
  switch (op) {
    case BinaryOp::kEq: return equal;
    case BinaryOp::kNe: return !equal;
    case BinaryOp::kLt: return less;
    case BinaryOp::kLe: return less || equal;
    case BinaryOp::kGt: return greater;
    default: return greater || equal;
  }
}

}  // namespace

Scalar ApplyUnary(UnaryOp op, ElementType type, Scalar a) {
  if (!IsFloat(type)) return Int(WrapInt(type, UnaryInt(op, type, a.i)));
  if (op == UnaryOp::kIsNan) return Int(std::isnan(a.f));
  if (op == UnaryOp::kIsInf) return Int(std::isinf(a.f));
  return Float(UnaryDouble(op, a.f));
}

Scalar ApplyBinary(BinaryOp op, ElementType type, Scalar a, Scalar b) {
  if (IsFloat(type)) {
    if (IsComparison(op)) return Int(Compare(op, a.f < b.f, a.f > b.f, a.f == b.f));
    return Float(BinaryDouble(op, a.f, b.f));
  }
  if (IsComparison(op)) {
    return Int(Compare(op, LessInt(type, a.i, b.i), LessInt(type, b.i, a.i), a.i == b.i));
  }
  return Int(WrapInt(type, BinaryInt(op, type, a.i, b.i)));
}

Scalar ApplyCast(ElementType from, ElementType to, Scalar value) {
  char bytes[8] = {};
  if (IsFloat(from)) {
    StoreDouble(to, bytes, value.f);
  } else if (from == ElementType::kU64 && IsFloat(to)) {
    StoreDouble(to, bytes, static_cast<double>(static_cast<uint64_t>(value.i)));
  } else {
    StoreInt(to, bytes, value.i);
  }
  return IsFloat(to) ? Float(LoadDouble(to, bytes)) : Int(LoadInt(to, bytes));
}

Scalar ConstantValue(const loop::ExprNode& constant) {
  return IsFloat(constant.type) ? Float(constant.float_value) : Int(constant.int_value);
}

namespace {

// Gives every distinct node of an expression a number, arguments first.
class Numbering {
 public:
  const std::vector<const loop::ExprNode*>& nodes() const { return nodes_; }
  int NumberOf(const loop::ExprNode* node) const { return numbers_.at(node); }
  void Add(const loop::Expr& expr) {
    if (numbers_.contains(expr.get())) return;
    for (const loop::Expr& argument : expr->args) Add(argument);
    numbers_.emplace(expr.get(), static_cast<int>(nodes_.size()));
    nodes_.push_back(expr.get());
  }

 private:
  std::vector<const loop::ExprNode*> nodes_;
  std::map<const loop::ExprNode*, int> numbers_;
};

}  // namespace

StatusOr<ScalarProgram> ScalarProgram::Compile(const loop::Expr& expr,
                                               std::span<const loop::Buffer> inputs) {
  Numbering numbering;
  numbering.Add(expr);
  ScalarProgram program;
  for (const loop::ExprNode* const node : numbering.nodes()) {
    Instruction instruction{.kind = node->kind, .unary = node->unary, .binary = node->binary};
    instruction.result_type = node->type;
    Scalar start = Int(0);
    if (node->kind == ExprKind::kLoad) {
      const auto input = std::find(inputs.begin(), inputs.end(), node->buffer);
      if (input == inputs.end()) return InternalError("scalar program: unknown input");
      instruction.args[0] = static_cast<int>(input - inputs.begin());
    } else if (node->kind == ExprKind::kConst) {
      start = ConstantValue(*node);
    } else if (node->kind == ExprKind::kVar || node->kind == ExprKind::kReduce) {
      return InternalError("scalar program: loop variables and reductions have no place here");
    }
    if (node->kind != ExprKind::kLoad) {
      for (size_t k = 0; k < node->args.size(); ++k) {
        instruction.args[k] = numbering.NumberOf(node->args[k].get());
        instruction.type = node->args[0].type();
      }
    }
    program.code_.push_back(instruction);
    program.registers_.push_back(start);
  }
  return program;
}

Scalar ScalarProgram::Run(std::span<const Scalar> inputs) {
  for (size_t i = 0; i < code_.size(); ++i) {
    const Instruction& step = code_[i];
    const Scalar a = step.kind == ExprKind::kLoad ? inputs[step.args[0]]
                                                  : registers_[step.args[0]];
    switch (step.kind) {
      case ExprKind::kLoad: registers_[i] = a; break;
      case ExprKind::kUnary: registers_[i] = ApplyUnary(step.unary, step.type, a); break;
      case ExprKind::kBinary:
        registers_[i] = ApplyBinary(step.binary, step.type, a, registers_[step.args[1]]);
        break;
      case ExprKind::kSelect: registers_[i] = registers_[step.args[a.i != 0 ? 1 : 2]]; break;
      case ExprKind::kCast: registers_[i] = ApplyCast(step.type, step.result_type, a); break;
      default: break;  // kConst: its register holds it already
    }
  }
  return registers_.back();
}

}  // namespace kiln
