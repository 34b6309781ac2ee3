// eliminate-common-subexpressions: two ops of one kind with equal attributes and the same operands
// (in any order, where the op is commutative) are one op; equal constants are one constant.
//
// Ops with a body are left alone: they are made at the end of the pipeline, from ops that have
// been through here. Parameters are named storage: two of them are never one by their values alone
// (eliminate-dead-code merges equal frozen ones), but two reads of one are.
#include <algorithm>
#include <unordered_map>

#include "ir/graph/op_def.h"
#include "ir/graph/printer.h"
#include "passes/function_pass.h"
#include "passes/graph/graph_passes.h"
#include "passes/rewrite.h"

namespace kiln {

namespace {

constexpr char kName[] = "eliminate-common-subexpressions";

void Mix(size_t& hash, size_t value) {
  hash ^= value + 0x9e3779b97f4a7c15u + (hash << 6) + (hash >> 2);
}

// The operands, in an order that does not matter where it does not matter.
std::vector<Op*> CanonicalOperands(const Op& op) {
  std::vector<Op*> operands = op.operands();
  if (op.HasTrait(kCommutative)) std::sort(operands.begin(), operands.end());
  return operands;
}

// Deferred tensors, which are large, are equal where they are one: computing them only to compare
// would take longer than they are worth.
bool IsDeferred(const Attribute& value) {
  return value.kind() == Attribute::Kind::kTensor && value.as<Tensor>().recipe() != nullptr;
}

size_t Hash(const Attribute& value) {
  if (IsDeferred(value)) return std::hash<const void*>()(value.as<Tensor>().identity());
  return std::hash<std::string>()(Print(value));
}

bool SameAttribute(const AttributeMap::value_type& a, const AttributeMap::value_type& b) {
  if (!IsDeferred(a.second) && !IsDeferred(b.second)) return a == b;
  return a.first == b.first && a.second.kind() == b.second.kind() &&
         a.second.as<Tensor>().identity() == b.second.as<Tensor>().identity();
}

size_t Hash(const Op& op) {
  size_t hash = std::hash<const void*>()(&op.def());
  for (const Op* const operand : CanonicalOperands(op))
    Mix(hash, std::hash<const void*>()(operand));
  for (const auto& [name, value] : op.attributes()) Mix(hash, Hash(value));
  return hash;
}

bool SameValue(const Op& a, const Op& b) {
  return &a.def() == &b.def() && a.type() == b.type() &&
         CanonicalOperands(a) == CanonicalOperands(b) &&
         std::ranges::equal(a.attributes(), b.attributes(), SameAttribute);
}

StatusOr<bool> EliminateIn(Graph& graph, PassContext& context) {
  std::unordered_multimap<size_t, Op*> seen;
  bool changed = false;
  for (Op* const op : graph.Snapshot()) {
    if (op->HasTrait(kRegion) || op->Is("input") || !context.Allow(kName, *op)) continue;
    const size_t hash = Hash(*op);
    const auto [begin, end] = seen.equal_range(hash);
    const auto same =
        std::find_if(begin, end, [op](const auto& entry) { return SameValue(*entry.second, *op); });
    if (same == end) {
      seen.emplace(hash, op);
      continue;
    }
    context.Fired(kName, *op,
                  StrCat(Describe(*op), " is the same value as ", Describe(*same->second)));
    graph.ReplaceAllUses(op, same->second);
    graph.Erase(op);
    changed = true;
  }
  return changed;
}

}  // namespace

Pass EliminateCommonSubexpressions() {
  return FunctionPass(kName, "computes equal values once", EliminateIn);
}

}  // namespace kiln
