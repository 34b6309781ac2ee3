#include "passes/graph/fusion.h"

#include <algorithm>
#include <map>
#include <set>

namespace kiln {

namespace {

constexpr size_t kMaxGroupOperands = 24;
constexpr int64_t kMaxWrittenSize = 256;

bool IsScalarConstant(const Op& op) { return op.Is("constant") && op.type().count() == 1; }

// The values that `group` reads from outside, each once, in order of first use. Constants of one
// element are left out: they are copied into the body.
std::vector<Op*> GroupOperands(const std::vector<Op*>& group) {
  std::set<const Op*> seen(group.begin(), group.end());
  std::vector<Op*> operands;
  for (const Op* const op : group) {
    for (Op* const operand : op->operands()) {
      if (!IsScalarConstant(*operand) && seen.insert(operand).second) operands.push_back(operand);
    }
  }
  return operands;
}

// The number of op instances when the ops of `group` are inlined into the exit; saturates.
int64_t WrittenSize(const std::vector<Op*>& group) {
  std::map<const Op*, int64_t> copies = {{group.back(), 1}};
  int64_t total = 0;
  for (auto it = group.rbegin(); it != group.rend(); ++it) {
    const int64_t count = copies[*it];
    total += count;
    if (total > kMaxWrittenSize) return kMaxWrittenSize + 1;
    for (const Op* const operand : (*it)->operands()) copies[operand] += count;
  }
  return total;
}

// The body: an input for each operand, then copies of the group's ops.
StatusOr<std::unique_ptr<Graph>> MakeBody(const std::vector<Op*>& group,
                                          const std::vector<Op*>& operands) {
  auto body = std::make_unique<Graph>(group.front()->graph()->module(), "fusion");
  Builder builder(body.get());
  std::map<const Op*, Op*> inside;
  for (Op* const operand : operands) {
    KILN_ASSIGN_OR_RETURN(inside[operand], builder.Input(operand->name(), operand->type()));
  }
  for (const Op* const op : group) {
    std::vector<Op*> copies;
    for (const Op* const operand : op->operands()) {
      Op*& copy = inside[operand];
      if (copy == nullptr) {
        KILN_ASSIGN_OR_RETURN(copy, builder.CloneOp(*operand, {}));
      }
      copies.push_back(copy);
    }
    KILN_ASSIGN_OR_RETURN(inside[op], builder.CloneOp(*op, copies));
  }
  body->AddOutput("result", inside[group.back()]);
  return body;
}

}  // namespace

bool IsFusable(const std::vector<Op*>& group) {
  const size_t operands = GroupOperands(group).size();
  return group.size() <= kMaxGroupOps && operands > 0 && operands <= kMaxGroupOperands &&
         WrittenSize(group) <= kMaxWrittenSize;
}

std::string DescribeFusion(const Op& op, const std::vector<Op*>& group) {
  std::string others;
  for (const Op* const other : group) {
    if (other != &op) others += StrCat(others.empty() ? "" : ", ", Describe(*other));
  }
  return StrCat(Describe(op), " fused with ", others);
}

StatusOr<Op*> MakeFusion(const std::vector<Op*>& group) {
  Op* const exit = group.back();
  const std::vector<Op*> operands = GroupOperands(group);
  KILN_ASSIGN_OR_RETURN(std::unique_ptr<Graph> body, MakeBody(group, operands));
  Builder builder(exit->graph(), exit);
  KILN_ASSIGN_OR_RETURN(Op* const fusion, builder.MakeRegion("fusion", operands, std::move(body)));
  for (const Op* const op : group) fusion->AddSources(op->sources());
  exit->graph()->ReplaceAllUses(exit, fusion);
  for (auto it = group.rbegin(); it != group.rend(); ++it) fusion->graph()->Erase(*it);
  return fusion;
}

}  // namespace kiln
