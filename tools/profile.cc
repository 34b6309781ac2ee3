#include "tools/profile.h"

#include <algorithm>
#include <vector>

namespace kiln {

namespace {

/// The edges of a kernel are sections of their own, without work of their own: they join the
/// section before them.
std::vector<StepTime> JoinSections(std::vector<StepTime> sections) {
  std::vector<StepTime> steps;
  for (StepTime& section : sections) {
    const bool edge = section.flops == 0 && section.bytes == 0 && !steps.empty() &&
                      steps.back().kernel == section.kernel &&
                      steps.back().sources == section.sources;
    if (edge) {
      steps.back().ns += section.ns;
    } else {
      steps.push_back(std::move(section));
    }
  }
  return steps;
}

}  // namespace

Json ProfileRows(const kiln_function_info& function, const ProfilingExecutor& profile,
                 const MachineLimits& limits) {
  std::vector<StepTime> steps = JoinSections(StepTimes(function, profile));
  std::ranges::stable_sort(steps, std::greater(), &StepTime::ns);
  double total = 1e-9;
  for (const StepTime& step : steps) total += static_cast<double>(step.ns);
  Json rows = Json::array();
  for (const StepTime& step : steps) {
    const double ns = static_cast<double>(std::max<int64_t>(step.ns, 1));
    const double gflops = step.flops / ns, gbps = step.bytes / ns;
    const double fma = limits.gflops > 0 ? gflops / limits.gflops : 0;
    const double memory = limits.gbps > 0 ? gbps / limits.gbps : 0;
    rows.push_back({{"kernel", step.kernel},
                    {"nodes", step.sources},
                    {"ms", static_cast<double>(step.ns) * 1e-6},
                    {"share", static_cast<double>(step.ns) / total},
                    {"gflops", gflops},
                    {"gbps", gbps},
                    {"limit", fma >= memory ? "fma" : "memory"},
                    {"limit_share", std::max(fma, memory)}});
  }
  return rows;
}

void PrintProfile(const Json& rows, const MachineLimits& limits, double run_ms) {
  size_t width = 6;
  double sum = 0;
  for (const Json& row : rows) {
    width = std::max(width, std::string(row["kernel"]).size());
    sum += double{row["ms"]};
  }
  const int columns = static_cast<int>(std::min<size_t>(width, 40)) + 2;
  PrintOut(StrCat("limits       ", Format("%.1f GFLOP/s of multiply-adds", limits.gflops),
                  Format(", %.1f GB/s read from memory\n", limits.gbps)));
  PrintOut(StrCat("kernels      ", Format("%.4f ms together", sum),
                  Format(", %.1f%% of a run\n", 100 * sum / std::max(run_ms, 1e-9))));
  PrintOut(StrCat("\n      ms   share  GFLOP/s     GB/s      of limit  ", Pad("kernel", columns),
                  "nodes\n"));
  for (const Json& row : rows) {
    PrintOut(StrCat(Format("%8.4f", row["ms"]), Format(" %6.1f%%", 100 * double{row["share"]}),
                    Format(" %8.1f", row["gflops"]), Format(" %8.1f", row["gbps"]),
                    Format(" %5.0f%% ", 100 * double{row["limit_share"]}),
                    Pad(std::string(row["limit"]), 8), Pad(std::string(row["kernel"]), columns),
                    std::string(row["nodes"]), "\n"));
  }
}

}  // namespace kiln
