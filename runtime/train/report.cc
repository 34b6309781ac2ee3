#include "runtime/train/report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

#include "absl/strings/str_cat.h"
#include "runtime/html.h"

namespace kiln {

namespace {

constexpr const char* kColours[] = {"#1f6fb4", "#d9541e", "#2a9d4a", "#8a4fbf"};
constexpr int kLeft = 64, kRight = 16, kTop = 34, kBottom = 44;
constexpr size_t kMaxPoints = 2000;  // of a curve; more cannot be seen
constexpr int64_t kMaxMatrix = 50;   // classes whose confusion matrix is shown

std::string Short(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

std::string Fixed(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value);
  return text;
}

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  void Add(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  bool empty() const { return low > high; }
};

// Round numbers that divide a range into about five.
std::vector<double> Ticks(const Range& range) {
  const double raw = (range.high - range.low) / 5;
  const double power = std::pow(10, std::floor(std::log10(raw)));
  const double scaled = raw / power;
  const double step = power * (scaled < 1.5 ? 1 : scaled < 3.5 ? 2 : scaled < 7.5 ? 5 : 10);
  std::vector<double> ticks;
  for (double i = std::ceil(range.low / step); i * step <= range.high + step * 1e-9; ++i) {
    ticks.push_back(i * step);
  }
  return ticks;
}

class Chart {
 public:
  Chart(const std::vector<Curve>& curves, bool log_y, int top, int width, int height)
      : log_(log_y), top_(top), width_(width), height_(height) {
    for (const Curve& curve : curves) {
      for (const auto& [x, y] : curve.points) log_ = log_ && !(y <= 0);
    }
    for (const Curve& curve : curves) {
      for (const auto& [x, y] : curve.points) {
        if (!std::isfinite(y)) continue;
        x_.Add(x);
        y_.Add(Scaled(y));
      }
    }
    for (Range* const range : {&x_, &y_}) {
      if (range->empty()) *range = {0, 1};
      if (range->high - range->low < 1e-12 * std::max(1.0, std::abs(range->high))) {
        range->low -= 0.5;
        range->high += 0.5;
      }
    }
  }

  std::string Draw(const std::string& title, const std::string& x_label,
                   const std::vector<Curve>& curves) const {
    std::string svg = absl::StrCat("<text x=\"", kLeft, "\" y=\"", top_ + 20,
                                   "\" font-weight=\"bold\">", HtmlEscaped(title), "</text>\n");
    for (const double tick : Ticks(x_)) {
      const std::string x = Fixed(X(tick));
      absl::StrAppend(&svg, "<line x1=\"", x, "\" x2=\"", x, "\" y1=\"", top_ + kTop, "\" y2=\"",
                      top_ + height_ - kBottom, "\" stroke=\"#ddd\"/><text x=\"", x, "\" y=\"",
                      top_ + height_ - kBottom + 16, "\" text-anchor=\"middle\">", Short(tick),
                      "</text>\n");
    }
    for (const double tick : Ticks(y_)) {
      const std::string y = Fixed(Y(tick));
      absl::StrAppend(&svg, "<line x1=\"", kLeft, "\" x2=\"", width_ - kRight, "\" y1=\"", y,
                      "\" y2=\"", y, "\" stroke=\"#ddd\"/><text x=\"", kLeft - 6, "\" y=\"", y,
                      "\" dy=\"4\" text-anchor=\"end\">", Short(log_ ? std::pow(10, tick) : tick),
                      "</text>\n");
    }
    absl::StrAppend(&svg, "<text x=\"", (width_ + kLeft) / 2, "\" y=\"", top_ + height_ - 10,
                    "\" text-anchor=\"middle\">", HtmlEscaped(x_label), "</text>\n");
    for (size_t i = 0; i < curves.size(); ++i) svg += Line(curves[i], i);
    return svg;
  }

 private:
  double Scaled(double y) const { return log_ ? std::log10(y) : y; }
  double X(double x) const {
    return kLeft + (x - x_.low) / (x_.high - x_.low) * (width_ - kLeft - kRight);
  }
  double Y(double y) const {
    const double inner = height_ - kTop - kBottom;
    return top_ + kTop + inner - (y - y_.low) / (y_.high - y_.low) * inner;
  }

  std::string Line(const Curve& curve, size_t index) const {
    const char* const colour = kColours[index % std::size(kColours)];
    std::string points;
    const size_t stride = curve.points.size() / kMaxPoints + 1;
    for (size_t i = 0; i < curve.points.size(); ++i) {
      const auto& [x, y] = curve.points[i];
      if (!std::isfinite(y) || (i % stride != 0 && i + 1 != curve.points.size())) continue;
      absl::StrAppend(&points, Fixed(X(x)), ",", Fixed(Y(Scaled(y))), " ");
    }
    const int label = width_ - kRight - 150 * static_cast<int>(index + 1);
    return absl::StrCat("<polyline fill=\"none\" stroke=\"", colour,
                        "\" stroke-width=\"1.5\" points=\"", points, "\"/>\n<text x=\"", label,
                        "\" y=\"", top_ + 20, "\" fill=\"", colour, "\">", HtmlEscaped(curve.name),
                        "</text>\n");
  }

