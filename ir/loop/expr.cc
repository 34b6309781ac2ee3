#include "ir/loop/expr.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <unordered_map>
#include <unordered_set>

#include "ir/loop/fold.h"
#include "ir/loop/scalar.h"

namespace kiln::loop {

namespace {

Expr MakeNode(ExprNode node) { return Expr(std::make_shared<const ExprNode>(std::move(node))); }

/// The node over these operands; a list in braces would copy each of them.
template <typename... Args>
Expr MakeNode(ExprNode node, Args&&... args) {
  node.args.reserve(sizeof...(args));
  (node.args.push_back(std::forward<Args>(args)), ...);
  return MakeNode(std::move(node));
}

/// The same kind of node over other operands; goes through the folding constructors.
Expr WithArgs(const Expr& expr, std::vector<Expr> args) {
  const ExprNode& node = *expr;
  switch (node.kind) {
    case ExprKind::kConst:
    case ExprKind::kVar: return expr;
    case ExprKind::kUnary: return Unary(node.unary, args[0]);
    case ExprKind::kBinary: return Binary(node.binary, args[0], args[1]);
    case ExprKind::kSelect: return Select(args[0], args[1], args[2]);
    case ExprKind::kCast: return Cast(node.type, args[0]);
    case ExprKind::kLoad: return Load(node.buffer, std::move(args));
    case ExprKind::kReduce: return Reduce(node.reduce, node.reduce_vars, args[0]);
  }
  return expr;
}

/// `expr` with `rewrite` applied to its operands; `expr` itself when none changed.
template <typename Rewrite>
Expr MapArgs(const Expr& expr, const Rewrite& rewrite) {
  const std::vector<Expr>& old = expr->args;
  for (size_t i = 0; i < old.size(); ++i) {
    Expr arg = rewrite(old[i]);
    if (arg.get() == old[i].get()) continue;
    std::vector<Expr> args;
    args.reserve(old.size());
    args.insert(args.end(), old.begin(), old.begin() + static_cast<std::ptrdiff_t>(i));
    args.push_back(std::move(arg));
    while (args.size() < old.size()) args.push_back(rewrite(old[args.size()]));
    return WithArgs(expr, std::move(args));
  }
  return expr;
}

using Memo = std::unordered_map<const ExprNode*, Expr>;

Expr SubstituteMemo(const Expr& expr, const std::map<const Variable*, Expr>& values, Memo& memo) {
  if (expr->kind == ExprKind::kConst) return expr;
  if (expr->kind == ExprKind::kVar) {
    const auto found = values.find(expr->var.get());
    return found == values.end() ? expr : found->second;
  }
  const bool shared = expr.shared();
  if (shared) {
    if (const auto found = memo.find(expr.get()); found != memo.end()) return found->second;
  }
  const bool shadows = std::any_of(expr->reduce_vars.begin(), expr->reduce_vars.end(),
                                   [&](const Var& var) { return values.count(var.get()) != 0; });
  Expr result;
  if (shadows) {
    std::map<const Variable*, Expr> visible = values;
    for (const Var& var : expr->reduce_vars) visible.erase(var.get());
    result = MapArgs(expr, [&](const Expr& arg) { return Substitute(arg, visible); });
  } else {
    result = MapArgs(expr, [&](const Expr& arg) { return SubstituteMemo(arg, values, memo); });
  }
  if (shared) memo.emplace(expr.get(), result);
  return result;
}

Expr TransformMemo(const Expr& expr, const std::function<Expr(const Expr&)>& rewrite, Memo& memo) {
  if (expr->kind == ExprKind::kConst || expr->kind == ExprKind::kVar) return rewrite(expr);
  const bool shared = expr.shared();
  if (shared) {
    if (const auto found = memo.find(expr.get()); found != memo.end()) return found->second;
  }
  const Expr rebuilt =
      MapArgs(expr, [&](const Expr& arg) { return TransformMemo(arg, rewrite, memo); });
  Expr result = rewrite(rebuilt);
  if (shared) memo.emplace(expr.get(), result);
  return result;
}

void WalkOnce(const Expr& expr, const std::function<void(const Expr&)>& visit,
              std::unordered_set<const ExprNode*>& seen) {
  visit(expr);
  for (const Expr& arg : expr->args) {
    if (arg->args.empty() || !arg.shared() || seen.insert(arg.get()).second) {
      WalkOnce(arg, visit, seen);
    }
  }
}

bool UsesOnce(const Expr& expr, const Variable* var, std::unordered_set<const ExprNode*>& seen) {
  if (expr->kind == ExprKind::kVar) return expr->var.get() == var;
  if (expr->args.empty() || (expr.shared() && !seen.insert(expr.get()).second)) return false;
  return std::any_of(expr->args.begin(), expr->args.end(),
                     [&](const Expr& arg) { return UsesOnce(arg, var, seen); });
}

}  // namespace

Var MakeVar(std::string name, int64_t extent) {
  return std::make_shared<const Variable>(Variable{std::move(name), extent});
}

Buffer MakeBuffer(std::string name, ElementType element, Shape shape) {
  return std::make_shared<const BufferDecl>(BufferDecl{std::move(name), element, std::move(shape)});
}

Expr::Expr(int64_t value) : Expr(ConstInt(ElementType::kI64, value)) {}

namespace {

/// The small numbers that index arithmetic is full of, each made once a thread: threads that shared
/// them would wait for one another's reference counts.
Expr SmallInt(int64_t value) {
  constexpr int64_t kCount = 65;
  static thread_local std::array<Expr, kCount> numbers;
  if (value < 0 || value >= kCount) return Expr();
  Expr& number = numbers[static_cast<size_t>(value)];
  if (!number.defined()) {
    number = MakeNode({.kind = ExprKind::kConst, .type = ElementType::kI64, .int_value = value});
  }
  return number;
}

}  // namespace

Expr::Expr(const Var& var)
    : Expr(MakeNode({.kind = ExprKind::kVar, .type = ElementType::kI64, .var = var})) {}

Expr Const(ElementType type, double value) {
  if (!IsFloat(type)) return ConstInt(type, SaturatingInt(type, value));
  if (type == ElementType::kF32) value = static_cast<float>(value);
  return MakeNode({.kind = ExprKind::kConst, .type = type, .float_value = value});
}

Expr ConstInt(ElementType type, int64_t value) {
  if (IsFloat(type)) return Const(type, static_cast<double>(value));
  if (type == ElementType::kI64) {
    if (Expr small = SmallInt(value); small.defined()) return small;
  }
  return MakeNode({.kind = ExprKind::kConst, .type = type, .int_value = WrapTo(type, value)});
}

Expr Bool(bool value) { return ConstInt(ElementType::kBool, value); }

Expr Unary(UnaryOp op, Expr a) {
  const bool to_bool = op == UnaryOp::kIsNan || op == UnaryOp::kIsInf || op == UnaryOp::kNot;
  if (auto value = FoldUnary(op, a)) return *value;
  const ElementType type = to_bool ? ElementType::kBool : a.type();
  return MakeNode({.kind = ExprKind::kUnary, .type = type, .unary = op}, std::move(a));
}

Expr Binary(BinaryOp op, Expr a, Expr b) {
  if (auto value = FoldBinary(op, a, b)) return *value;
  const ElementType type = IsComparison(op) ? ElementType::kBool : a.type();
  return MakeNode({.kind = ExprKind::kBinary, .type = type, .binary = op}, std::move(a),
                  std::move(b));
}

Expr Select(Expr condition, Expr if_true, Expr if_false) {
  if (const auto value = condition.AsInt()) return *value ? if_true : if_false;
  if (if_true.get() == if_false.get()) return if_true;
  const ElementType type = if_true.type();
  return MakeNode({.kind = ExprKind::kSelect, .type = type}, std::move(condition),
                  std::move(if_true), std::move(if_false));
}

Expr Cast(ElementType to, Expr a) {
  if (to == a.type()) return a;
  if (auto value = FoldCast(to, a)) return *value;
  return MakeNode({.kind = ExprKind::kCast, .type = to}, std::move(a));
}

Expr Load(const Buffer& buffer, std::vector<Expr> indices) {
  return MakeNode({.kind = ExprKind::kLoad,
                   .type = buffer->element,
                   .buffer = buffer,
                   .args = std::move(indices)});
}

Expr Reduce(ReduceOp op, std::vector<Var> vars, Expr body) {
  if (vars.empty()) return body;
  const ElementType type = body.type();
  return MakeNode(
      {.kind = ExprKind::kReduce, .type = type, .reduce = op, .reduce_vars = std::move(vars)},
      std::move(body));
}

Expr NeutralElement(ReduceOp op, ElementType type) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  switch (op) {
    case ReduceOp::kSum: return ConstInt(type, 0);
    case ReduceOp::kProd: return ConstInt(type, 1);
    case ReduceOp::kMin: return Const(type, kInf);
    case ReduceOp::kMax: return type == ElementType::kBool ? Bool(false) : Const(type, -kInf);
  }
  return ConstInt(type, 0);
}

