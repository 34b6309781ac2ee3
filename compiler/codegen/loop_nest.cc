#include "compiler/codegen/loop_nest.h"

namespace kiln {

int LoopNest::Open(llvm::Value* begin, llvm::Value* end, int64_t step, bool moving_pointers) {
  Scope scope;
  scope.preheader = builder_.GetInsertBlock();
  scope.header =
      llvm::BasicBlock::Create(builder_.getContext(), "loop", scope.preheader->getParent());
  scope.end = end;
  scope.step = step;
  scope.moving_pointers = moving_pointers;
  builder_.CreateBr(scope.header);
  builder_.SetInsertPoint(scope.header);
  scope.counter = builder_.CreatePHI(builder_.getInt64Ty(), 2);
  scope.counter->addIncoming(begin, scope.preheader);
  scopes_.push_back(std::move(scope));
  return static_cast<int>(scopes_.size()) - 1;
}

int LoopNest::Open(int64_t end, int64_t step, bool moving_pointers) {
  return Open(builder_.getInt64(0), builder_.getInt64(end), step, moving_pointers);
}

llvm::PHINode* LoopNest::Carry(llvm::Value* initial) {
  Scope& scope = scopes_.back();
  llvm::IRBuilder<>::InsertPointGuard restore(builder_);
  builder_.SetInsertPoint(scope.header, scope.header->getFirstNonPHIIt());
  llvm::PHINode* const phi = builder_.CreatePHI(initial->getType(), 2);
  phi->addIncoming(initial, scope.preheader);
  scope.carried.push_back(phi);
  return phi;
}

void LoopNest::Close(llvm::ArrayRef<llvm::Value*> carried) {
  const Scope scope = std::move(scopes_.back());
  scopes_.pop_back();
  llvm::BasicBlock* const latch = builder_.GetInsertBlock();
  for (size_t i = 0; i < scope.carried.size(); ++i)
    scope.carried[i]->addIncoming(carried[i], latch);
  for (const auto& [pointer, bytes] : scope.moving) {
    pointer->addIncoming(builder_.CreatePtrAdd(pointer, builder_.getInt64(bytes)), latch);
  }
  llvm::Value* const next = builder_.CreateNSWAdd(scope.counter, builder_.getInt64(scope.step));
  scope.counter->addIncoming(next, latch);
  llvm::BasicBlock* const exit =
      llvm::BasicBlock::Create(builder_.getContext(), "exit", latch->getParent());
  builder_.CreateCondBr(builder_.CreateICmpSLT(next, scope.end), scope.header, exit);
  builder_.SetInsertPoint(exit);
}

llvm::Value* LoopNest::Pointer(llvm::Value* base, const Strides& strides) {
  if (strides.empty()) return base;
  const auto [level, stride] = strides.back();
  const auto key = std::make_pair(base, strides);
  if (const auto found = scopes_[level].pointers.find(key);
      found != scopes_[level].pointers.end()) {
    return found->second;
  }
  llvm::Value* const start = Pointer(base, Strides(strides.begin(), strides.end() - 1));
  Scope& scope = scopes_[level];
  llvm::IRBuilder<>::InsertPointGuard restore(builder_);
  builder_.SetInsertPoint(scope.header, scope.header->getFirstNonPHIIt());
  llvm::Value* pointer;
  if (scope.moving_pointers) {
    llvm::PHINode* const phi = builder_.CreatePHI(start->getType(), 2);
    phi->addIncoming(start, scope.preheader);
    scope.moving.emplace_back(phi, stride * scope.step);
    pointer = phi;
  } else {
    llvm::Value* const offset = builder_.CreateMul(scope.counter, builder_.getInt64(stride));
    pointer = builder_.CreatePtrAdd(start, offset);
  }
  scope.pointers.emplace(key, pointer);
  return pointer;
}

}  // namespace kiln