  bool log_;
  int top_, width_, height_;
  Range x_, y_;
};

std::string Svg(int width, int height, const std::string& content) {
  return absl::StrCat("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"", width, "\" height=\"",
                      height, "\" viewBox=\"0 0 ", width, " ", height,
                      "\" font-family=\"sans-serif\" font-size=\"12\">\n"
                      "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
                      content, "</svg>\n");
}

Curve CurveOf(const std::vector<HistoryRow>& history, const char* name,
              double HistoryRow::* value) {
  Curve curve{name, {}};
  for (const HistoryRow& row : history) {
    if (std::isfinite(row.*value)) curve.points.emplace_back(row.epoch, row.*value);
  }
  return curve;
}

std::string Table(const std::vector<std::pair<std::string, std::string>>& rows) {
  std::string html = "<table>\n";
  for (const auto& [name, value] : rows) {
    absl::StrAppend(&html, "<tr><th>", HtmlEscaped(name), "</th><td>", HtmlEscaped(value),
                    "</td></tr>\n");
  }
  return html + "</table>\n";
}

// Rows are labels, columns what the model says; the darker, the larger its part of the row.
std::string ConfusionTable(const Report& report) {
  const std::vector<int64_t>& confusion = report.test->confusion;
  const auto classes = static_cast<int64_t>(std::llround(std::sqrt(confusion.size())));
  if (classes == 0 || classes > kMaxMatrix) return "";
  const auto name = [&](int64_t i) {
    return static_cast<int64_t>(report.class_names.size()) == classes
               ? HtmlEscaped(report.class_names[static_cast<size_t>(i)])
               : std::to_string(i);
  };
  std::string html =
      "<h2>Confusion matrix</h2>\n<p>Rows: what an item is; columns: what the model says.</p>\n"
      "<table class=\"matrix\">\n<tr><th></th>";
  for (int64_t i = 0; i < classes; ++i) absl::StrAppend(&html, "<th>", name(i), "</th>");
  html += "<th>right</th></tr>\n";
  for (int64_t row = 0; row < classes; ++row) {
    const auto start = confusion.begin() + row * classes;
    int64_t sum = 0;
    for (int64_t i = 0; i < classes; ++i) sum += start[i];
    absl::StrAppend(&html, "<tr><th>", name(row), "</th>");
    for (int64_t i = 0; i < classes; ++i) {
      const double part =
          static_cast<double>(start[i]) / static_cast<double>(std::max<int64_t>(sum, 1));
      const char* const rgb = i == row ? "42,157,74" : "217,84,30";
      absl::StrAppend(&html, "<td style=\"background:rgba(", rgb, ",", Short(part), ")\">",
                      start[i], "</td>");
    }
    absl::StrAppend(&html, "<td>",
                    Fixed(100 * static_cast<double>(start[row]) /
                          static_cast<double>(std::max<int64_t>(sum, 1))),
                    " %</td></tr>\n");
  }
  return html + "</table>\n";
}

}  // namespace

std::string ChartSvg(const std::string& title, const std::string& x_label,
                     const std::vector<Curve>& curves, bool log_y, int width, int height) {
  return Svg(width, height, Chart(curves, log_y, 0, width, height).Draw(title, x_label, curves));
}

std::string HistorySvg(const std::vector<HistoryRow>& history) {
  constexpr int kWidth = 720, kHeight = 260;
  std::vector<std::pair<std::string, std::vector<Curve>>> charts;
  charts.push_back({"Loss",
                    {CurveOf(history, "train", &HistoryRow::loss),
                     CurveOf(history, "test", &HistoryRow::test_loss)}});
  const Curve accuracy = CurveOf(history, "top 1", &HistoryRow::test_accuracy);
  if (!accuracy.points.empty()) {
    charts.push_back(
        {"Test accuracy", {accuracy, CurveOf(history, "top 5", &HistoryRow::test_top5)}});
  }
  charts.push_back({"Learning rate", {CurveOf(history, "rate", &HistoryRow::rate)}});
  std::string content;
  int top = 0;
  for (const auto& [title, curves] : charts) {
    content += Chart(curves, false, top, kWidth, kHeight).Draw(title, "epoch", curves);
    top += kHeight;
  }
  return Svg(kWidth, top, content);
}

std::string ReportHtml(const Report& report) {
  const RunState& state = *report.state;
  const std::string title = HtmlEscaped(report.title);
  std::vector<std::pair<std::string, std::string>> results = {
      {"test loss", Short(report.test->loss)}};
  if (std::isfinite(report.test->accuracy)) {
    results.emplace_back("test accuracy", Short(report.test->accuracy));
  }
  if (std::isfinite(report.test->top5)) {
    results.emplace_back("test accuracy, top 5", Short(report.test->top5));
  }
  results.emplace_back("steps", std::to_string(state.step));
  if (state.best_step >= 0)
    results.emplace_back("best test at step", std::to_string(state.best_step));
  results.emplace_back("seconds", Fixed(state.seconds));
  return absl::StrCat(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>", title,
      "</title>\n<style>\nbody{font-family:sans-serif;margin:1em "
      "2em}table{border-collapse:collapse}"
      "th{text-align:left;font-weight:normal;color:#555;padding:2px 12px 2px 0}"
      "td{padding:2px 8px}.matrix td,.matrix th{text-align:right;border:1px solid #eee;"
      "padding:2px 6px}\n</style>\n</head>\n<body>\n<h1>",
      title, "</h1>\n<h2>Result</h2>\n", Table(results), "<h2>Curves</h2>\n",
      HistorySvg(state.history), ConfusionTable(report), "<h2>Configuration</h2>\n",
      Table(report.configuration), "</body>\n</html>\n");
}

}  // namespace kiln
