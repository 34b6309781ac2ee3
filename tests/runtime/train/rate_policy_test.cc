#include "runtime/train/rate_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace kiln {
namespace {

using testing::HasSubstr;

TEST(RatePolicy, FollowsCaffesFormulas) {
  const auto rate = [](RatePolicy policy, int64_t iteration) { return Rate(policy, iteration); };
  EXPECT_DOUBLE_EQ(rate({.kind = RateKind::kFixed, .base = 0.3}, 1000), 0.3);
  const RatePolicy step{.kind = RateKind::kStep, .base = 1, .gamma = 0.1, .step_size = 10};
  EXPECT_DOUBLE_EQ(rate(step, 9), 1);
  EXPECT_DOUBLE_EQ(rate(step, 10), 0.1);
  EXPECT_DOUBLE_EQ(rate(step, 29), 0.01);
  EXPECT_DOUBLE_EQ(rate({.kind = RateKind::kExp, .base = 2, .gamma = 0.5}, 3), 0.25);
  const RatePolicy inv{.kind = RateKind::kInv, .base = 0.01, .gamma = 0.0001, .power = 0.75};
  EXPECT_DOUBLE_EQ(rate(inv, 5000), 0.01 * std::pow(1.5, -0.75));  // LeNet's own, half way
  const RatePolicy multistep{
      .kind = RateKind::kMultistep, .base = 1, .gamma = 0.5, .step_values = {3, 7}};
  EXPECT_DOUBLE_EQ(rate(multistep, 2), 1);
  EXPECT_DOUBLE_EQ(rate(multistep, 3), 0.5);
  EXPECT_DOUBLE_EQ(rate(multistep, 8), 0.25);
  const RatePolicy poly{.kind = RateKind::kPoly, .base = 4, .power = 2, .max_iterations = 100};
  EXPECT_DOUBLE_EQ(rate(poly, 50), 1);
  EXPECT_DOUBLE_EQ(rate(poly, 200), 0);
  const RatePolicy sigmoid{.kind = RateKind::kSigmoid, .base = 1, .gamma = -0.1, .step_size = 20};
  EXPECT_DOUBLE_EQ(rate(sigmoid, 20), 0.5);
  EXPECT_DOUBLE_EQ(rate(sigmoid, 30), 1 / (1 + std::exp(1.0)));
}

TEST(RatePolicy, CosineEndsAtZeroAndWarmupStartsThere) {
  RatePolicy cosine{.kind = RateKind::kCosine, .base = 2, .max_iterations = 10};
  EXPECT_DOUBLE_EQ(Rate(cosine, 0), 2);
  EXPECT_NEAR(Rate(cosine, 5), 1, 1e-12);
  EXPECT_NEAR(Rate(cosine, 10), 0, 1e-12);
  cosine.warmup = 4;
  EXPECT_DOUBLE_EQ(Rate(cosine, 0), 0.5);
  EXPECT_DOUBLE_EQ(Rate(cosine, 4), 1 + std::cos(0.4 * M_PI));
}

TEST(RatePolicy, NamesReadBack) {
  for (const RateKind kind :
       {RateKind::kFixed, RateKind::kStep, RateKind::kExp, RateKind::kInv, RateKind::kMultistep,
        RateKind::kPoly, RateKind::kSigmoid, RateKind::kCosine}) {
    EXPECT_EQ(ParseRateKind(Name(kind)), kind);
  }
  EXPECT_FALSE(ParseRateKind("linear"));
}

TEST(RatePolicy, RefusesWhatMakesNoSense) {
  const auto message = [](const RatePolicy& policy) {
    return std::string(Check(policy).message());
  };
  EXPECT_EQ(message({}), "");
  EXPECT_THAT(message({.kind = RateKind::kStep, .step_size = 0}), HasSubstr("step_size"));
  EXPECT_THAT(message({.kind = RateKind::kPoly, .max_iterations = 0}), HasSubstr("max_iterations"));
  EXPECT_THAT(message({.base = NAN}), HasSubstr("finite"));
  EXPECT_THAT(message({.warmup = -1}), HasSubstr("warmup"));
  EXPECT_THAT(message({.kind = RateKind::kMultistep, .step_values = {5, 3}}),
              HasSubstr("step_values"));
}

}  // namespace
}  // namespace kiln
