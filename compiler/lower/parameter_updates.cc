#include "compiler/lower/parameter_updates.h"

#include <algorithm>
#include <limits>

#include "ir/graph/op_def.h"
#include "ir/graph/relayout.h"

namespace kiln {

namespace {

constexpr size_t kAtTheEnd = std::numeric_limits<size_t>::max();

/// The one store of `stmt` when it is a nest of loops around one; nullptr otherwise.
const loop::StmtNode* OnlyStore(const loop::Stmt& stmt) {
  const loop::StmtNode* node = stmt.get();
  while (node->kind == loop::StmtKind::kFor ||
         (node->kind == loop::StmtKind::kBlock && node->body.size() == 1)) {
    node = node->body[0].get();
  }
  return node->kind == loop::StmtKind::kStore ? node : nullptr;
}

/// Whether every element that `store` computes reads of `buffer` its own place only.
bool ReadsOwnPlaceOnly(const loop::StmtNode& store, const loop::Buffer& buffer) {
  if (buffer->shape != store.buffer->shape || buffer->element != store.buffer->element) {
    return false;
  }
  bool own = true;
  loop::Walk(store.value, [&](const loop::Expr& expr) {
    if (expr->kind != loop::ExprKind::kLoad || expr->buffer != buffer) return;
    own = own && std::equal(expr->args.begin(), expr->args.end(), store.indices.begin(),
                            store.indices.end(), loop::Equal);
  });
  return own;
}

}  // namespace

Op* ViewRoot(Op* op) {
  while (IsSameBytes(*op)) op = op->operand(0);
  return op;
}

ParameterUpdates::ParameterUpdates(const Graph& graph, const Locations& locations)
    : locations_(locations) {
  for (const Graph::Output& output : graph.outputs()) {
    if (!output.update) continue;
    updated_.insert(output.name);
    updates_by_[ViewRoot(output.value)].push_back(output.name);
  }
  if (updated_.empty()) return;
  size_t position = 0;
  for (const auto& op : graph.ops()) {
    position_[op.get()] = position++;
    // Some are not there when the function runs.
    if (IsSameBytes(*op) || (op->Is("slice") && locations.IsPart(op.get()))) continue;
    for (Op* const operand : op->operands()) {
      const Op* const root = MemoryOf(operand);
      if (root->Is("parameter")) last_read_[root->String("name")] = position_[op.get()];
    }
  }
  for (const Graph::Output& output : graph.outputs()) {
    const Op* const root = ViewRoot(output.value);
    if (root->Is("parameter")) last_read_[root->String("name")] = kAtTheEnd;
  }
}

const std::string* ParameterUpdates::InPlace(Op& op, const BuiltKernel& built) const {
  const auto updates = updates_by_.find(&op);
  if (updates == updates_by_.end()) return nullptr;
  const size_t here = position_.at(&op);
  for (const std::string& parameter : updates->second) {
    const auto last = last_read_.find(parameter);
    if (last == last_read_.end() || last->second < here) return &parameter;
    if (last->second > here) continue;
    const loop::StmtNode* const store = OnlyStore(built.kernel.body);
    bool own = store != nullptr;
    for (size_t i = 0; own && i < built.inputs.size(); ++i) {
      const Op* const root = ViewRoot(built.inputs[i]);
      if (!root->Is("parameter") || root->String("name") != parameter) continue;
      own = ReadsOwnPlaceOnly(*store, built.kernel.inputs[i]);
    }
    if (own) return &parameter;
  }
  return nullptr;
}

Status ParameterUpdates::CheckSource(const Graph::Output& update) const {
  const Op* const root = ViewRoot(update.value);
  if (!root->Is("parameter")) return OkStatus();
  const std::string& source = root->String("name");
  if (source == update.name || !updated_.contains(source)) return OkStatus();
  return Unsupported("parameter '", update.name, "' becomes the old value of '", source,
                     "', which is updated too");
}

}  // namespace kiln
