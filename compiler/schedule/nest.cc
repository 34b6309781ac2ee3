#include "compiler/schedule/nest.h"

#include <algorithm>
#include <functional>
#include <set>

#include "compiler/schedule/access.h"
#include "ir/loop/affine.h"

namespace kiln {

using loop::BinaryOp;
using loop::Expr;
using loop::ExprKind;
using loop::StmtKind;
using loop::Var;
using loop::Variable;
using Substitution = std::map<const Variable*, Expr>;

namespace {

Nest MapNest(const Nest& nest, const std::function<Expr(const Expr&)>& rewrite) {
  Nest result = nest;
  for (Expr& index : result.indices) index = rewrite(index);
  result.value = rewrite(result.value);
  if (result.predicate.defined()) result.predicate = rewrite(result.predicate);
  return result;
}

void VisitExprs(const Nest& nest, const std::function<void(const Expr&)>& visit) {
  for (const Expr& index : nest.indices) loop::Walk(index, visit);
  loop::Walk(nest.value, visit);
  if (nest.predicate.defined()) loop::Walk(nest.predicate, visit);
}

/// Replaces one variable of every reduction that binds it by `replacement` in its list of variables
/// and by `value` in its body.
Nest ReplaceReduceVar(const Nest& nest, const Var& var, const std::vector<Var>& replacement,
                      const Expr& value) {
  return MapNest(nest, [&](const Expr& expr) {
    return loop::Transform(expr, [&](const Expr& node) {
      if (node->kind != ExprKind::kReduce) return node;
      std::vector<Var> vars = node->reduce_vars;
      const auto it = std::find(vars.begin(), vars.end(), var);
      if (it == vars.end()) return node;
      vars.insert(vars.erase(it), replacement.begin(), replacement.end());
      const Expr body = loop::Simplify(loop::Substitute(node->args[0], {{var.get(), value}}));
      return vars.empty() ? body : loop::Reduce(node->reduce, vars, body);
    });
  });
}

std::vector<Var> ReduceVars(const Nest& nest) {
  std::vector<Var> vars;
  VisitExprs(nest, [&](const Expr& node) {
    if (node->kind != ExprKind::kReduce) return;
    for (const Var& var : node->reduce_vars) {
      if (std::find(vars.begin(), vars.end(), var) == vars.end()) vars.push_back(var);
    }
  });
  return vars;
}

/// The smallest block size that `var` is divided by (as x / B or x % B with var in x); 0 for none.
int64_t BlockOf(const Nest& nest, const Variable* var) {
  int64_t block = 0;
  VisitExprs(nest, [&](const Expr& node) {
    if (node->kind != ExprKind::kBinary) return;
    if (node->binary != BinaryOp::kFloorDiv && node->binary != BinaryOp::kFloorMod) return;
    const auto divisor = node->args[1].AsInt();
    if (!divisor || *divisor <= 1) return;
    const Linear form = LinearForm(node->args[0]);
    if (form.Coefficient(var) != 1 || form.constant % *divisor != 0) return;
    if (block == 0 || *divisor < block) block = *divisor;
  });
  return block;
}

Nest SplitReduceVars(Nest nest) {
  for (const Var& var : ReduceVars(nest)) {
    const int64_t block = BlockOf(nest, var.get());
    if (block == 0 || var->extent % block != 0) continue;
    const Var outer = loop::MakeVar(var->name + "o", var->extent / block);
    const Var inner = loop::MakeVar(var->name + "i", block);
    nest = ReplaceReduceVar(nest, var, {outer, inner}, Expr(outer) * block + Expr(inner));
  }
  return nest;
}

/// True when a and b (a outside) occur in addresses only, and every address moves by b's extent
/// times as much for a as for b.
class CollapseChecker {
 public:
  explicit CollapseChecker(const Nest& nest) {
    forms_.push_back(AddressForm(nest.buffer, nest.indices));
    Scan(nest.value);
    if (nest.predicate.defined()) Scan(nest.predicate);
  }

  bool CanCollapse(const Var& a, const Var& b) const {
    if (elsewhere_.contains(a.get()) || elsewhere_.contains(b.get())) return false;
    return std::all_of(forms_.begin(), forms_.end(), [&](const Linear& form) {
      return !form.irregular.contains(a.get()) && !form.irregular.contains(b.get()) &&
             form.Coefficient(a.get()) == b->extent * form.Coefficient(b.get());
    });
  }

 private:
  void Scan(const Expr& expr) {
    if (expr->kind == ExprKind::kLoad) {
      forms_.push_back(AddressForm(expr->buffer, expr->args));
      return;  // a load inside an index makes its variables irregular there
    }
    if (expr->kind == ExprKind::kVar) elsewhere_.insert(expr->var.get());
    for (const Expr& arg : expr->args) Scan(arg);
  }

