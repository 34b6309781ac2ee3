// TileEmitter: variables, instances and the tile as a whole.
#include <bit>
#include <unordered_set>

#include "compiler/codegen/tile_emitter.h"
#include "ir/support/strings.h"

namespace kiln {

namespace {

using loop::Expr;
using loop::ExprKind;
using loop::ExprNode;

/// More instances than this in one piece of straight code cost too much to compile.
constexpr int64_t kMaxInstances = 64;
/// A longer run of full vectors becomes a loop.
constexpr int64_t kMaxFullVectors = 8;

/// Calls `visit` on the nodes that compute values, not those that compute indices.
template <typename Visit>
void WalkValues(const Expr& expr, const Visit& visit, std::unordered_set<const ExprNode*>& seen) {
  if (!seen.insert(expr.get()).second) return;
  visit(*expr);
  if (expr->kind == ExprKind::kLoad) return;
  for (const Expr& arg : expr->args) WalkValues(arg, visit, seen);
}

/// The bytes a lane of this node takes; 0 for what says nothing (constants, indices).
int64_t LaneBytes(const ExprNode& node) {
  const bool storage_only = node.type == ElementType::kF16 || node.type == ElementType::kBF16;
  switch (node.kind) {
    case ExprKind::kLoad:
    case ExprKind::kCast:
    case ExprKind::kReduce: return storage_only ? 4 : ByteSize(node.type);
    case ExprKind::kUnary:
    case ExprKind::kBinary:
    case ExprKind::kSelect: return node.type == ElementType::kI64 ? 0 : ByteSize(node.type);
    default: return 0;
  }
}

}  // namespace

TileEmitter::TileEmitter(FunctionContext& function, std::vector<const loop::StmtNode*> loops,
                         const loop::StmtNode& store)
    : ops_(function.ops), nest_(function.nest), function_(function), store_(store) {
  if (!loops.empty() && loops.back()->loop == loop::LoopKind::kVector) {
    vector_ = loops.back();
    loops.pop_back();
  }
  unrolled_ = std::move(loops);
  guards_.push_back({-1, Expr(), true, {}});
}

size_t TileEmitter::KeyHash::operator()(const Key& key) const {
  const auto mix = [](uint64_t value) { return (value ^ (value >> 31)) * 0x9e3779b97f4a7c15; };
  uint64_t hash = mix(reinterpret_cast<uintptr_t>(key.node));
  hash = mix(hash ^ static_cast<uint64_t>(key.code));
  hash = mix(hash ^ static_cast<uint64_t>(key.code >> 64));
  return mix(hash ^ static_cast<uint64_t>(key.guard));
}

void TileEmitter::AddVariable(const loop::Variable* variable, bool may_unroll) {
  if (!ids_.emplace(variable, static_cast<int>(variables_.size())).second) return;
  const int bits = may_unroll ? std::bit_width(static_cast<uint64_t>(variable->extent)) : 0;
  const bool fits = may_unroll && code_bits_ + bits <= 128;
  code_shift_.push_back(fits ? code_bits_ : -1);
  if (fits) code_bits_ += bits;
  const int id = static_cast<int>(variables_.size());
  variables_.push_back(variable);
  bindings_.emplace_back();
  const auto outer = function_.variables.find(variable);
  if (outer != function_.variables.end() && id < kMaxVariables) Bind(id, outer->second);
}

void TileEmitter::Bind(int id, const Binding& binding) {
  bindings_[id] = binding;
  bound_.set(id);
}

Status TileEmitter::NumberVariables() {
  for (const loop::StmtNode* loop : unrolled_) AddVariable(loop->var.get(), true);
  if (vector_ != nullptr) AddVariable(vector_->var.get(), true);
  const auto add = [&](const Expr& expr) {
    for (const loop::Var& var : expr->reduce_vars) AddVariable(var.get(), true);
    if (expr->kind == ExprKind::kVar) AddVariable(expr->var.get(), false);
  };
  for (const Expr& index : store_.indices) loop::Walk(index, add);
  loop::Walk(store_.value, add);
  if (store_.predicate.defined()) loop::Walk(store_.predicate, add);
  if (variables_.size() > kMaxVariables) {
    return Unsupported("an expression over ", variables_.size(), " loops; at most ", kMaxVariables,
                       " are supported");
  }
  return OkStatus();
}

int TileEmitter::NativeLanes(const Expr& value) const {
  std::unordered_set<const ExprNode*> seen;
  int64_t bytes = 1;
  WalkValues(value, [&](const ExprNode& node) { bytes = std::max(bytes, LaneBytes(node)); }, seen);
  return static_cast<int>(ops_.isa().vector_bytes / bytes);
}

Status TileEmitter::Emit() {
  KILN_RETURN_IF_ERROR(NumberVariables());
  if (vector_ == nullptr) {
    EmitInstances(MakeInstances({Lanes{}}));
    return OkStatus();
  }
  const int64_t stored = ByteSize(store_.buffer->element);
  const bool storage_only =
      store_.buffer->element == ElementType::kF16 || store_.buffer->element == ElementType::kBF16;
  const int lanes_stored = static_cast<int>(ops_.isa().vector_bytes / (storage_only ? 4 : stored));
  EmitVectors(std::max(1, std::min(NativeLanes(store_.value), lanes_stored)));
  return OkStatus();
}

void TileEmitter::EmitVectors(int width) {
  const int variable = IdOf(vector_->var.get());
  const int64_t extent = vector_->var->extent;
  const int64_t full = extent / width;
  const auto chunk = [&](Binding base, int64_t active, int64_t lanes) {
    // One lane is scalar code.
    return Lanes{variable, base, lanes == 1 ? 0 : static_cast<int>(lanes),
                 static_cast<int>(active)};
  };
  std::vector<Lanes> chunks;
  int64_t instances = full;
  for (const loop::StmtNode* loop : unrolled_) instances *= loop->var->extent;
  if (full > kMaxFullVectors || (full > 1 && instances > kMaxInstances)) {
    const int level = nest_.Open(full * width, width, false);
    EmitInstances(MakeInstances({chunk({level, 0}, width, width)}));
    nest_.Close();
  } else {
    for (int64_t i = 0; i < full; ++i) chunks.push_back(chunk({0, i * width}, width, width));
  }
  int64_t done = full * width;
  const int64_t rest = extent - done;
  const auto rounded = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(rest)));
  if (rest > 0 && ops_.isa().has_masked_memory) {
    chunks.push_back(chunk({0, done}, rest, rounded));
  } else {
    for (int64_t piece = width / 2; piece > 0; piece /= 2) {
      if ((rest & piece) == 0) continue;
      chunks.push_back(chunk({0, done}, piece, piece));
      done += piece;
    }
  }
  if (!chunks.empty()) EmitInstances(MakeInstances(chunks));
}

