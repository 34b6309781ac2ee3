// Mathematical functions, inline on scalars and vectors.
#pragma once

#include "compiler/codegen/op_emitter.h"

namespace kiln {

/// kExp .. kSigmoid of a float or double.
llvm::Value* EmitMath(OpEmitter& ops, loop::UnaryOp op, llvm::Value* x);
llvm::Value* EmitPow(OpEmitter& ops, llvm::Value* x, llvm::Value* y);

}  // namespace kiln
