// Learning rates by iteration: Caffe's policies (SolverParameter.lr_policy), cosine, and a linear
// warm-up in front of any of them. The rate is computed here and passed to train_step.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace kiln {

/// With b the base rate, g gamma, it the iteration from 0:
enum class RateKind {
  kFixed,      ///< b
  kStep,       ///< b g^floor(it / step_size)
  kExp,        ///< b g^it
  kInv,        ///< b (1 + g it)^-power
  kMultistep,  ///< b g^(how many of step_values are <= it)
  kPoly,       ///< b (1 - it / max_iterations)^power
  kSigmoid,    ///< b / (1 + e^(-g (it - step_size)))
  kCosine,     ///< b/2 (1 + cos(pi it / max_iterations))
};

/// "fixed", "step", "exp", "inv", "multistep", "poly", "sigmoid", "cosine".
std::string_view Name(RateKind kind);
std::optional<RateKind> ParseRateKind(std::string_view name);

struct RatePolicy {
  RateKind kind = RateKind::kFixed;
  double base = 0.01;
  double gamma = 0.1;
  double power = 1;
  int64_t step_size = 1;
  std::vector<int64_t> step_values;  ///< increasing
  int64_t max_iterations = 1;        ///< from there on poly and cosine stay at their end
  int64_t warmup = 0;                ///< iteration it < warmup has (it + 1) / warmup of the rate
};

/// An error that names the first value which makes no sense for the kind.
absl::Status Check(const RatePolicy& policy);

/// The rate of iteration `iteration` >= 0.
double Rate(const RatePolicy& policy, int64_t iteration);

}  // namespace kiln