  std::vector<Linear> forms_;
  std::set<const Variable*> elsewhere_;
};

}  // namespace

bool Nest::Empty() const {
  return std::any_of(loops.begin(), loops.end(), [](const Var& var) { return var->extent == 0; });
}

loop::Stmt Nest::ToStmt() const {
  loop::Stmt stmt = StoreStmt();
  for (size_t i = loops.size(); i-- > 0;) stmt = loop::For(loops[i], stmt);
  return stmt;
}

std::optional<Nest> MatchNest(const loop::Stmt& stmt) {
  Nest nest;
  loop::Stmt at = stmt;
  while (at->kind == StmtKind::kFor) {
    nest.loops.push_back(at->var);
    at = at->body[0];
  }
  if (at->kind != StmtKind::kStore) return std::nullopt;
  nest.buffer = at->buffer;
  nest.indices = at->indices;
  nest.value = at->value;
  nest.predicate = at->predicate;
  return nest;
}

Nest SubstituteVars(const Nest& nest, const Substitution& values) {
  return MapNest(nest,
                 [&](const Expr& expr) { return loop::Simplify(loop::Substitute(expr, values)); });
}

Nest DropUnitLoops(const Nest& nest) {
  Nest result = nest;
  Substitution zeros;
  std::erase_if(result.loops, [&](const Var& var) {
    if (var->extent != 1) return false;
    zeros[var.get()] = Expr(0);
    return true;
  });
  if (!zeros.empty()) result = SubstituteVars(result, zeros);
  for (const Var& var : ReduceVars(result)) {
    if (var->extent == 1) result = ReplaceReduceVar(result, var, {}, Expr(0));
  }
  return result;
}

std::vector<Nest> SplitBlockedLoops(const Nest& original) {
  const Nest nest = SplitReduceVars(original);
  for (size_t i = 0; i < nest.loops.size(); ++i) {
    const Var var = nest.loops[i];
    const int64_t block = BlockOf(nest, var.get());
    if (block == 0 || block >= var->extent) continue;
    const int64_t whole = var->extent / block;
    const int64_t rest = var->extent % block;
    const Var outer = loop::MakeVar(var->name + "o", whole);
    const Var inner = loop::MakeVar(var->name + "i", block);
    Nest main = nest;
    main.loops.erase(main.loops.begin() + static_cast<std::ptrdiff_t>(i));
    main.loops.insert(main.loops.begin() + static_cast<std::ptrdiff_t>(i), {outer, inner});
    main = SubstituteVars(main, {{var.get(), Expr(outer) * block + Expr(inner)}});
    std::vector<Nest> nests = SplitBlockedLoops(main);
    if (rest != 0) {
      const Var edge = loop::MakeVar(var->name + "e", rest);
      Nest edge_nest = nest;
      edge_nest.loops[i] = edge;
      edge_nest = SubstituteVars(edge_nest, {{var.get(), Expr(edge) + whole * block}});
      for (Nest& part : SplitBlockedLoops(edge_nest)) nests.push_back(std::move(part));
    }
    return nests;
  }
  return {nest};
}

Nest CollapseLoops(const Nest& original) {
  Nest nest = original;
  for (size_t i = 0; i + 1 < nest.loops.size();) {
    const Var a = nest.loops[i];
    const Var b = nest.loops[i + 1];
    if (!CollapseChecker(nest).CanCollapse(a, b)) {
      ++i;
      continue;
    }
    const Var joined = loop::MakeVar(a->name + b->name, a->extent * b->extent);
    nest.loops.erase(nest.loops.begin() + static_cast<std::ptrdiff_t>(i));
    nest.loops[i] = joined;
    nest = SubstituteVars(nest, {{a.get(), Expr(0)}, {b.get(), joined}});
  }
  const Expr reduce = FindReduce(nest.value);
  if (!reduce.defined()) return nest;
  std::vector<Var> vars = reduce->reduce_vars;
  for (size_t i = 0; i + 1 < vars.size();) {
    const Var a = vars[i];
    const Var b = vars[i + 1];
    if (!CollapseChecker(nest).CanCollapse(a, b)) {
      ++i;
      continue;
    }
    const Var joined = loop::MakeVar(a->name + b->name, a->extent * b->extent);
    nest = ReplaceReduceVar(nest, a, {}, Expr(0));
    nest = ReplaceReduceVar(nest, b, {joined}, joined);
    vars.erase(vars.begin() + static_cast<std::ptrdiff_t>(i));
    vars[i] = joined;
  }
  return nest;
}

Expr FindReduce(const Expr& expr) {
  Expr found;
  bool several = false;
  loop::Walk(expr, [&](const Expr& node) {
    if (node->kind != ExprKind::kReduce) return;
    several = several || (found.defined() && found.get() != node.get());
    found = node;
  });
  return several ? Expr() : found;
}

}  // namespace kiln
