// Mathematical functions, inline on scalars and vectors of float; each lane by itself, no branches
// (but for sin and cos of huge arguments), special values as C's libm gives them.
//
// Largest errors in ULP, measured by tests/compiler/codegen/vector_math_test.cc over the floats of
// every magnitude, against double-precision libm:
//   exp 0.97, expm1 1.5, log 0.8, log1p 0.8, tanh 2.4, sigmoid 2.3, erf 1.3, sin 1.5, cos 1.6,
//   pow 0.51 (both operands over their whole ranges)
// Double precision, and tan, asin, acos, atan, sinh, cosh, asinh, acosh and atanh, call libm lane
// by lane. tools/dev/fit_polynomials.py derives the coefficients.
#pragma once

#include "compiler/codegen/op_emitter.h"

namespace kiln {

/// kExp .. kSigmoid of a float or double.
llvm::Value* EmitMath(OpEmitter& ops, loop::UnaryOp op, llvm::Value* x);
llvm::Value* EmitPow(OpEmitter& ops, llvm::Value* x, llvm::Value* y);

}  // namespace kiln
