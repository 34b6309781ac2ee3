// LLVM IR for single loop-IR operators, on scalars and vectors alike.
//
// How values are held: bool as i1, f16 and bf16 as i16 bits, the rest as LLVM's own types; a scalar
// meets a vector by being broadcast. What each operator computes is defined by ir/loop/scalar.h.
#pragma once

#include <string>
#include <utility>

#include "compiler/codegen/llvm_target.h"
#include "ir/loop/expr.h"
#include "llvm/IR/IRBuilder.h"

namespace kiln {

/// The lanes of a vector value; 0 for a scalar.
int LanesOf(const llvm::Value* value);

class OpEmitter {
  using UnaryOp = loop::UnaryOp;
  using BinaryOp = loop::BinaryOp;

 public:
  /// Multiplications and additions may be contracted to FMAs; no other fast-math liberty is taken.
  OpEmitter(llvm::IRBuilder<>& builder, const InstructionSet& isa);

  llvm::IRBuilder<>& builder() { return builder_; }
  const InstructionSet& isa() const { return isa_; }

  /// How a value of `type` is held in a register; `lanes` 0 gives the scalar type.
  llvm::Type* RegisterType(ElementType type, int lanes = 0) const;
  /// How it lies in memory: i8 for bool.
  llvm::Type* MemoryType(ElementType type, int lanes = 0) const;
  llvm::Constant* Constant(const loop::ExprNode& node) const;
  llvm::Constant* ConstantInt(int64_t value) const { return builder_.getInt64(value); }

  /// Broadcasts a scalar; a vector stays as it is.
  llvm::Value* Splat(llvm::Value* value, int lanes);
  /// Both as vectors when either is one.
  std::pair<llvm::Value*, llvm::Value*> Match(llvm::Value* a, llvm::Value* b);

  /// `type` is the operands' type.
  llvm::Value* Unary(UnaryOp op, ElementType type, llvm::Value* a);
  llvm::Value* Binary(BinaryOp op, ElementType type, llvm::Value* a, llvm::Value* b);
  llvm::Value* Select(llvm::Value* condition, llvm::Value* if_true, llvm::Value* if_false);
  llvm::Value* Cast(ElementType from, ElementType to, llvm::Value* a);
  /// a * b + c, rounded once where the target has FMA.
  llvm::Value* MultiplyAdd(llvm::Value* a, llvm::Value* b, llvm::Value* c);
  /// The accumulator after one more value.
  llvm::Value* Combine(loop::ReduceOp op, ElementType type, llvm::Value* total, llvm::Value* value);
  /// All lanes combined in a fixed order (halves, then quarters, ...); the lanes are a power of 2.
  llvm::Value* CombineLanes(loop::ReduceOp op, ElementType type, llvm::Value* vector);

  /// Calls a libm function of one or two operands, lane by lane. The name is the double version's.
  llvm::Value* CallLibm(const std::string& name, llvm::ArrayRef<llvm::Value*> args);

 private:
  llvm::Value* FloatUnary(UnaryOp op, llvm::Value* a);
  llvm::Value* IntUnary(UnaryOp op, ElementType type, llvm::Value* a);
  llvm::Value* FloatBinary(BinaryOp op, llvm::Value* a, llvm::Value* b);
  llvm::Value* IntBinary(BinaryOp op, ElementType type, llvm::Value* a, llvm::Value* b);
  llvm::Value* FloatCompare(BinaryOp op, llvm::Value* a, llvm::Value* b);
  llvm::Value* IntCompare(BinaryOp op, bool is_signed, llvm::Value* a, llvm::Value* b);
  llvm::Value* FloatMinMax(bool max, llvm::Value* a, llvm::Value* b);
  llvm::Value* Divide(bool is_signed, bool remainder, llvm::Value* a, llvm::Value* b);
  llvm::Value* FloorDivide(bool is_signed, llvm::Value* a, llvm::Value* b);
  llvm::Value* FloorModulo(ElementType type, llvm::Value* a, llvm::Value* b);
  llvm::Value* Shift(BinaryOp op, ElementType type, llvm::Value* a, llvm::Value* b);
  llvm::Value* IntPower(ElementType type, llvm::Value* a, llvm::Value* b);
  llvm::Value* FloatToInt(ElementType to, llvm::Value* a);

  llvm::IRBuilder<>& builder_;
  const InstructionSet& isa_;
};

/// Calls a scalar function for each lane of its operands, which have one shape.
llvm::Value* CallPerLane(llvm::IRBuilder<>& builder, llvm::FunctionCallee callee,
                         llvm::ArrayRef<llvm::Value*> args);

/// The module's function iN(iN, iN) for integer powers, made on first use.
llvm::Function* IntPowerFunction(llvm::Module& module, llvm::IntegerType* type, bool is_signed);

}  // namespace kiln
