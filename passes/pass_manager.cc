#include "passes/pass_manager.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>

#include "ir/graph/printer.h"
#include "ir/graph/verifier.h"
#include "passes/diff.h"
#include "passes/pipeline.h"

namespace kiln {

namespace {

double SecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

bool HasRule(const std::vector<Pass>& passes, std::string_view name) {
  return std::any_of(passes.begin(), passes.end(), [&](const Pass& pass) {
    return pass.name == name ||
           std::find(pass.rules.begin(), pass.rules.end(), name) != pass.rules.end();
  });
}

bool HasPass(const std::vector<Pass>& passes, std::string_view name) {
  return std::any_of(passes.begin(), passes.end(),
                     [&](const Pass& pass) { return pass.name == name; });
}

bool UpdatesParameters(const Module& module) {
  return std::any_of(module.functions().begin(), module.functions().end(), [](const auto& graph) {
    return std::any_of(graph->outputs().begin(), graph->outputs().end(),
                       [](const Graph::Output& output) { return output.update; });
  });
}

}  // namespace

PassManager::PassManager(std::vector<Pass> passes, PassOptions options)
    : passes_(std::move(passes)), options_(std::move(options)), context_(options_.rewrites) {}

// A name may be of a pass that does not run here: options outlive one list of passes.
Status PassManager::CheckOptions() const {
  for (const std::string& selector : options_.rewrites.disabled) {
    const std::string name = selector.substr(0, selector.find(':'));
    if (!HasRule(passes_, name) && !HasRule(AllPasses(), name)) {
      return InvalidInput("there is no pass or rewrite rule '", name, "' to disable");
    }
  }
  const std::string& after = options_.print_after;
  if (!after.empty() && after != "all" && !HasPass(passes_, after) &&
      !HasPass(AllPasses(), after)) {
    return InvalidInput("there is no pass '", after, "' to print after");
  }
  return OkStatus();
}

Status PassManager::Run(Module& module) {
  KILN_RETURN_IF_ERROR(CheckOptions());
  reports_.clear();
  if (UpdatesParameters(module)) context_.UnfreezeParameters();
  if (options_.verify_numbers) {
    KILN_ASSIGN_OR_RETURN(values_, InterpretSeeded(module, options_.seed));
  }
  for (const Pass& pass : passes_) {
    KILN_RETURN_IF_ERROR(Annotate(RunPass(pass, module), "pass " + pass.name));
  }
  return OkStatus();
}

Status PassManager::RunPass(const Pass& pass, Module& module) {
  const std::unique_ptr<Module> before = options_.verify_numbers ? module.Clone() : nullptr;
  const std::string text = options_.diff && WantsPrint(pass) ? Print(module) : "";
  const int64_t rewrites_before = context_.rewrites();
  const size_t remarks_before = context_.remarks().size();
  context_.EnterPass(pass.name);
  const auto start = std::chrono::steady_clock::now();
  KILN_ASSIGN_OR_RETURN(const bool changed, pass.run(module, context_));
  const double seconds = SecondsSince(start);
  const int64_t rewrites = context_.rewrites() - rewrites_before;
  reports_.push_back({pass.name, changed, rewrites, seconds});
  if (WantsPrint(pass)) PrintAfter(pass, text, module);
  if (options_.observe) {
    options_.observe(reports_.back(), std::span(context_.remarks()).subspan(remarks_before),
                     module);
  }
  if (options_.verify_ir) KILN_RETURN_IF_ERROR(Verify(module));
  if (before != nullptr && changed) return CheckNumbers(pass, *before, module, rewrites);
  return OkStatus();
}

bool PassManager::WantsPrint(const Pass& pass) const {
  if (!options_.print) return false;
  if (options_.print_after.empty()) return options_.diff;
  return options_.print_after == "all" || options_.print_after == pass.name;
}

void PassManager::PrintAfter(const Pass& pass, const std::string& before,
                             const Module& after) const {
  std::string text = Print(after);
  if (options_.diff) {
    text = UnifiedDiff(before, text);
    if (text.empty()) return;
  }
  options_.print(StrCat("// ", options_.diff ? "changed by " : "after ", pass.name, "\n", text));
}

Status PassManager::CheckNumbers(const Pass& pass, const Module& before, const Module& after,
                                 int64_t rewrites) {
  StatusOr<ModuleValues> found = InterpretSeeded(after, options_.seed);
  if (!found.ok()) return Annotate(found.status(), "the result cannot be interpreted");
  const std::optional<std::string> difference = FirstDifference(before, values_, *found);
  if (!difference) {
    values_ = *std::move(found);
    return OkStatus();
  }
  // The rewrites of earlier passes do not count against the limit of a pass that runs alone.
  KILN_ASSIGN_OR_RETURN(
      const WrongRewrite wrong,
      BisectRewrites(pass, before, values_, options_.rewrites, rewrites, options_.seed));
  if (options_.print) options_.print(wrong.diff);
  return InternalError("the numbers changed: ", *difference,
                       wrong.remark.empty() ? "" : "; the first wrong rewrite is ", wrong.remark);
}

std::string PassManager::TimingTable() const {
  std::string table = "      ms  rewrites  pass\n";
  double total_seconds = 0;
  int64_t total_rewrites = 0;
  const auto row = [&](double seconds, int64_t rewrites, const std::string& name) {
    char numbers[64];
    std::snprintf(numbers, sizeof(numbers), "%8.2f  %8lld  ", seconds * 1e3,
                  static_cast<long long>(rewrites));
    table += StrCat(numbers, name, "\n");
  };
  for (const PassReport& report : reports_) {
    row(report.seconds, report.rewrites, report.name);
    total_seconds += report.seconds;
    total_rewrites += report.rewrites;
  }
  row(total_seconds, total_rewrites, "total");
  return table;
}

}  // namespace kiln
