#include "compiler/lower/parameter_updates.h"

#include <limits>

#include "ir/graph/op_def.h"
#include "ir/graph/relayout.h"

namespace kiln {

namespace {

constexpr size_t kAtTheEnd = std::numeric_limits<size_t>::max();

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

const std::string* ParameterUpdates::InPlace(
    Op& op, const std::vector<Op*>& inputs,
    const std::function<bool(size_t input)>& may_write_over) const {
  const auto updates = updates_by_.find(&op);
  if (updates == updates_by_.end()) return nullptr;
  const size_t here = position_.at(&op);
  for (const std::string& parameter : updates->second) {
    const auto last = last_read_.find(parameter);
    if (last == last_read_.end() || last->second < here) return &parameter;
    if (last->second > here) continue;
    bool own = true;
    for (size_t i = 0; own && i < inputs.size(); ++i) {
      const Op* const root = ViewRoot(inputs[i]);
      if (!root->Is("parameter") || root->String("name") != parameter) continue;
      own = may_write_over(i);
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
