// Values of the reference evaluation of the loop IR, and straight-line programs over them. The
// operators are those of ir/loop/scalar.h: floats in double precision whatever their type (only
// casts round), integers wrapped to their type. Nothing traps, whatever the operands.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ir/eval/array.h"
#include "ir/loop/expr.h"
#include "ir/support/status.h"

namespace kiln {

/// One value; the type that goes with it says which member holds it. u64 is held by its bits.
union Scalar {
  double f;   ///< of a float type
  int64_t i;  ///< of an integer type or bool
};

inline Scalar GetElement(const Array& array, int64_t i) {
  return array.is_float() ? Scalar{.f = array.floats[i]} : Scalar{.i = array.ints[i]};
}
inline void SetElement(Array& array, int64_t i, Scalar value) {
  if (array.is_float()) {
    array.floats[i] = value.f;
  } else {
    array.ints[i] = value.i;
  }
}

/// `op` on a value of type `type`; the result is of that type (bool for kIsNan and kIsInf).
Scalar ApplyUnary(loop::UnaryOp op, ElementType type, Scalar a);
/// `op` on two values of type `type`; the result is of that type (bool for comparisons).
Scalar ApplyBinary(loop::BinaryOp op, ElementType type, Scalar a, Scalar b);
/// Floats to integers truncate and saturate (NaN gives 0); to bool is "not 0"; to narrower floats
/// rounds to nearest even; integers wrap.
Scalar ApplyCast(ElementType from, ElementType to, Scalar value);
/// The value of a constant expression.
Scalar ConstantValue(const loop::ExprNode& constant);

/// An expression compiled once and run for many elements, a block of them at a time: straight-line
/// code with one register for each distinct node, so shared subexpressions are computed once. Both
/// sides of a select are computed, which is harmless because loads have no index here.
class ScalarProgram {
 public:
  /// `expr` consists of constants, unary, binary, select and cast nodes, and of loads from
  /// `inputs`, which are buffers of rank 0. Anything else is an internal error.
  static StatusOr<ScalarProgram> Compile(const loop::Expr& expr,
                                         std::span<const loop::Buffer> inputs);

  /// The most elements of one block.
  static constexpr int64_t kBlock = 512;
  /// Room for the values of input `k`, in the order given to Compile, for one block.
  Scalar* input(size_t k) { return &inputs_[k * kBlock]; }
  /// The values of the first `count` elements of a block whose inputs have been filled in.
  const Scalar* Run(int64_t count);

 private:
  struct Instruction {
    loop::ExprKind kind;
    loop::UnaryOp unary{};
    loop::BinaryOp binary{};
    ElementType type{};  // of the arguments
    ElementType result_type{};
    int args[3] = {0, 0, 0};  // registers; kLoad: the number of the input
  };
  void RunUnary(const Instruction& step, const Scalar* a, int64_t count, Scalar* out) const;
  void RunBinary(const Instruction& step, const Scalar* a, int64_t count, Scalar* out) const;
  Scalar* Register(size_t i) { return &registers_[i * kBlock]; }
  const Scalar* Register(size_t i) const { return &registers_[i * kBlock]; }

  std::vector<Instruction> code_;  // instruction i writes register i
  std::vector<Scalar> registers_;  // blocks; constants are there from the start
  std::vector<Scalar> inputs_;     // blocks
};

}  // namespace kiln
