#include "runtime/limits.h"

#include <gtest/gtest.h>

namespace kiln {
namespace {

// From an emulated core without vectors to a machine of a thousand cores with 512-bit ones; a wrong
// unit or an optimised-away loop falls outside.
TEST(LimitsTest, FmaPeakIsPlausible) {
  ThreadPool one(1), two(2);
  const double peak = MeasureFmaPeak(one);
  EXPECT_GT(peak, 0.05);
  EXPECT_LT(peak, 1000);
  EXPECT_GT(MeasureFmaPeak(two), peak / 4);
}

TEST(LimitsTest, ReadBandwidthIsPlausible) {
  ThreadPool pool(2);
  const double bandwidth = MeasureReadBandwidth(pool);
  EXPECT_GT(bandwidth, 0.05);
  EXPECT_LT(bandwidth, 2000);
}

}  // namespace
}  // namespace kiln
