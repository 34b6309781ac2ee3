// The pass manager: runs passes in order and watches over them. It times each and counts its
// rewrites; on request it prints or diffs the IR after a pass, verifies the IR's invariants, and
// interprets the module before and after to see that the numbers stayed.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "passes/numeric_check.h"
#include "passes/pass.h"

namespace kiln {

#ifdef NDEBUG
inline constexpr bool kVerifyByDefault = false;
#else
inline constexpr bool kVerifyByDefault = true;
#endif

/// What one pass did.
struct PassReport {
  std::string name;
  bool changed;
  int64_t rewrites;
  double seconds;  ///< in the pass itself, without checks and printing
};

struct PassOptions {
  RewriteOptions rewrites;
  /// Check the IR invariants after every pass.
  bool verify_ir = kVerifyByDefault;
  /// --verify-passes: interpret before and after every pass, on inputs drawn from `seed`.
  bool verify_numbers = false;
  uint64_t seed = 1;
  /// Print the module after the pass of this name, or after every one ("all"); empty: never.
  std::string print_after;
  /// Print what each pass changed instead; with an empty print_after, of every pass.
  bool diff = false;
  /// Where printed IR goes, in whole lines. Must be set if anything is to be printed.
  std::function<void(std::string_view)> print;
  /// Called after every pass with what it did, what it remarked, and the module as it left it.
  std::function<void(const PassReport&, std::span<const Remark>, const Module&)> observe;
};

class PassManager {
 public:
  explicit PassManager(std::vector<Pass> passes, PassOptions options = {});

  /// Runs the passes. Errors: an option names a pass or a rule that does not exist; a pass failed;
  /// an invariant of the IR is broken, or the numbers changed (InternalError, naming the pass and
  /// the first wrong rewrite, whose diff is printed). The module is half-way then.
  Status Run(Module& module);

  /// One per pass that ran, in order.
  const std::vector<PassReport>& reports() const { return reports_; }
  const PassContext& context() const { return context_; }

  /// A table of the reports: time, rewrites and name, and the total.
  std::string TimingTable() const;

 private:
  Status CheckOptions() const;
  Status RunPass(const Pass& pass, Module& module);
  Status CheckNumbers(const Pass& pass, const Module& before, const Module& after,
                      int64_t rewrites);
  void PrintAfter(const Pass& pass, const std::string& before, const Module& after) const;
  bool WantsPrint(const Pass& pass) const;

  std::vector<Pass> passes_;
  PassOptions options_;
  PassContext context_;
  std::vector<PassReport> reports_;
  ModuleValues values_;  // of the module before the next pass, when numbers are verified
};

}  // namespace kiln
