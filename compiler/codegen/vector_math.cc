#include "compiler/codegen/vector_math.h"

namespace kiln {

using loop::UnaryOp;

llvm::Value* EmitMath(OpEmitter& ops, UnaryOp op, llvm::Value* x) {
  if (op != UnaryOp::kSigmoid) return ops.CallLibm(std::string(Name(op)), {x});
  auto& b = ops.builder();
  llvm::Constant* const one = llvm::ConstantFP::get(x->getType(), 1);
  return b.CreateFDiv(one, b.CreateFAdd(one, ops.CallLibm("exp", {b.CreateFNeg(x)})));
}

llvm::Value* EmitPow(OpEmitter& ops, llvm::Value* x, llvm::Value* y) {
  return ops.CallLibm("pow", {x, y});
}

}  // namespace kiln
