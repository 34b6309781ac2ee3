// TileEmitter: evaluation of expressions for the present instance.
#include "compiler/codegen/tile_emitter.h"

namespace kiln {

using loop::Expr;
using loop::ExprKind;
using loop::ExprNode;

const TileEmitter::Info& TileEmitter::InfoOf(const Expr& expr) {
  if (const auto found = infos_.find(expr.get()); found != infos_.end()) return found->second;
  Info info;
  info.expr = expr;
  if (expr->kind == ExprKind::kVar) info.variables.set(IdOf(expr->var.get()));
  for (const Expr& arg : expr->args) {
    const Info& part = InfoOf(arg);
    info.variables |= part.variables;
    info.may_fault |= part.may_fault;
    info.reduces |= part.reduces;
  }
  info.reduces |= expr->kind == ExprKind::kReduce;
  for (const loop::Var& var : expr->reduce_vars) info.variables.reset(IdOf(var.get()));
  if (expr->kind == ExprKind::kLoad) info.may_fault |= !IsInBounds(*expr);
  return infos_.emplace(expr.get(), info).first->second;
}

TileEmitter::Key TileEmitter::KeyOf(const Expr& expr) {
  const Info& info = InfoOf(expr);
  VariableSet variables = info.variables;
  Key key{expr.get(), 0, 0};
  if (info.may_fault && guard_ != 0) {
    key.guard = guard_;
    variables |= guards_[guard_].variables;
  }
  for (size_t id = 0; id < variables_.size(); ++id) {
    if (variables[id] && code_shift_[id] >= 0) {
      key.code |= static_cast<Code>(bindings_[id].offset) << code_shift_[id];
    }
  }
  return key;
}

llvm::Value* TileEmitter::Remembered(const Key& key) const {
  for (auto memo = memos_.rbegin(); memo != memos_.rend(); ++memo) {
    if (const auto found = memo->values.find(key); found != memo->values.end())
      return found->second;
  }
  return nullptr;
}

bool TileEmitter::VariesInLanes(const Expr& expr) {
  return lanes_.width > 0 && InfoOf(expr).variables[lanes_.variable];
}

llvm::Value* TileEmitter::Eval(const Expr& expr) {
  if (expr->kind == ExprKind::kConst) return ops_.Constant(*expr);
  const Key key = KeyOf(expr);
  if (llvm::Value* const value = Remembered(key)) return value;
  llvm::Value* const value = EvalNode(expr);
  memos_.back().values[key] = value;
  return value;
}

llvm::Value* TileEmitter::EvalNode(const Expr& expr) {
  const ExprNode& node = *expr;
  switch (node.kind) {
    case ExprKind::kConst: return ops_.Constant(node);
    case ExprKind::kVar: return EvalVariable(node.var.get());
    case ExprKind::kUnary: return ops_.Unary(node.unary, node.args[0].type(), Eval(node.args[0]));
    case ExprKind::kBinary: {
      llvm::Value* const a = Eval(node.args[0]);
      llvm::Value* const b = Eval(node.args[1]);
      return ops_.Binary(node.binary, node.args[0].type(), a, b);
    }
    case ExprKind::kSelect: return EvalSelect(node);
    case ExprKind::kCast: return ops_.Cast(node.args[0].type(), node.type, Eval(node.args[0]));
    case ExprKind::kLoad: return EvalLoad(node);
    case ExprKind::kReduce: return EvalReduce(expr);
  }
  return nullptr;
}

llvm::Value* TileEmitter::BindingValue(const Binding& binding) {
  llvm::Constant* const offset = ops_.ConstantInt(binding.offset);
  if (binding.level == 0) return offset;
  llvm::Value* const counter = nest_.Counter(binding.level);
  return binding.offset == 0 ? counter : ops_.builder().CreateNSWAdd(counter, offset);
}

llvm::Value* TileEmitter::EvalVariable(const loop::Variable* variable) {
  const int id = IdOf(variable);
  llvm::Value* const base = BindingValue(bindings_[id]);
  if (lanes_.width == 0 || lanes_.variable != id) return base;
  llvm::SmallVector<llvm::Constant*, 64> lanes;
  for (int lane = 0; lane < lanes_.width; ++lane) lanes.push_back(ops_.ConstantInt(lane));
  return ops_.builder().CreateNSWAdd(ops_.Splat(base, lanes_.width),
                                     llvm::ConstantVector::get(lanes));
}

bool TileEmitter::HasConstants(const VariableSet& variables) const {
  for (size_t id = 0; id < variables_.size(); ++id) {
    const bool is_lanes = lanes_.width > 0 && lanes_.variable == static_cast<int>(id);
    if (variables[id] && bindings_[id].level == 0 && !is_lanes) return true;
  }
  return false;
}

Expr TileEmitter::Specialize(const Expr& expr) {
  const VariableSet& variables = InfoOf(expr).variables;
  if (!HasConstants(variables)) return expr;
  std::map<const loop::Variable*, Expr> values;
  for (size_t id = 0; id < variables_.size(); ++id) {
    const bool is_lanes = lanes_.width > 0 && lanes_.variable == static_cast<int>(id);
    if (variables[id] && bindings_[id].level == 0 && !is_lanes) {
      values.emplace(variables_[id], bindings_[id].offset);
    }
  }
  const Expr special = loop::Simplify(loop::Substitute(expr, values));
  for (const Expr& known : specialized_) {
    if (loop::Equal(known, special)) return known;
  }
  specialized_.push_back(special);
  return special;
}

llvm::Value* TileEmitter::EvalCondition(const Expr& condition) {
  const Key key = KeyOf(condition);
  if (llvm::Value* const value = Remembered(key)) return value;
  // A specialised reduction would be another than the one that the value shares with the condition.
  llvm::Value* const value = Eval(InfoOf(condition).reduces ? condition : Specialize(condition));
  memos_.back().values[key] = value;
  return value;
}

llvm::Value* TileEmitter::EvalUnder(const Expr& condition, bool holds, const Expr& expr) {
  // What is in bounds follows from indices, never from a reduction.
  if (!InfoOf(expr).may_fault || InfoOf(condition).reduces) return Eval(expr);
  const int inner = MakeGuard(condition, holds);
  const int outer = std::exchange(guard_, inner);
  llvm::Value* const value = Eval(expr);
  guard_ = outer;
  return value;
}

llvm::Value* TileEmitter::EvalSelect(const ExprNode& node) {
  llvm::Value* const condition = EvalCondition(node.args[0]);
  if (const auto* known = llvm::dyn_cast<llvm::ConstantInt>(condition)) {
    return Eval(node.args[known->isZero() ? 2 : 1]);
  }
  const ExprNode& load = *node.args[1];
  if (load.kind == ExprKind::kLoad && node.args[2]->kind == ExprKind::kConst &&
      LanesOf(condition) == 0 && InfoOf(node.args[1]).may_fault && !InfoOf(node.args[0]).reduces) {
    const int outer = std::exchange(guard_, MakeGuard(node.args[0], true));
    llvm::Value* const value = EvalLoadOr(load, node.args[2].get());
    // Where an outer condition differs between lanes, what the load gives when this one fails is
    // anything.
    const bool by_lane = ConditionOf(guard_).kind == Condition::kByLane;
    guard_ = outer;
    return by_lane ? ops_.Select(condition, value, ops_.Constant(*node.args[2])) : value;
  }
  llvm::Value* const if_true = EvalUnder(node.args[0], true, node.args[1]);
  llvm::Value* const if_false = EvalUnder(node.args[0], false, node.args[2]);
  return ops_.Select(condition, if_true, if_false);
}

}  // namespace kiln
