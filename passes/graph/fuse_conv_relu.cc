// fuse-conv-relu: the elementwise ops behind a contraction become its epilogue, applied to the
// accumulators before they are stored.
//
//   relu(conv(x, w) + bias + residual) = fusion(x, w, bias, residual)
//
// In general: a contraction c, and elementwise ops of c's shape that depend on c through each other
// only; their other operands are available before and broadcast to that shape (bias, scale,
// residual). The chain may fork and join inside (y * sigmoid(y)), but one op alone is seen from
// outside. Constants of one element go into the body. What computes such another operand, element
// by element in that shape and for the epilogue alone, joins it and is never stored, unless it is
// the epilogue of another contraction:
//
//   rate * matmul(dy, x) + 0.9 * v = fusion(dy, x, rate, v)
//
// Refused: a result that something else reads too (the epilogue would be computed twice, or the
// plain result stored beside it), a wider result (each product would be computed many times over),
// and an operand that itself waits for the contraction. A weight gradient of several places in a
// kernel has no epilogue: it lies otherwise than the weights and what else it would meet there.
#include <algorithm>
#include <map>
#include <set>

#include "ir/graph/op_def.h"
#include "passes/function_pass.h"
#include "passes/graph/fusion.h"
#include "passes/graph/graph_passes.h"
#include "passes/layout/layout_classes.h"

namespace kiln {

namespace {

constexpr char kName[] = "fuse-conv-relu";

// The ops of a graph by position; fused ones leave a hole, their fusion takes the exit's place.
struct OpOrder {
  explicit OpOrder(const Graph& graph) : ops(graph.Snapshot()) {
    for (size_t i = 0; i < ops.size(); ++i) position[ops[i]] = i;
  }
  size_t LastUse(const Op& op) const {
    size_t last = 0;
    for (const Op* const user : op.users()) last = std::max(last, position.at(user));
    return last;
  }
  void Fuse(const std::vector<Op*>& group, Op* fusion) {
    const size_t exit = position.at(group.back());
    for (const Op* const op : group) {
      ops[position.at(op)] = nullptr;
      position.erase(op);
    }
    ops[exit] = fusion;
    position[fusion] = exit;
  }