std::vector<TileEmitter::Instance> TileEmitter::MakeInstances(
    const std::vector<Lanes>& chunks) const {
  std::vector<Instance> instances = {{}};
  for (const loop::StmtNode* loop : unrolled_) {
    std::vector<Instance> longer;
    for (const Instance& instance : instances) {
      for (int64_t i = 0; i < loop->var->extent; ++i) {
        longer.push_back(instance);
        longer.back().unrolled.push_back(i);
      }
    }
    instances = std::move(longer);
  }
  std::vector<Instance> result;
  for (const Instance& instance : instances) {
    for (const Lanes& lanes : chunks) result.push_back({instance.unrolled, lanes});
  }
  return result;
}

void TileEmitter::Enter(const Instance& instance) {
  present_ = instance;
  for (size_t i = 0; i < unrolled_.size(); ++i) {
    Bind(IdOf(unrolled_[i]->var.get()), {0, instance.unrolled[i]});
  }
  lanes_ = instance.lanes;
  if (lanes_.variable >= 0) Bind(lanes_.variable, lanes_.base);
}

bool TileEmitter::VariesInTile(const Expr& expr) {
  const VariableSet& variables = InfoOf(expr).variables;
  if (vector_ != nullptr && variables[IdOf(vector_->var.get())]) return true;
  for (const loop::StmtNode* loop : unrolled_) {
    if (variables[IdOf(loop->var.get())]) return true;
  }
  return false;
}

void TileEmitter::EmitInstances(std::vector<Instance> instances) {
  instances_ = std::move(instances);
  memos_.emplace_back();
  tile_level_ = nest_.depth();
  Enter(instances_[0]);
  const Expr& predicate = store_.predicate;
  if (!predicate.defined()) {
    StoreInstances();
  } else if (VariesInTile(predicate)) {
    guard_ = MakeGuard(predicate, true);
    StoreInstances();
    guard_ = 0;
  } else {
    Under(Eval(predicate), [this] { StoreInstances(); });
  }
  memos_.pop_back();
}

void TileEmitter::StoreInstances() {
  const std::vector<Instance> instances = instances_;
  for (const Instance& instance : instances) {
    Enter(instance);
    llvm::Value* const value = Eval(store_.value);
    StoreValue(value, ConditionOf(guard_));
  }
}

}  // namespace kiln