Expr Substitute(const Expr& expr, const std::map<const Variable*, Expr>& values) {
  Memo memo;
  return SubstituteMemo(expr, values, memo);
}

void Walk(const Expr& expr, const std::function<void(const Expr&)>& visit) {
  std::unordered_set<const ExprNode*> seen;
  WalkOnce(expr, visit, seen);
}

Expr Transform(const Expr& expr, const std::function<Expr(const Expr&)>& rewrite) {
  Memo memo;
  return TransformMemo(expr, rewrite, memo);
}

bool Equal(const Expr& a, const Expr& b) {
  if (a.get() == b.get()) return true;
  if (a->kind != b->kind || a->type != b->type || a->unary != b->unary || a->binary != b->binary ||
      a->reduce != b->reduce || a->int_value != b->int_value ||
      std::bit_cast<int64_t>(a->float_value) != std::bit_cast<int64_t>(b->float_value) ||
      a->var != b->var || a->buffer != b->buffer || a->reduce_vars != b->reduce_vars) {
    return false;
  }
  return std::equal(a->args.begin(), a->args.end(), b->args.begin(), b->args.end(), Equal);
}

bool Uses(const Expr& expr, const Variable* var) {
  std::unordered_set<const ExprNode*> seen;
  return UsesOnce(expr, var, seen);
}

}  // namespace kiln::loop
