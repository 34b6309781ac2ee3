// Pictures and pages of a run: its curves as SVG, and a page of HTML with the curves, the
// configuration and the confusion matrix. Both are whole in themselves: no scripts, nothing from
// elsewhere.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "runtime/train/run_state.h"
#include "runtime/train/trainer.h"

namespace kiln {

/// A line of a chart; points without a finite y are left out.
struct Curve {
  std::string name;
  std::vector<std::pair<double, double>> points;
};

/// A chart of curves over one x axis, `width` x `height` pixels; on a logarithmic y axis where
/// `log_y` and all values are above 0.
std::string ChartSvg(const std::string& title, const std::string& x_label,
                     const std::vector<Curve>& curves, bool log_y = false, int width = 720,
                     int height = 320);

/// The curves of a history over epochs, one chart below the other: losses, accuracies where there
/// are any, and the rate.
std::string HistorySvg(const std::vector<HistoryRow>& history);

struct Report {
  std::string title;
  std::vector<std::pair<std::string, std::string>> configuration;
  const RunState* state = nullptr;
  const Evaluation* test = nullptr;
  std::vector<std::string> class_names;  ///< empty: numbers
};

std::string ReportHtml(const Report& report);

}  // namespace kiln
