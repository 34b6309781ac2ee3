#include "compiler/codegen/op_emitter.h"

#include "compiler/codegen/half.h"
#include "compiler/codegen/vector_math.h"
#include "ir/graph/tensor.h"
#include "ir/loop/scalar.h"
#include "llvm/IR/Intrinsics.h"
#include "llvm/IR/Module.h"

namespace kiln {

namespace {

llvm::Type* WithLanes(llvm::Type* scalar, int lanes) {
  return lanes == 0 ? scalar : llvm::FixedVectorType::get(scalar, lanes);
}

llvm::Constant* IntLike(const llvm::Value* value, int64_t constant) {
  return llvm::ConstantInt::get(value->getType(), constant, true);
}

llvm::Constant* FloatLike(const llvm::Value* value, double constant) {
  return llvm::ConstantFP::get(value->getType(), constant);
}

/// Whether `value` is a float constant other than NaN (in every lane).
bool IsNumber(llvm::Value* value) {
  const llvm::APFloat* constant;
  if (const auto* vector = llvm::dyn_cast<llvm::Constant>(value); vector != nullptr) {
    const llvm::Constant* lane = value->getType()->isVectorTy() ? vector->getSplatValue() : vector;
    if (const auto* number = llvm::dyn_cast_or_null<llvm::ConstantFP>(lane)) {
      constant = &number->getValueAPF();
      return !constant->isNaN();
    }
  }
  return false;
}

}  // namespace

int LanesOf(const llvm::Value* value) {
  const auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(value->getType());
  return vector == nullptr ? 0 : static_cast<int>(vector->getNumElements());
}

llvm::Value* CallPerLane(llvm::IRBuilder<>& builder, llvm::FunctionCallee callee,
                         llvm::ArrayRef<llvm::Value*> args) {
  const int lanes = LanesOf(args[0]);
  if (lanes == 0) return builder.CreateCall(callee, args);
  llvm::Value* result = llvm::PoisonValue::get(args[0]->getType());
  for (int lane = 0; lane < lanes; ++lane) {
    llvm::SmallVector<llvm::Value*, 2> scalars;
    for (llvm::Value* arg : args) scalars.push_back(builder.CreateExtractElement(arg, lane));
    result = builder.CreateInsertElement(result, builder.CreateCall(callee, scalars), lane);
  }
  return result;
}

OpEmitter::OpEmitter(llvm::IRBuilder<>& builder, const InstructionSet& isa)
    : builder_(builder), isa_(isa) {
  llvm::FastMathFlags flags;
  flags.setAllowContract(true);
  builder_.setFastMathFlags(flags);
}

llvm::Type* OpEmitter::RegisterType(ElementType type, int lanes) const {
  if (type == ElementType::kBool) return WithLanes(builder_.getInt1Ty(), lanes);
  return MemoryType(type, lanes);
}

llvm::Type* OpEmitter::MemoryType(ElementType type, int lanes) const {
  if (type == ElementType::kF32) return WithLanes(builder_.getFloatTy(), lanes);
  if (type == ElementType::kF64) return WithLanes(builder_.getDoubleTy(), lanes);
  return WithLanes(builder_.getIntNTy(8 * static_cast<unsigned>(ByteSize(type))), lanes);
}

llvm::Constant* OpEmitter::Constant(const loop::ExprNode& node) const {
  llvm::Type* const type = RegisterType(node.type);
  if (!IsFloat(node.type)) return llvm::ConstantInt::get(type, node.int_value, true);
  if (type->isFloatingPointTy()) return llvm::ConstantFP::get(type, node.float_value);
  uint16_t bits;  // of f16 or bf16, which are held as integers
  StoreDouble(node.type, reinterpret_cast<char*>(&bits), node.float_value);
  return llvm::ConstantInt::get(type, bits);
}

llvm::Value* OpEmitter::Splat(llvm::Value* value, int lanes) {
  if (lanes == 0 || value->getType()->isVectorTy()) return value;
  return builder_.CreateVectorSplat(lanes, value);
}

std::pair<llvm::Value*, llvm::Value*> OpEmitter::Match(llvm::Value* a, llvm::Value* b) {
  const int lanes = std::max(LanesOf(a), LanesOf(b));
  return {Splat(a, lanes), Splat(b, lanes)};
}

llvm::Value* OpEmitter::Unary(UnaryOp op, ElementType type, llvm::Value* a) {
  if (!IsFloat(type)) return IntUnary(op, type, a);
  if (op >= UnaryOp::kExp && op <= UnaryOp::kSigmoid) return EmitMath(*this, op, a);
  return FloatUnary(op, a);
}

llvm::Value* OpEmitter::FloatUnary(UnaryOp op, llvm::Value* a) {
  auto& b = builder_;
  const auto intrinsic = [&](llvm::Intrinsic::ID id) { return b.CreateUnaryIntrinsic(id, a); };
  switch (op) {
    case UnaryOp::kNeg: return b.CreateFNeg(a);
    case UnaryOp::kAbs: return intrinsic(llvm::Intrinsic::fabs);
    case UnaryOp::kSqrt: return intrinsic(llvm::Intrinsic::sqrt);
    case UnaryOp::kFloor: return intrinsic(llvm::Intrinsic::floor);
    case UnaryOp::kCeil: return intrinsic(llvm::Intrinsic::ceil);
    case UnaryOp::kRound: return intrinsic(llvm::Intrinsic::roundeven);
    case UnaryOp::kTrunc: return intrinsic(llvm::Intrinsic::trunc);
    case UnaryOp::kIsNan: return b.CreateFCmpUNO(a, a);
    case UnaryOp::kIsInf:
      return b.CreateFCmpOEQ(intrinsic(llvm::Intrinsic::fabs), FloatLike(a, INFINITY));
    case UnaryOp::kSign: {
      llvm::Value* const zero = FloatLike(a, 0);
      llvm::Value* const rest = b.CreateSelect(b.CreateFCmpOLT(a, zero), FloatLike(a, -1), a);
      return b.CreateSelect(b.CreateFCmpOGT(a, zero), FloatLike(a, 1), rest);
    }
    default: return b.CreateFCmpOEQ(a, FloatLike(a, 0));  // kNot
  }
}

llvm::Value* OpEmitter::IntUnary(UnaryOp op, ElementType type, llvm::Value* a) {
  auto& b = builder_;
  const bool is_signed = IsSigned(type);
  switch (op) {
    case UnaryOp::kNeg: return type == ElementType::kBool ? a : b.CreateNeg(a);
    case UnaryOp::kNot: return b.CreateICmpEQ(a, IntLike(a, 0));
    case UnaryOp::kBitNot: return b.CreateNot(a);
    case UnaryOp::kAbs:
      return is_signed ? b.CreateBinaryIntrinsic(llvm::Intrinsic::abs, a, b.getFalse()) : a;
    case UnaryOp::kSign: {
      llvm::Value* const positive = b.CreateZExt(b.CreateICmpNE(a, IntLike(a, 0)), a->getType());
      if (!is_signed) return positive;
      return b.CreateSelect(b.CreateICmpSLT(a, IntLike(a, 0)), IntLike(a, -1), positive);
    }
    case UnaryOp::kIsNan:
    case UnaryOp::kIsInf: return Splat(b.getFalse(), LanesOf(a));
    default: return a;  // floor, ceil, round, trunc
  }
}

llvm::Value* OpEmitter::Binary(BinaryOp op, ElementType type, llvm::Value* a, llvm::Value* b) {
  std::tie(a, b) = Match(a, b);
  return IsFloat(type) ? FloatBinary(op, a, b) : IntBinary(op, type, a, b);
}

llvm::Value* OpEmitter::FloatBinary(BinaryOp op, llvm::Value* a, llvm::Value* b) {
  switch (op) {
    case BinaryOp::kAdd: return builder_.CreateFAdd(a, b);
    case BinaryOp::kSub: return builder_.CreateFSub(a, b);
    case BinaryOp::kMul: return builder_.CreateFMul(a, b);
    case BinaryOp::kDiv: return builder_.CreateFDiv(a, b);
    case BinaryOp::kRem: return CallLibm("fmod", {a, b});
    case BinaryOp::kFloorDiv: return FloatUnary(UnaryOp::kFloor, builder_.CreateFDiv(a, b));
    case BinaryOp::kFloorMod: {
      llvm::Value* const zero = FloatLike(a, 0);
      llvm::Value* const rest = CallLibm("fmod", {a, b});
      llvm::Value* const signs_differ =
          builder_.CreateXor(builder_.CreateFCmpOLT(rest, zero), builder_.CreateFCmpOLT(b, zero));
      llvm::Value* const moves =
          builder_.CreateAnd(builder_.CreateFCmpUNE(rest, zero), signs_differ);
      return builder_.CreateSelect(moves, builder_.CreateFAdd(rest, b), rest);
    }
    case BinaryOp::kMin: return FloatMinMax(false, a, b);
    case BinaryOp::kMax: return FloatMinMax(true, a, b);
    case BinaryOp::kPow: return EmitPow(*this, a, b);
    default: return FloatCompare(op, a, b);
  }
}

llvm::Value* OpEmitter::FloatMinMax(bool max, llvm::Value* a, llvm::Value* b) {
  if (isa_.has_nan_passing_min) {
    return builder_.CreateBinaryIntrinsic(max ? llvm::Intrinsic::maximum : llvm::Intrinsic::minimum,
                                          a, b);
  }
  // One x86 instruction computes `a < b ? a : b`, which gives b when either is NaN. So that a NaN
  // in a passes too it must be a number or be asked for.
  if (IsNumber(b)) std::swap(a, b);
  llvm::Value* const a_wins = max ? builder_.CreateFCmpOGT(a, b) : builder_.CreateFCmpOLT(a, b);
  llvm::Value* const value = builder_.CreateSelect(a_wins, a, b);
  return IsNumber(a) ? value : builder_.CreateSelect(builder_.CreateFCmpUNO(a, a), a, value);
}

llvm::Value* OpEmitter::FloatCompare(BinaryOp op, llvm::Value* a, llvm::Value* b) {
  switch (op) {
    case BinaryOp::kEq: return builder_.CreateFCmpOEQ(a, b);
    case BinaryOp::kNe: return builder_.CreateFCmpUNE(a, b);
    case BinaryOp::kLt: return builder_.CreateFCmpOLT(a, b);
    case BinaryOp::kLe: return builder_.CreateFCmpOLE(a, b);
    case BinaryOp::kGt: return builder_.CreateFCmpOGT(a, b);
    default: return builder_.CreateFCmpOGE(a, b);
  }
}

llvm::Value* OpEmitter::IntBinary(BinaryOp op, ElementType type, llvm::Value* a, llvm::Value* b) {
  const bool is_signed = IsSigned(type);
  switch (op) {
    // On bool, 1 + 1 is 1.
    case BinaryOp::kAdd:
      return type == ElementType::kBool ? builder_.CreateOr(a, b) : builder_.CreateAdd(a, b);
    case BinaryOp::kSub: return builder_.CreateSub(a, b);
    case BinaryOp::kMul: return builder_.CreateMul(a, b);
    case BinaryOp::kDiv: return Divide(is_signed, false, a, b);
    case BinaryOp::kRem: return Divide(is_signed, true, a, b);
    case BinaryOp::kFloorDiv: return FloorDivide(is_signed, a, b);
    case BinaryOp::kFloorMod: return FloorModulo(type, a, b);
    case BinaryOp::kMin:
      return builder_.CreateBinaryIntrinsic(
          is_signed ? llvm::Intrinsic::smin : llvm::Intrinsic::umin, a, b);
    case BinaryOp::kMax:
      return builder_.CreateBinaryIntrinsic(
          is_signed ? llvm::Intrinsic::smax : llvm::Intrinsic::umax, a, b);
    case BinaryOp::kPow: return IntPower(type, a, b);
    case BinaryOp::kAnd: return builder_.CreateAnd(a, b);
    case BinaryOp::kOr: return builder_.CreateOr(a, b);
    case BinaryOp::kXor: return builder_.CreateXor(a, b);
    case BinaryOp::kShl:
    case BinaryOp::kShr: return Shift(op, type, a, b);
    default: return IntCompare(op, is_signed, a, b);
  }
}

llvm::Value* OpEmitter::IntCompare(BinaryOp op, bool is_signed, llvm::Value* a, llvm::Value* b) {
  using Predicate = llvm::CmpInst::Predicate;
  const auto predicate = [&] {
    switch (op) {
      case BinaryOp::kEq: return Predicate::ICMP_EQ;
      case BinaryOp::kNe: return Predicate::ICMP_NE;
      case BinaryOp::kLt: return is_signed ? Predicate::ICMP_SLT : Predicate::ICMP_ULT;
      case BinaryOp::kLe: return is_signed ? Predicate::ICMP_SLE : Predicate::ICMP_ULE;
      case BinaryOp::kGt: return is_signed ? Predicate::ICMP_SGT : Predicate::ICMP_UGT;
      default: return is_signed ? Predicate::ICMP_SGE : Predicate::ICMP_UGE;
    }
  }();
  return builder_.CreateICmp(predicate, a, b);
}

llvm::Value* OpEmitter::Divide(bool is_signed, bool remainder, llvm::Value* a, llvm::Value* b) {
  auto& ir = builder_;
  llvm::Value* const zero = IntLike(a, 0);
  llvm::Value* const is_zero = ir.CreateICmpEQ(b, zero);
  if (!is_signed) {
    llvm::Value* const safe = ir.CreateSelect(is_zero, IntLike(b, 1), b);
    llvm::Value* const value = remainder ? ir.CreateURem(a, safe) : ir.CreateUDiv(a, safe);
    return ir.CreateSelect(is_zero, zero, value);
  }
  // -1 apart: the smallest integer divided by it overflows.
  llvm::Value* const is_minus_one = ir.CreateICmpEQ(b, IntLike(b, -1));
  llvm::Value* const safe = ir.CreateSelect(ir.CreateOr(is_zero, is_minus_one), IntLike(b, 1), b);
  llvm::Value* value = remainder ? ir.CreateSRem(a, safe) : ir.CreateSDiv(a, safe);
  if (!remainder) value = ir.CreateSelect(is_minus_one, ir.CreateNeg(a), value);
  return ir.CreateSelect(is_zero, zero, value);
}

llvm::Value* OpEmitter::FloorDivide(bool is_signed, llvm::Value* a, llvm::Value* b) {
  auto& ir = builder_;
  llvm::Value* const quotient = Divide(is_signed, false, a, b);
  if (!is_signed) return quotient;
  llvm::Value* const inexact = ir.CreateICmpNE(Divide(true, true, a, b), IntLike(a, 0));
  llvm::Value* const signs_differ = ir.CreateICmpSLT(ir.CreateXor(a, b), IntLike(a, 0));
  llvm::Value* const rounds_down = ir.CreateAnd(inexact, signs_differ);
  return ir.CreateAdd(quotient, ir.CreateSExt(rounds_down, a->getType()));
}

llvm::Value* OpEmitter::FloorModulo(ElementType type, llvm::Value* a, llvm::Value* b) {
  auto& ir = builder_;
  llvm::Value* const rest = Divide(IsSigned(type), true, a, b);
  if (!IsSigned(type)) return rest;
  llvm::Value* const signs_differ = ir.CreateICmpSLT(ir.CreateXor(a, b), IntLike(a, 0));
  llvm::Value* const moves = ir.CreateAnd(ir.CreateICmpNE(rest, IntLike(a, 0)), signs_differ);
  return ir.CreateSelect(moves, ir.CreateAdd(rest, b), rest);
}

llvm::Value* OpEmitter::Shift(BinaryOp op, ElementType type, llvm::Value* a, llvm::Value* b) {
  auto& ir = builder_;
  const int64_t bits = 8 * ByteSize(type);
  llvm::Value* const in_range = ir.CreateICmpULT(b, IntLike(b, bits));
  llvm::Value* const amount = ir.CreateSelect(in_range, b, IntLike(b, 0));
  llvm::Value* const value = op == BinaryOp::kShl ? ir.CreateShl(a, amount)
                             : IsSigned(type)     ? ir.CreateAShr(a, amount)
                                                  : ir.CreateLShr(a, amount);
  return ir.CreateSelect(in_range, value, IntLike(a, 0));
}

llvm::Value* OpEmitter::Select(llvm::Value* condition, llvm::Value* if_true,
                               llvm::Value* if_false) {
  std::tie(if_true, if_false) = Match(if_true, if_false);
  const int lanes = LanesOf(condition);
  return builder_.CreateSelect(condition, Splat(if_true, lanes), Splat(if_false, lanes));
}

llvm::Value* OpEmitter::FloatToInt(ElementType to, llvm::Value* a) {
  const auto id = IsSigned(to) ? llvm::Intrinsic::fptosi_sat : llvm::Intrinsic::fptoui_sat;
  return builder_.CreateIntrinsic(id, {RegisterType(to, LanesOf(a)), a->getType()}, {a});
}

llvm::Value* OpEmitter::Cast(ElementType from, ElementType to, llvm::Value* a) {
  if (from == to) return a;
  const int lanes = LanesOf(a);
  llvm::Type* const type = RegisterType(to, lanes);
  const auto through_float = [&](ElementType source) { return Cast(source, ElementType::kF32, a); };
  if (from == ElementType::kF16 || from == ElementType::kBF16) {
    llvm::Value* const value =
        from == ElementType::kF16 ? FloatFromHalf(*this, a) : FloatFromBfloat(*this, a);
    return Cast(ElementType::kF32, to, value);
  }
  if (to == ElementType::kF16) return HalfFromFloat(*this, through_float(from));
  if (to == ElementType::kBF16) return BfloatFromFloat(*this, through_float(from));
  if (IsFloat(from)) {
    if (IsFloat(to)) return builder_.CreateFPCast(a, type);
    return to == ElementType::kBool ? builder_.CreateFCmpUNE(a, FloatLike(a, 0))
                                    : FloatToInt(to, a);
  }
  if (IsFloat(to)) {
    return IsSigned(from) ? builder_.CreateSIToFP(a, type) : builder_.CreateUIToFP(a, type);
  }
  if (to == ElementType::kBool) return builder_.CreateICmpNE(a, IntLike(a, 0));
  return builder_.CreateIntCast(a, type, IsSigned(from));
}

llvm::Value* OpEmitter::MultiplyAdd(llvm::Value* a, llvm::Value* b, llvm::Value* c) {
  const int lanes = std::max({LanesOf(a), LanesOf(b), LanesOf(c)});
  a = Splat(a, lanes);
  b = Splat(b, lanes);
  c = Splat(c, lanes);
  if (!isa_.has_fma) return builder_.CreateFAdd(builder_.CreateFMul(a, b), c);
  return builder_.CreateIntrinsic(llvm::Intrinsic::fma, {a->getType()}, {a, b, c});
}

llvm::Value* OpEmitter::Combine(loop::ReduceOp op, ElementType type, llvm::Value* total,
                                llvm::Value* value) {
  static constexpr BinaryOp kOps[] = {BinaryOp::kAdd, BinaryOp::kMul, BinaryOp::kMin,
                                      BinaryOp::kMax};
  return Binary(kOps[static_cast<size_t>(op)], type, total, value);
}

llvm::Value* OpEmitter::CombineLanes(loop::ReduceOp op, ElementType type, llvm::Value* vector) {
  for (int half = LanesOf(vector) / 2; half >= 1; half /= 2) {
    llvm::SmallVector<int, 64> low(half), high(half);
    for (int i = 0; i < half; ++i) {
      low[i] = i;
      high[i] = half + i;
    }
    vector = Combine(op, type, builder_.CreateShuffleVector(vector, low),
                     builder_.CreateShuffleVector(vector, high));
  }
  return builder_.CreateExtractElement(vector, uint64_t{0});
}

llvm::Value* OpEmitter::CallLibm(const std::string& name, llvm::ArrayRef<llvm::Value*> args) {
  llvm::Type* const scalar = args[0]->getType()->getScalarType();
  llvm::Module& module = *builder_.GetInsertBlock()->getModule();
  const llvm::SmallVector<llvm::Type*, 2> types(args.size(), scalar);
  llvm::FunctionCallee callee = module.getOrInsertFunction(
      scalar->isFloatTy() ? name + "f" : name, llvm::FunctionType::get(scalar, types, false));
  auto* const function = llvm::cast<llvm::Function>(callee.getCallee());
  function->setDoesNotThrow();
  function->setDoesNotAccessMemory();
  function->setWillReturn();
  return CallPerLane(builder_, callee, args);
}

llvm::Value* OpEmitter::IntPower(ElementType type, llvm::Value* a, llvm::Value* b) {
  if (type == ElementType::kBool) return builder_.CreateOr(a, builder_.CreateNot(b));
  auto* const scalar = llvm::cast<llvm::IntegerType>(a->getType()->getScalarType());
  llvm::Module& module = *builder_.GetInsertBlock()->getModule();
  return CallPerLane(builder_, IntPowerFunction(module, scalar, IsSigned(type)), {a, b});
}

}  // namespace kiln
