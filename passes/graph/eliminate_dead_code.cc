// eliminate-dead-code: erases ops that no output depends on (inputs stay: they are the signature)
// and parameters that no op reads and no function updates; frozen parameters of equal type and
// bytes become one.
//
// Trainable parameters are merged only when parameters are frozen: equal at the start, they part
// with the first step.
#include <algorithm>
#include <map>
#include <set>
#include <span>
#include <vector>

#include "passes/graph/graph_passes.h"
#include "passes/rewrite.h"

namespace kiln {

namespace {

constexpr char kName[] = "eliminate-dead-code";
constexpr char kMergeRule[] = "merge-parameters";

bool IsDead(const Op& op) {
  return op.users().empty() && !op.Is("input") && !op.graph()->IsOutput(&op);
}

bool EraseDeadOps(Graph& graph, PassContext& context) {
  bool changed = false;
  const std::vector<Op*> ops = graph.Snapshot();
  for (auto it = ops.rbegin(); it != ops.rend(); ++it) {
    if (!IsDead(**it) || !context.Allow(kName, **it)) continue;
    context.Fired(kName, **it, StrCat(Describe(**it), " is not used"));
    graph.Erase(*it);
    changed = true;
  }
  return changed;
}

// Every read of a parameter in the module, fusion bodies included.
std::vector<Op*> ParameterReads(const Module& module) {
  std::vector<Op*> reads;
  std::vector<Graph*> graphs;
  for (const auto& function : module.functions()) graphs.push_back(function.get());
  while (!graphs.empty()) {
    const Graph* const graph = graphs.back();
    graphs.pop_back();
    for (const auto& op : graph->ops()) {
      if (op->Is("parameter")) reads.push_back(op.get());
      if (op->body() != nullptr) graphs.push_back(op->body());
    }
  }
  return reads;
}

// What tells most parameters of one type apart without reading all their bytes.
std::string Beginning(const Tensor& value) {
  constexpr size_t kRead = 4096;
  const std::string type = value.type().ToString();
  if (!value.known()) return StrCat(type, " unknown ", value.hash());
  const std::span<const char> bytes = value.bytes();
  return StrCat(type, " ", ContentHash(bytes.first(std::min(bytes.size(), kRead))));
}

// For each parameter that equals one of an earlier name: that name.
std::map<std::string, std::string> EqualParameters(const Module& module) {
  std::map<std::string, std::vector<const Parameter*>> alike;  // by type and beginning
  for (const auto& [name, parameter] : module.parameters()) {
    alike[Beginning(parameter.value)].push_back(&parameter);
  }
  std::map<std::string, std::string> merged;
  for (const auto& [beginning, parameters] : alike) {
    if (parameters.size() == 1) continue;
    std::map<std::string, std::string> first;  // by hash
    for (const Parameter* const parameter : parameters) {
      const auto [it, inserted] = first.try_emplace(parameter->value.hash(), parameter->name);
      if (!inserted) merged.emplace(parameter->name, it->second);
    }
  }
  return merged;
}

StatusOr<bool> MergeParameters(Module& module, PassContext& context) {
  bool changed = false;
  const std::map<std::string, std::string> merged = EqualParameters(module);
  for (Op* const read : ParameterReads(module)) {
    const auto it = merged.find(read->String("name"));
    if (it == merged.end() || !context.Allow(kMergeRule, *read)) continue;
    Builder builder(read->graph(), read);
    builder.SetNameHint(read->name());
    KILN_ASSIGN_OR_RETURN(Op* const other, builder.Parameter(it->second));
    context.Fired(kMergeRule, *read,
                  StrCat("parameter '", it->first, "' has the bytes of '", it->second, "'"));
    read->graph()->ReplaceAllUses(read, other);
    read->graph()->Erase(read);
    changed = true;
  }
  return changed;
}

bool EraseUnreadParameters(Module& module, PassContext& context) {
  std::set<std::string> read;
  for (const Op* const op : ParameterReads(module)) read.insert(op->String("name"));
  for (const auto& function : module.functions()) {
    for (const Graph::Output& output : function->outputs()) {
      if (output.update) read.insert(output.name);
    }
  }
  std::vector<std::string> unread;
  for (const auto& [name, parameter] : module.parameters()) {
    if (!read.contains(name)) unread.push_back(name);
  }
  for (const std::string& name : unread) module.EraseParameter(name);
  context.Count("parameters erased", static_cast<int64_t>(unread.size()));
  return !unread.empty();
}

StatusOr<bool> Run(Module& module, PassContext& context) {
  bool changed = false;
  for (const auto& function : module.functions()) changed |= EraseDeadOps(*function, context);
  if (context.freeze_parameters()) {
    KILN_ASSIGN_OR_RETURN(const bool merged, MergeParameters(module, context));
    changed |= merged;
  }
  changed |= EraseUnreadParameters(module, context);
  return changed;
}

}  // namespace

Pass EliminateDeadCode() {
  return {.name = kName,
          .doc = "erases what no output depends on and merges equal frozen parameters",
          .rules = {kMergeRule},
          .run = Run};
}

}  // namespace kiln
