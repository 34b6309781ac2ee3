// Conversions between float and the storage-only types f16 and bf16 (held as i16), on scalars and
// vectors: by instruction where the target has one, else by integer arithmetic; never by a call.
// Rounding is to nearest, ties to even; NaN stays NaN.
#pragma once

#include "compiler/codegen/op_emitter.h"

namespace kiln {

llvm::Value* FloatFromHalf(OpEmitter& ops, llvm::Value* bits);
llvm::Value* HalfFromFloat(OpEmitter& ops, llvm::Value* value);
llvm::Value* FloatFromBfloat(OpEmitter& ops, llvm::Value* bits);
llvm::Value* BfloatFromFloat(OpEmitter& ops, llvm::Value* value);

}  // namespace kiln
