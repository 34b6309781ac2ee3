#include "runtime/train/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kiln {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(ChartSvg, DrawsEveryCurveFromEdgeToEdge) {
  const std::string svg =
      ChartSvg("Loss <1>", "step", {{"a", {{0, 10}, {10, 0}}}, {"b", {{0, 5}, {5, 0 / 0.0}}}});
  EXPECT_THAT(svg, HasSubstr("<svg xmlns=\"http://www.w3.org/2000/svg\""));
  EXPECT_THAT(svg, HasSubstr("Loss &lt;1&gt;"));
  EXPECT_THAT(svg, HasSubstr("points=\"64.0,34.0 704.0,276.0 \""));
  EXPECT_THAT(svg, HasSubstr("points=\"64.0,155.0 \""));  // half the height; no NaN
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
}

TEST(ChartSvg, ScalesByPowersOfTen) {
  const std::string svg = ChartSvg("t", "x", {{"a", {{0, 1}, {1, 10}, {2, 100}}}}, true);
  EXPECT_THAT(svg, HasSubstr("points=\"64.0,276.0 384.0,155.0 704.0,34.0 \""));
  EXPECT_THAT(ChartSvg("t", "x", {{"a", {{0, 0}, {2, 100}}}}, true),
              HasSubstr("points=\"64.0,276.0 704.0,34.0 \""));
  EXPECT_THAT(ChartSvg("t", "x", {{"a", {}}}), Not(HasSubstr("nan")));
}

TEST(ReportHtml, IsWholeInItself) {
  RunState state;
  state.step = 12;
  HistoryRow row;
  row.epoch = 1;
  row.loss = 2;
  row.test_accuracy = 0.5;
  state.history = {row};
  const Evaluation test{.loss = 1.5, .accuracy = 0.75, .top5 = 1, .confusion = {3, 1, 0, 4}};
  const Report report{.title = "a & b",
                      .configuration = {{"optimizer", "sgd"}},
                      .state = &state,
                      .test = &test,
                      .class_names = {"cat", "<dog>"}};
  const std::string html = ReportHtml(report);
  EXPECT_THAT(html, HasSubstr("<h1>a &amp; b</h1>"));
  EXPECT_THAT(html, HasSubstr("<svg"));
  EXPECT_THAT(html, HasSubstr("<th>optimizer</th><td>sgd</td>"));
  EXPECT_THAT(html, HasSubstr("&lt;dog&gt;"));
  EXPECT_THAT(html, HasSubstr("75.0 %"));
  EXPECT_THAT(html, HasSubstr("100.0 %"));
  EXPECT_THAT(html, Not(HasSubstr("<script")));
  EXPECT_THAT(html, Not(HasSubstr("src=")));
  EXPECT_THAT(html, Not(HasSubstr("href=")));
}

}  // namespace
}  // namespace kiln
