#include "passes/rewrite.h"

#include <set>
#include <span>

namespace kiln {

namespace {

bool IsDead(const Op& op) {
  return op.users().empty() && !op.Is("input") && !op.graph()->IsOutput(&op);
}

// Tries one rule on one op; returns the replacement, or nullptr.
StatusOr<Op*> TryRule(const RewriteRule& rule, Op* op, PassContext& context) {
  if (!context.Allow(rule.name, *op)) return kNoMatch;
  RewriteSite site(op, rule.name, context);
  StatusOr<Op*> replacement = rule.apply(site);
  if (!replacement.ok()) {
    return Annotate(replacement.status(), StrCat("rule ", rule.name, " on ", Describe(*op)));
  }
  if (*replacement == nullptr || *replacement == op) return kNoMatch;
  if ((*replacement)->type().layout != op->type().layout) {  // laws speak of logical values
    replacement = site.b().Make("relayout", {*replacement}, {{"layout", op->type().layout}});
    KILN_RETURN_IF_ERROR(replacement.status());
  }
  if ((*replacement)->type() != op->type()) {
    return InternalError("rule ", rule.name, " turned ", Describe(*op), " of type ",
                         op->type().ToString(), " into ", (*replacement)->type().ToString());
  }
  const std::string& why = site.explanation();
  context.Fired(rule.name, *op, why.empty() ? StrCat(Describe(*op), ": ", rule.law) : why);
  op->graph()->ReplaceAllUses(op, *replacement);
  EraseIfDead(op);
  return replacement;
}

// Tries the rules on `op`, and again on what it became, until none matches.
StatusOr<bool> RewriteOp(std::span<const RewriteRule> rules, Op* op, PassContext& context) {
  bool changed = false;
  for (size_t i = 0; i < rules.size();) {
    KILN_ASSIGN_OR_RETURN(Op* const replacement, TryRule(rules[i], op, context));
    if (replacement == nullptr) {
      ++i;
      continue;
    }
    changed = true;
    op = replacement;
    i = 0;
  }
  return changed;
}

StatusOr<bool> RewriteGraph(std::span<const RewriteRule> rules, Graph& graph,
                            PassContext& context) {
  bool changed = false;
  for (bool again = true; again;) {
    again = false;
    // Only the op at hand and ops before it are erased, so the rest of the snapshot stays valid.
    for (Op* const op : graph.Snapshot()) {
      if (IsDead(*op)) continue;
      KILN_ASSIGN_OR_RETURN(const bool fired, RewriteOp(rules, op, context));
      again |= fired;
    }
    changed |= again;
  }
  return changed;
}

}  // namespace

RewriteSite::RewriteSite(Op* op, std::string_view rule, PassContext& context)
    : op_(op), rule_(rule), context_(context), builder_(op->graph(), op) {
  builder_.SetSources(op->sources());
}

Op* RewriteSite::Refuse(std::string_view text) {
  context_.Refused(rule_, *op_, StrCat(Describe(*op_), " ", text));
  return kNoMatch;
}

Pass MakeRewritePass(std::string name, std::string doc, std::vector<RewriteRule> rules) {
  Pass pass{.name = std::move(name), .doc = std::move(doc)};
  for (const RewriteRule& rule : rules) pass.rules.push_back(rule.name);
  pass.run = [rules = std::move(rules)](Module& module, PassContext& context) -> StatusOr<bool> {
    bool changed = false;
    for (const auto& function : module.functions()) {
      KILN_ASSIGN_OR_RETURN(const bool fired, RewriteGraph(rules, *function, context));
      changed |= fired;
    }
    return changed;
  };
  return pass;
}

void EraseIfDead(Op* op) {
  std::vector<Op*> work;
  if (IsDead(*op)) work.push_back(op);
  while (!work.empty()) {
    Op* const dead = work.back();
    work.pop_back();
    const std::set<Op*> operands(dead->operands().begin(), dead->operands().end());
    dead->graph()->Erase(dead);
    for (Op* const operand : operands) {
      if (IsDead(*operand)) work.push_back(operand);
    }
  }
}

std::string OtherUse(const Op& op, const Op& user) {
  for (const Op* const other : op.users()) {
    if (other != &user) return StrCat("its result is also read by ", Describe(*other));
  }
  for (const Graph::Output& output : op.graph()->outputs()) {
    if (output.value == &op) return StrCat("its result is also the output '", output.name, "'");
  }
  return "";
}

bool HasOneUse(const Op& op) { return op.users().size() == 1 && !op.graph()->IsOutput(&op); }

}  // namespace kiln
