// Rewrite rules: small laws "this value equals that value", applied to every op of every function
// until none fires any more.
//
// A rule is given one op and returns the value that replaces it, built just before the op, or
// nullptr when it does not match. The driver gates it, checks that the type stays, replaces all
// uses, erases what died, and remarks. A set of rules must terminate: each law makes the graph
// smaller by some measure or brings it into a form that no law of the set leaves.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "ir/graph/builder.h"
#include "passes/pass.h"

namespace kiln {

/// Where a rule is tried.
class RewriteSite {
 public:
  RewriteSite(Op* op, std::string_view rule, PassContext& context);

  Op& op() const { return *op_; }
  Op* operand(size_t i) const { return op_->operand(i); }
  PassContext& context() const { return context_; }
  /// Inserts just before the op; what it makes carries the op's sources.
  Builder& b() { return builder_; }

  /// The law matched, but must not be applied. `text` says so behind the op's description: "not
  /// folded into conv 'a': its weights are not constant". Returns nullptr (no match).
  Op* Refuse(std::string_view text);
  /// Replaces the law as the text of the remark.
  void Explain(std::string text) { explanation_ = std::move(text); }
  const std::string& explanation() const { return explanation_; }

 private:
  Op* op_;
  std::string_view rule_;
  PassContext& context_;
  Builder builder_;
  std::string explanation_;
};

/// What a rule returns when it does not match.
inline constexpr Op* kNoMatch = nullptr;

struct RewriteRule {
  std::string name;
  std::string law;  ///< the equation, as the remark shows it: "x + 0 = x"
  std::function<StatusOr<Op*>(RewriteSite& at)> apply;
};

/// A pass that is a set of rules.
Pass MakeRewritePass(std::string name, std::string doc, std::vector<RewriteRule> rules);

/// Erases `op` and then its operands, as far as nothing uses them; inputs stay.
void EraseIfDead(Op* op);

/// Why `op` cannot be merged into its user `user`: "its result is also read by pool 'pool1'" or
/// "its result is also the output 'y'". Empty when `user` is its only use.
std::string OtherUse(const Op& op, const Op& user);

/// Whether `op` has exactly one use, an operand slot of another op: it may be merged into that op.
bool HasOneUse(const Op& op);

}  // namespace kiln