  std::vector<Op*> ops;
  std::map<const Op*, size_t> position;
};

// `contraction` and the elementwise ops behind it that could share its kernel, in graph order; the
// group may still be seen from outside in several places.
std::vector<Op*> GrowEpilogue(Op* contraction, const OpOrder& order) {
  std::vector<Op*> group;
  std::set<const Op*> waiting;  // ops outside that depend on the group
  std::set<size_t> dependents;  // positions of ops that depend on the group, still to be looked at
  size_t last = 0;              // the last use of a member: nothing behind it can join
  const auto join = [&](Op* op) {
    group.push_back(op);
    last = std::max(last, order.LastUse(*op));
  };
  const auto look_at_users = [&](const Op& op) {
    for (const Op* const user : op.users()) dependents.insert(order.position.at(user));
  };
  join(contraction);
  look_at_users(*contraction);
  while (!dependents.empty() && *dependents.begin() <= last) {
    Op* const op = order.ops[*dependents.begin()];
    dependents.erase(dependents.begin());
    const bool waits = std::any_of(op->operands().begin(), op->operands().end(),
                                   [&](const Op* operand) { return waiting.contains(operand); });
    if (!waits && op->HasTrait(kElementwise) && group.size() < kMaxGroupOps &&
        op->shape() == contraction->shape()) {
      join(op);
    } else {
      waiting.insert(op);
    }
    look_at_users(*op);
  }
  return group;
}

// The ops of `group` up to `exit` that `exit` depends on.
std::vector<Op*> GroupOf(const Op* exit, const std::vector<Op*>& group) {
  std::set<const Op*> needed = {exit};
  std::vector<Op*> part;
  for (auto it = group.rbegin(); it != group.rend(); ++it) {
    if (!needed.contains(*it)) continue;
    part.push_back(*it);
    needed.insert((*it)->operands().begin(), (*it)->operands().end());
  }
  std::reverse(part.begin(), part.end());
  return part;
}

// Whether only the last op of `group` is seen from outside, and the group is within bounds.
bool IsClosed(const std::vector<Op*>& group) {
  const std::set<const Op*> inside(group.begin(), group.end());
  for (const Op* const op : group) {
    if (op == group.back()) continue;
    if (op->graph()->IsOutput(op)) return false;
    for (const Op* const user : op->users()) {
      if (!inside.contains(user)) return false;
    }
  }
  return IsFusable(group);
}

// `group`, a contraction and its epilogue, with the producers of the epilogue's other operands. The
// contraction stays in front, and with it its operands among the fusion's.
std::vector<Op*> WithProducers(const std::vector<Op*>& group, const OpOrder& order) {
  Op* const contraction = group.front();
  std::vector<Op*> readers(group.begin() + 1, group.end());
  std::map<size_t, Op*> members;
  for (Op* const op : readers) members.emplace(order.position.at(op), op);
  while (!readers.empty()) {
    const Op* const reader = readers.back();
    readers.pop_back();
    for (Op* const op : reader->operands()) {
      const bool behind_another =
          std::any_of(op->operands().begin(), op->operands().end(),
                      [](const Op* operand) { return operand->HasTrait(kContraction); });
      const bool joins = op->HasTrait(kElementwise) && op->shape() == contraction->shape() &&
                         op->users().size() == 1 && !op->graph()->IsOutput(op) && !behind_another;
      if (joins && members.emplace(order.position.at(op), op).second) readers.push_back(op);
    }
  }
  std::vector<Op*> grown = {contraction};
  for (const auto& [position, op] : members) grown.push_back(op);
  return IsFusable(grown) ? grown : group;
}

// The largest closed part of what GrowEpilogue found; the contraction alone at least.
std::vector<Op*> ClosedEpilogue(Op* contraction, const OpOrder& order) {
  const std::vector<Op*> group = GrowEpilogue(contraction, order);
  for (auto exit = group.rbegin(); exit != group.rend(); ++exit) {
    std::vector<Op*> part = GroupOf(*exit, group);
    if (part.front() == contraction && IsClosed(part)) return part;
  }
  return {contraction};
}

// Whether the kernels of the weights that `op` is the gradient of have several places.
bool IsSpatialWeightGradient(const Op& op) {
  return IsWeightGradient(op) && op.type().count() > op.shape()[0] * op.shape()[1];
}

// Says why the epilogue ends at `exit` although elementwise ops follow.
void RemarkOnEnd(const Op& contraction, const Op& exit, PassContext& context) {
  for (const Op* const next : exit.users()) {
    if (!next->HasTrait(kElementwise)) continue;
    std::string why = OtherUse(exit, *next);
    if (next->shape() != contraction.shape()) {
      why = StrCat("its result is ", next->type().ToString(), ", not ",
                   contraction.type().ToString());
    } else if (why.empty()) {
      why = "an operand waits for the contraction, or the group would be too large";
    }
    context.Refused(kName, contraction,
                    StrCat(Describe(contraction), " not fused with ", Describe(*next), ": ", why));
  }
}

StatusOr<bool> FuseIn(Graph& graph, PassContext& context) {
  OpOrder order(graph);
  bool changed = false;
  for (size_t i = 0; i < order.ops.size(); ++i) {
    Op* const op = order.ops[i];
    if (op == nullptr || !op->HasTrait(kContraction) || IsSpatialWeightGradient(*op) ||
        !context.Allow(kName, *op)) {
      continue;
    }
    const std::vector<Op*> epilogue = ClosedEpilogue(op, order);
    RemarkOnEnd(*op, *epilogue.back(), context);
    if (epilogue.size() == 1) continue;
    const std::vector<Op*> group = WithProducers(epilogue, order);
    context.Fired(kName, *op, DescribeFusion(*op, group));
    KILN_ASSIGN_OR_RETURN(Op* const fusion, MakeFusion(group));
    order.Fuse(group, fusion);
    changed = true;
  }
  if (changed) graph.EraseDeadOps();  // constants whose copies live on in bodies
  return changed;
}

}  // namespace

Pass FuseConvRelu() {
  return FunctionPass(
      kName, "makes bias, residual add and activations the epilogue of a contraction", FuseIn);
}

}  // namespace kiln
