// The loops that surround the point of emission, and the pointers that move with them.
//
// Every loop runs at least once (extents are static; callers leave out empty ones), so it is
// emitted with its test at the end and whatever is computed in it may be hoisted. Levels count from
// 1, outermost first; level 0 is the function itself.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "llvm/IR/IRBuilder.h"

namespace kiln {

class LoopNest {
 public:
  /// (level, bytes per unit of that level's counter), outermost level first, no level twice.
  using Strides = std::vector<std::pair<int, int64_t>>;

  explicit LoopNest(llvm::IRBuilder<>& builder) : builder_(builder), scopes_(1) {}

  /// Starts a loop whose counter runs from `begin` in steps of `step` while below `end`; gives its
  /// level. With `moving_pointers` addresses in it are kept in registers that advance with the
  /// counter (`begin` must be 0), else they are computed from the counter.
  int Open(llvm::Value* begin, llvm::Value* end, int64_t step, bool moving_pointers);
  int Open(int64_t end, int64_t step, bool moving_pointers);
  /// A value that the innermost loop carries from one iteration to the next.
  llvm::PHINode* Carry(llvm::Value* initial);
  /// Ends the innermost loop; `carried` are the next values of what Carry made, in order. They are
  /// also the values after the loop.
  void Close(llvm::ArrayRef<llvm::Value*> carried = {});

  /// The level of the innermost loop.
  int depth() const { return static_cast<int>(scopes_.size()) - 1; }
  /// The block from which the loop of a level is entered.
  llvm::BasicBlock* Preheader(int level) const { return scopes_[level].preheader; }
  llvm::Value* Counter(int level) const { return scopes_[level].counter; }

  /// base + sum of stride * counter, computed where its innermost counter lives.
  llvm::Value* Pointer(llvm::Value* base, const Strides& strides);

 private:
  struct Scope {
    llvm::BasicBlock* preheader = nullptr;
    llvm::BasicBlock* header = nullptr;
    llvm::PHINode* counter = nullptr;
    llvm::Value* end = nullptr;
    int64_t step = 1;
    bool moving_pointers = false;
    std::vector<llvm::PHINode*> carried;
    std::vector<std::pair<llvm::PHINode*, int64_t>> moving;  ///< and the bytes of one step
    std::map<std::pair<llvm::Value*, Strides>, llvm::Value*> pointers;
  };

  llvm::IRBuilder<>& builder_;
  std::vector<Scope> scopes_;
};

}  // namespace kiln
