// Passes: a Pass is a named function on a module that says whether it changed it. The PassContext
// is what a pass talks to while it runs: it asks whether a rewrite may happen, and tells which
// rewrites happened (Fired) and which did not, and why (Refused).
//
// Contract of a pass: the module computes the same values afterwards (up to rounding); the result
// is false exactly when nothing changed; a second run right after it changes nothing; every
// rewrite asks Allow first and reports Fired once, so that a limit on their number bisects.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "ir/graph/graph.h"
#include "ir/support/status.h"

namespace kiln {

/// One line about one rewrite, for the model's author.
struct Remark {
  enum class Kind { kFired, kRefused };
  Kind kind;
  std::string pass;
  std::string rule;
  std::string function;  ///< the graph's name
  std::string text;      ///< "conv 'res2a' not fused with relu: ..."

  /// "fuse-conv-relu: fired: main: conv 'conv1' ...", with "pass/rule" when the names differ.
  std::string ToString() const;
};

/// What rewrites may do.
struct RewriteOptions {
  /// Each is RULE or RULE:SOURCE, where RULE names a rule or a whole pass and SOURCE one of an op's
  /// source names (or its SSA name).
  std::vector<std::string> disabled;
  /// No more rewrites than this; negative: any number.
  int64_t limit = -1;
  /// Whether a parameter's value is as good as a constant: yes for inference, no for training (and
  /// never in a module one of whose functions updates parameters).
  bool freeze_parameters = true;
};

class PassContext {
 public:
  explicit PassContext(RewriteOptions options = {}) : options_(std::move(options)) {}

  const RewriteOptions& options() const { return options_; }
  bool freeze_parameters() const { return options_.freeze_parameters; }
  /// The module has functions that update parameters: no value of one is as good as a constant.
  void UnfreezeParameters() { options_.freeze_parameters = false; }

  /// Remarks from now on are this pass's.
  void EnterPass(std::string name) { pass_ = std::move(name); }

  /// Whether `rule` may rewrite `op` now. Asked before anything is built.
  bool Allow(std::string_view rule, const Op& op) const;
  /// `rule` rewrote `op`. Called once a rewrite, while `op` still exists.
  void Fired(std::string_view rule, const Op& op, std::string text);
  /// `rule` matched `op` but must leave it, because of `text`. Told once, however often repeated.
  void Refused(std::string_view rule, const Op& op, std::string text);
  /// Adds to a statistic of the pass, e.g. Count("bytes folded", 4096).
  void Count(std::string_view statistic, int64_t amount = 1);

  /// How often Fired was called, over all passes.
  int64_t rewrites() const { return rewrites_; }
  const std::vector<Remark>& remarks() const { return remarks_; }
  /// By "pass: statistic".
  const std::map<std::string, int64_t>& statistics() const { return statistics_; }

 private:
  RewriteOptions options_;
  std::string pass_;
  int64_t rewrites_ = 0;
  std::vector<Remark> remarks_;
  std::set<std::string> refusals_;
  std::map<std::string, int64_t> statistics_;
};

struct Pass {
  std::string name;                ///< "fold-constants"
  std::string doc;                 ///< one line
  std::vector<std::string> rules;  ///< what --disable-rewrite can name beside the pass itself
  std::function<StatusOr<bool>(Module&, PassContext&)> run;
};

/// "conv 'res2a'": the op as its author knows it; by SSA name when it has no source.
std::string Describe(const Op& op);

}  // namespace kiln
