// Integer powers: a small internal function of the module, by repeated squaring.
#include "compiler/codegen/op_emitter.h"
#include "ir/support/strings.h"
#include "llvm/IR/Module.h"

namespace kiln {

namespace {

/// 1/base^-exponent, truncated: what a negative exponent gives.
llvm::Value* ReciprocalPower(llvm::IRBuilder<>& b, llvm::Value* base, llvm::Value* exponent) {
  llvm::Type* const type = base->getType();
  const auto constant = [&](int64_t value) { return llvm::ConstantInt::get(type, value, true); };
  llvm::Value* const odd = b.CreateTrunc(exponent, b.getInt1Ty());
  llvm::Value* const of_minus_one = b.CreateSelect(odd, constant(-1), constant(1));
  llvm::Value* const other =
      b.CreateSelect(b.CreateICmpEQ(base, constant(-1)), of_minus_one, constant(0));
  return b.CreateSelect(b.CreateICmpEQ(base, constant(1)), constant(1), other);
}

}  // namespace

llvm::Function* IntPowerFunction(llvm::Module& module, llvm::IntegerType* type, bool is_signed) {
  const std::string name = StrCat("kiln_power_", is_signed ? "i" : "u", type->getBitWidth());
  if (llvm::Function* const made = module.getFunction(name)) return made;
  llvm::LLVMContext& context = module.getContext();
  auto* const function = llvm::Function::Create(llvm::FunctionType::get(type, {type, type}, false),
                                                llvm::GlobalValue::InternalLinkage, name, module);
  function->setDoesNotThrow();
  function->setDoesNotAccessMemory();
  llvm::Value* const base = function->getArg(0);
  llvm::Value* const exponent = function->getArg(1);
  auto* const entry = llvm::BasicBlock::Create(context, "entry", function);
  auto* const loop = llvm::BasicBlock::Create(context, "loop", function);
  auto* const done = llvm::BasicBlock::Create(context, "done", function);
  llvm::IRBuilder<> b(entry);
  llvm::Constant* const zero = llvm::ConstantInt::get(type, 0);
  llvm::Constant* const one = llvm::ConstantInt::get(type, 1);
  b.CreateBr(loop);

  b.SetInsertPoint(loop);
  llvm::PHINode* const result = b.CreatePHI(type, 2);
  llvm::PHINode* const square = b.CreatePHI(type, 2);
  llvm::PHINode* const rest = b.CreatePHI(type, 2);
  llvm::Value* const factor = b.CreateSelect(b.CreateTrunc(rest, b.getInt1Ty()), square, one);
  llvm::Value* const next_result = b.CreateMul(result, factor);
  llvm::Value* const next_rest = b.CreateLShr(rest, one);
  result->addIncoming(one, entry);
  result->addIncoming(next_result, loop);
  square->addIncoming(base, entry);
  square->addIncoming(b.CreateMul(square, square), loop);
  rest->addIncoming(exponent, entry);
  rest->addIncoming(next_rest, loop);
  b.CreateCondBr(b.CreateICmpEQ(next_rest, zero), done, loop);

  b.SetInsertPoint(done);
  llvm::Value* const negative = b.CreateICmpSLT(exponent, zero);
  b.CreateRet(is_signed ? b.CreateSelect(negative, ReciprocalPower(b, base, exponent), next_result)
                        : next_result);
  return function;
}

}  // namespace kiln
