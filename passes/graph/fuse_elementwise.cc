// fuse-elementwise: elementwise ops over one iteration space become one kernel, so that what passes
// between them stays in registers.
//
//   exp(x * y + z) = fusion(x, y, z)
//   relu(max_pool(x)) = fusion(x)              a reduction or pool with an elementwise epilogue
//   reduce_sum(x * x) = fusion(x)              and with elementwise producers
//
// A group grows from its exit towards its operands. An op joins when all its users are inside and
// it has as many elements as each of them iterates over; so nothing is computed more than once an
// element. Members are inlined into their users, hence what is expensive (exp, a reduction) joins
// only if it is read in one place. One reduction a group; producers join behind it only where it
// reads each element once (a pool's windows overlap).
//
// Not fused: reshapes and other movement except broadcast, contractions (see fuse-conv-relu), ops
// with several steps (softmax, cumsum).
#include <algorithm>
#include <map>
#include <set>

#include "ir/graph/op_def.h"
#include "passes/function_pass.h"
#include "passes/graph/fusion.h"
#include "passes/graph/graph_passes.h"

namespace kiln {

namespace {

constexpr char kName[] = "fuse-elementwise";

bool IsElementwise(const Op& op) { return op.HasTrait(kElementwise) && op.def().element; }

// Reduces many operand elements to each result element, by one expression: reductions over axes and
// pools over windows.
bool IsReduction(const Op& op) {
  return op.def().element && op.operands().size() == 1 &&
         (op.HasTrait(kReduction) || op.attributes().contains("kernel"));
}

// Each operand element goes into exactly one result element.
bool ReadsOnce(const Op& reduction) {
  return reduction.HasTrait(kReduction) && reduction.attributes().contains("axes");
}

class Group {
 public:
  Group(Op* exit, const std::map<const Op*, size_t>& position) : position_(position) {
    Insert(exit, /*behind_reduction=*/false);
    while (!candidates_.empty()) {
      Op* const candidate = candidates_.rbegin()->second;
      candidates_.erase(std::prev(candidates_.end()));
      if (!members_.contains(candidate)) Consider(candidate);
    }
  }

  /// In graph order.
  std::vector<Op*> ops() const { return Sorted(members_); }
  /// Producers that stay outside, and why.
  const std::map<size_t, std::pair<const Op*, std::string>>& refused() const { return refused_; }

 private:
  // Members, and whether they feed the reduction and so run over its operand's elements.
  using Members = std::map<Op*, bool>;

  std::vector<Op*> Sorted(const Members& members) const {
    std::map<size_t, Op*> sorted;
    for (const auto& [op, behind] : members) sorted.emplace(position_.at(op), op);
    std::vector<Op*> ops;
    for (const auto& [position, op] : sorted) ops.push_back(op);
    return ops;
  }

  void Insert(Op* op, bool behind_reduction) {
    members_.emplace(op, behind_reduction);
    const bool reduction = IsReduction(*op);
    has_reduction_ |= reduction;
    if (reduction && !ReadsOnce(*op)) return;
    // The latest first: then all users of a candidate have been decided on.
    for (Op* const operand : op->operands()) candidates_.emplace(position_.at(operand), operand);
  }

  // Whether `op` runs over as many elements as its user `user` reads.
  static bool SharesSpace(const Op& op, const Op& user) {
    return IsReduction(user) || op.type().count() == user.type().count();
  }

  void Consider(Op* op) {
    const bool reduction = IsReduction(*op);
    if (!IsElementwise(*op) && !op->Is("broadcast") && !reduction) return;
    std::set<bool> behind;
    for (Op* const user : op->users()) {
      const auto member = members_.find(user);
      if (member == members_.end()) return Refuse(op, OtherUse(*op, *MemberReading(op)));
      if (!SharesSpace(*op, *user)) return;
      behind.insert(member->second || IsReduction(*user));
    }
    if (op->graph()->IsOutput(op)) return Refuse(op, OtherUse(*op, *op->users().front()));
    if (behind.size() != 1) return;
    if (reduction && (has_reduction_ || *behind.begin())) return;
    if ((reduction || op->HasTrait(kExpensive)) && op->users().size() != 1) {
      return Refuse(op, "it is expensive and read in several places");
    }
    Members grown = members_;
    grown.emplace(op, *behind.begin());
    if (!IsFusable(Sorted(grown)))
      return Refuse(op, "the kernel would be too large, or read nothing");
    Insert(op, *behind.begin());
  }

  // The member that reads `op`.
  const Op* MemberReading(const Op* op) const {
    return *std::find_if(op->users().begin(), op->users().end(),
                         [&](Op* user) { return members_.contains(user); });
  }

  void Refuse(const Op* op, std::string why) {
    refused_.emplace(position_.at(op), std::pair(op, std::move(why)));
  }

  const std::map<const Op*, size_t>& position_;
  Members members_;
  bool has_reduction_ = false;
  std::map<size_t, Op*> candidates_;
  std::map<size_t, std::pair<const Op*, std::string>> refused_;
};

StatusOr<bool> FuseIn(Graph& graph, PassContext& context) {
  std::map<const Op*, size_t> position;
  const std::vector<Op*> ops = graph.Snapshot();
  for (size_t i = 0; i < ops.size(); ++i) position.emplace(ops[i], i);
  std::set<const Op*> fused;
  bool changed = false;
  for (auto it = ops.rbegin(); it != ops.rend(); ++it) {
    Op* const exit = *it;
    const bool candidate = !fused.contains(exit) && (IsElementwise(*exit) || ReadsOnce(*exit));
    if (!candidate || !context.Allow(kName, *exit)) continue;
    const Group group(exit, position);
    for (const auto& [where, refusal] : group.refused()) {
      context.Refused(kName, *exit,
                      StrCat(Describe(*refusal.first), " not fused into ", Describe(*exit), ": ",
                             refusal.second));
    }
    const std::vector<Op*> members = group.ops();
    if (members.size() == 1) continue;
    fused.insert(members.begin(), members.end());
    context.Fired(kName, *exit, DescribeFusion(*exit, members));
    KILN_RETURN_IF_ERROR(MakeFusion(members).status());
    changed = true;
  }
  if (changed) graph.EraseDeadOps();  // constants whose copies live on in bodies
  return changed;
}

}  // namespace

Pass FuseElementwise() {
  return FunctionPass(
      kName, "groups elementwise ops, and reductions with what is around them, into kernels",
      FuseIn);
}

}  // namespace kiln
