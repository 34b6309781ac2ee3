#include "passes/training/differentiate.h"

#include <algorithm>
#include <map>
#include <set>

#include "ir/graph/builder.h"
#include "ir/graph/op_def.h"
#include "passes/pass.h"

namespace kiln {

namespace {

// The ops between the wanted values and the loss: those that depend on a wanted one and that the
// loss depends on, by floats only.
std::set<const Op*> OpsBetween(const Op& loss, const std::set<const Op*>& wanted) {
  std::set<const Op*> dependent, between;
  for (const auto& op : loss.graph()->ops()) {
    const bool reads = std::any_of(op->operands().begin(), op->operands().end(),
                                   [&](const Op* x) { return dependent.contains(x); });
    if (IsFloat(op->element()) && (reads || wanted.contains(op.get()))) dependent.insert(op.get());
  }
  const auto& ops = loss.graph()->ops();
  if (dependent.contains(&loss)) between.insert(&loss);
  for (auto it = ops.rbegin(); it != ops.rend(); ++it) {
    if (!between.contains(it->get())) continue;
    for (const Op* const operand : (*it)->operands()) {
      if (dependent.contains(operand)) between.insert(operand);
    }
  }
  return between;
}

// Replaces the composites in between that have no gradient of their own; whether there were any.
StatusOr<bool> DecomposeBetween(Op*& loss, const std::set<const Op*>& between) {
  bool changed = false;
  Graph& graph = *loss->graph();
  for (Op* const op : graph.Snapshot()) {
    const OpDef& def = op->def();
    if (!between.contains(op) || def.gradient || !def.decompose) continue;
    Builder builder(&graph, op);
    builder.SetSources(op->sources());
    KILN_ASSIGN_OR_RETURN(Op* const value, def.decompose(builder, *op));
    graph.ReplaceAllUses(op, value);
    if (loss == op) loss = value;
    graph.Erase(op);
    changed = true;
  }
  return changed;
}

Status CheckDifferentiable(const Graph& graph, const std::set<const Op*>& between) {
  std::set<std::string> reasons;
  for (const auto& op : graph.ops()) {
    if (!between.contains(op.get()) || op->def().gradient || op->operands().empty()) continue;
    reasons.insert(StrCat(Describe(*op), " cannot be differentiated: ", op->def().no_gradient));
  }
  if (reasons.empty()) return OkStatus();
  return Unsupported(StrJoin(std::vector<std::string>(reasons.begin(), reasons.end()), "; "));
}

class Differentiator {
 public:
  Differentiator(Op* loss, std::set<const Op*> between)
      : loss_(loss), between_(std::move(between)), builder_(loss->graph()) {}

  Status Run() {
    const std::vector<Op*> ops = loss_->graph()->Snapshot();
    KILN_ASSIGN_OR_RETURN(Op* const one,
                          builder_.Broadcast(builder_.Scalar(loss_->element(), 1), loss_->shape()));
    parts_[Key(*loss_)] = {one};
    for (auto it = ops.rbegin(); it != ops.rend(); ++it) {
      if (between_.contains(*it) && !(*it)->operands().empty()) {
        KILN_RETURN_IF_ERROR(Annotate(Visit(**it), Describe(**it)));
      }
    }
    return OkStatus();
  }

  /// The sum of what the users of `op` gave; nullptr when that is nothing.
  StatusOr<Op*> GradientOf(const Op& op) {
    const auto it = parts_.find(Key(op));
    if (it == parts_.end()) return nullptr;
    std::vector<Op*>& parts = it->second;
    while (parts.size() > 1) {  // in pairs, so that the depth and the rounding stay small
      std::vector<Op*> sums;
      for (size_t i = 0; i + 1 < parts.size(); i += 2) {
        KILN_ASSIGN_OR_RETURN(sums.emplace_back(), builder_.Add(parts[i], parts[i + 1]));
      }
      if (parts.size() % 2 == 1) sums.push_back(parts.back());
      parts = std::move(sums);
    }
    return parts[0];
  }

 private:
  // Reads of one parameter are one value.
  static std::pair<const Op*, std::string> Key(const Op& op) {
    if (op.Is("parameter")) return {nullptr, op.String("name")};
    return {&op, ""};
  }

  Status Visit(Op& op) {
    builder_.SetSources(op.sources());
    KILN_ASSIGN_OR_RETURN(Op* const dy, GradientOf(op));
    if (dy == nullptr) return OkStatus();
    for (size_t k = 0; k < op.operands().size(); ++k) {
      const Op& x = *op.operand(k);
      if (!between_.contains(&x)) continue;
      KILN_ASSIGN_OR_RETURN(Op* const part, op.def().gradient(builder_, op, k, dy));
      if (part == kZeroGradient) continue;
      if (part->element() != x.element() || part->shape() != x.shape()) {
        return InternalError("the gradient of operand ", k, " is ", part->type().ToString(),
                             ", expected ", x.type().ToString());
      }
      parts_[Key(x)].push_back(part);
    }
    return OkStatus();
  }

  Op* loss_;
  std::set<const Op*> between_;
  Builder builder_;
  std::map<std::pair<const Op*, std::string>, std::vector<Op*>> parts_;
};

// `wanted`, and every read of the parameters among them.
std::set<const Op*> WithAllReads(const Graph& graph, const std::vector<Op*>& wanted) {
  std::set<const Op*> all(wanted.begin(), wanted.end());
  std::set<std::string> parameters;
  for (const Op* const op : wanted) {
    if (op->Is("parameter")) parameters.insert(op->String("name"));
  }
  for (const auto& op : graph.ops()) {
    if (op->Is("parameter") && parameters.contains(op->String("name"))) all.insert(op.get());
  }
  return all;
}

}  // namespace

StatusOr<std::vector<Op*>> Differentiate(Op* loss, const std::vector<Op*>& wanted) {
  if (!IsFloat(loss->element()) || loss->type().count() != 1) {
    return InvalidInput("the loss must be one float, found ", Describe(*loss), ", ",
                        loss->type().ToString());
  }
  const std::set<const Op*> sources = WithAllReads(*loss->graph(), wanted);
  std::set<const Op*> between = OpsBetween(*loss, sources);
  while (true) {
    KILN_ASSIGN_OR_RETURN(const bool changed, DecomposeBetween(loss, between));
    if (!changed) break;
    between = OpsBetween(*loss, sources);
  }
  KILN_RETURN_IF_ERROR(CheckDifferentiable(*loss->graph(), between));
  Differentiator differentiator(loss, std::move(between));
  KILN_RETURN_IF_ERROR(differentiator.Run());
  std::vector<Op*> gradients;
  for (const Op* const op : wanted) {
    KILN_ASSIGN_OR_RETURN(gradients.emplace_back(), differentiator.GradientOf(*op));
  }
  return gradients;
}

}  // namespace kiln
