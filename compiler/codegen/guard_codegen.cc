// TileEmitter: conditions under which loads may happen, and pointers that are safe without them.
#include "compiler/codegen/tile_emitter.h"
#include "llvm/IR/Module.h"

namespace kiln {

using loop::Expr;
using loop::ExprKind;
using loop::ExprNode;

namespace {

/// The largest array of constants that stands in for memory out of bounds.
constexpr int64_t kMaxPoolBytes = 16384;

bool IsIndexCondition(const Expr& condition) {
  bool only_indices = true;
  loop::Walk(condition, [&](const Expr& expr) {
    const bool index = expr.type() == ElementType::kI64 || expr.type() == ElementType::kBool;
    only_indices &= index && expr->kind != ExprKind::kLoad && expr->kind != ExprKind::kReduce;
  });
  return only_indices;
}

}  // namespace

int TileEmitter::MakeGuard(const Expr& condition, bool holds) {
  for (size_t i = 1; i < guards_.size(); ++i) {
    if (guards_[i].parent == guard_ && guards_[i].condition.get() == condition.get() &&
        guards_[i].holds == holds) {
      return static_cast<int>(i);
    }
  }
  const VariableSet variables = InfoOf(condition).variables | guards_[guard_].variables;
  guards_.push_back({guard_, condition, holds, variables});
  return static_cast<int>(guards_.size()) - 1;
}

int TileEmitter::LevelOf(const VariableSet& variables) const {
  int level = 0;
  for (size_t id = 0; id < variables_.size(); ++id) {
    if (variables[id]) level = std::max(level, bindings_[id].level);
  }
  return level;
}

llvm::Value* TileEmitter::Derived(const std::vector<llvm::Value*>& parts,
                                  const std::function<llvm::Value*()>& emit) {
  for (auto memo = memos_.rbegin(); memo != memos_.rend(); ++memo) {
    if (const auto found = memo->derived.find(parts); found != memo->derived.end()) {
      return found->second;
    }
  }
  llvm::Value* const value = emit();
  memos_.back().derived[parts] = value;
  return value;
}

llvm::Value* TileEmitter::AtLevel(int level, const std::function<llvm::Value*()>& emit) {
  level = std::max(level, tile_level_);
  if (level >= nest_.depth()) return emit();
  const size_t outer = level - tile_level_ + 1;
  std::vector<Memo> inner(std::make_move_iterator(memos_.begin() + outer),
                          std::make_move_iterator(memos_.end()));
  memos_.resize(outer);
  llvm::IRBuilder<>::InsertPointGuard restore(ops_.builder());
  ops_.builder().SetInsertPoint(nest_.Preheader(level + 1)->getTerminator());
  llvm::Value* const value = emit();
  std::move(inner.begin(), inner.end(), std::back_inserter(memos_));
  return value;
}

TileEmitter::Condition TileEmitter::ConditionOf(int guard) {
  struct Part {
    Expr condition;
    bool holds;
    int parent;  // the guard that a load in the condition stands under itself
  };
  std::vector<Part> parts;  // all of which must hold (or not)
  VariableSet variables;
  bool hoists = true;
  for (int id = guard; id != 0; id = guards_[id].parent) {
    const Expr condition = Specialize(guards_[id].condition);
    const bool holds = guards_[id].holds;
    if (const auto known = condition.AsInt()) {
      if ((*known != 0) != holds) return {Condition::kNever};
      continue;
    }
    variables |= InfoOf(condition).variables;
    const bool only_indices = IsIndexCondition(condition);
    hoists &= only_indices;
    parts.push_back({condition, holds, only_indices ? 0 : guards_[id].parent});
  }
  if (parts.empty()) return {};
  Condition result;
  result.kind =
      lanes_.width > 0 && variables[lanes_.variable] ? Condition::kByLane : Condition::kUniform;
  result.level = hoists ? LevelOf(variables) : nest_.depth();
  const int present = guard_;
  result.value = AtLevel(result.level, [&] {
    llvm::Value* all = nullptr;
    for (const auto& [condition, holds, parent] : parts) {
      guard_ = parent;
      llvm::Value* value = Eval(condition);
      if (!holds) value = Derived({value}, [&] { return ops_.builder().CreateNot(value); });
      all = all == nullptr ? value : Derived({all, value}, [&] {
        return ops_.Binary(loop::BinaryOp::kAnd, ElementType::kBool, all, value);
      });
    }
    return all;
  });
  guard_ = present;
  return result;
}

llvm::Value* TileEmitter::ConstantPool(const ExprNode& value, int64_t bytes) {
  llvm::Module& module = *ops_.builder().GetInsertBlock()->getModule();
  llvm::Constant* element = ops_.Constant(value);
  if (value.type == ElementType::kBool) element = ops_.builder().getInt8(value.int_value != 0);
  auto* const type = llvm::ArrayType::get(
      element->getType(), (bytes + ByteSize(value.type) - 1) / ByteSize(value.type));
  llvm::Constant* const elements =
      element->isNullValue() ? llvm::Constant::getNullValue(type)
                             : llvm::ConstantArray::get(type, std::vector<llvm::Constant*>(
                                                                  type->getNumElements(), element));
  for (llvm::GlobalVariable& made : module.globals()) {
    if (made.hasInitializer() && made.getInitializer() == elements) return &made;
  }
  auto* const pool = new llvm::GlobalVariable(module, type, true, llvm::GlobalValue::PrivateLinkage,
                                              elements, "pool");
  pool->setAlignment(llvm::Align(64));
  return pool;
}

llvm::Value* TileEmitter::GuardedPointer(llvm::Value* base, const AddressParts& parts,
                                         const Condition& condition, const ExprNode& otherwise) {
  auto& b = ops_.builder();
  // The condition is asked outside the loops that it does not depend on; in these, the pointer
  // moves on whether it points into the buffer or into the pool, which must hold all it can reach.
  int level = std::max(condition.level, tile_level_);
  LoopNest::Strides early, late;
  AddressParts::Reach reach;
  const int64_t vector_bytes = std::max(1, lanes_.width) * ByteSize(otherwise.type);
  const auto divide = [&] {
    early.clear();
    late.clear();
    reach = {};
    for (const auto& [at, stride] : parts.strides) {
      (at <= level ? early : late).emplace_back(at, stride);
      if (at > level) {
        reach.low += parts.reaches.at(at).low;
        reach.high += parts.reaches.at(at).high;
      }
    }
  };
  divide();
  bool shared = true;  // by the instances
  if (parts.moved != nullptr || reach.high - reach.low + 2 * vector_bytes > kMaxPoolBytes) {
    level = nest_.depth();
    shared = false;
    divide();
  }
  AddressParts::Reach all = reach;
  all.low += parts.instance_reach.low;
  all.high += parts.instance_reach.high;
  if (all.high - all.low + 2 * vector_bytes > kMaxPoolBytes) shared = false;
  if (shared) reach = all;
  const int64_t lane_reach =
      std::abs(parts.lane_stride) * std::max(0, lanes_.width - 1) * ByteSize(otherwise.type);
  reach.low -= parts.lane_stride < 0 ? lane_reach : 0;
  reach.high += parts.lane_stride > 0 ? lane_reach : 0;
  llvm::Value* const pool = ConstantPool(otherwise, reach.high - reach.low + vector_bytes);
  const int64_t constant = parts.fixed + (shared ? 0 : parts.of_instance);
  llvm::Value* const start = nest_.Pointer(base, early);
  const auto choose = [&] {
    llvm::Value* pointer = start;
    if (parts.moved != nullptr) pointer = b.CreatePtrAdd(pointer, parts.moved);
    pointer = b.CreatePtrAdd(pointer, ops_.ConstantInt(constant));
    llvm::Value* const safe = b.CreatePtrAdd(pool, ops_.ConstantInt(-reach.low));
    return b.CreateSelect(condition.value, pointer, safe);
  };
  llvm::Value* const chosen = AtLevel(level, [&]() -> llvm::Value* {
    if (parts.moved != nullptr) return choose();
    return Derived({condition.value, start, pool, ops_.ConstantInt(constant)}, choose);
  });
  llvm::Value* const pointer = nest_.Pointer(chosen, late);
  return shared ? b.CreatePtrAdd(pointer, ops_.ConstantInt(parts.of_instance)) : pointer;
}

}  // namespace kiln
