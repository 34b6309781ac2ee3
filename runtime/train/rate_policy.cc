#include "runtime/train/rate_policy.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <string>

#include "absl/strings/str_cat.h"

namespace kiln {

namespace {

constexpr struct {
  RateKind kind;
  std::string_view name;
} kKinds[] = {
    {RateKind::kFixed, "fixed"},     {RateKind::kStep, "step"},           {RateKind::kExp, "exp"},
    {RateKind::kInv, "inv"},         {RateKind::kMultistep, "multistep"}, {RateKind::kPoly, "poly"},
    {RateKind::kSigmoid, "sigmoid"}, {RateKind::kCosine, "cosine"},
};

double WithoutWarmup(const RatePolicy& policy, int64_t iteration) {
  const auto it = static_cast<double>(iteration);
  const double progress = std::min(1.0, it / static_cast<double>(policy.max_iterations));
  switch (policy.kind) {
    case RateKind::kFixed: return policy.base;
    case RateKind::kStep:
      return policy.base *
             std::pow(policy.gamma, static_cast<double>(iteration / policy.step_size));
    case RateKind::kExp: return policy.base * std::pow(policy.gamma, it);
    case RateKind::kInv: return policy.base * std::pow(1 + policy.gamma * it, -policy.power);
    case RateKind::kMultistep: {
      const auto& steps = policy.step_values;
      const auto passed = std::upper_bound(steps.begin(), steps.end(), iteration) - steps.begin();
      return policy.base * std::pow(policy.gamma, static_cast<double>(passed));
    }
    case RateKind::kPoly: return policy.base * std::pow(1 - progress, policy.power);
    case RateKind::kSigmoid: {
      const double distance = it - static_cast<double>(policy.step_size);
      return policy.base / (1 + std::exp(-policy.gamma * distance));
    }
    case RateKind::kCosine: return policy.base / 2 * (1 + std::cos(M_PI * progress));
  }
  return policy.base;
}

}  // namespace

std::string_view Name(RateKind kind) {
  const auto* const it = std::find_if(std::begin(kKinds), std::end(kKinds),
                                      [&](const auto& entry) { return entry.kind == kind; });
  return it->name;
}

std::optional<RateKind> ParseRateKind(std::string_view name) {
  for (const auto& entry : kKinds) {
    if (entry.name == name) return entry.kind;
  }
  return std::nullopt;
}

absl::Status Check(const RatePolicy& policy) {
  for (const double value : {policy.base, policy.gamma, policy.power}) {
    if (!std::isfinite(value)) {
      return absl::InvalidArgumentError(absl::StrCat("the rate policy '",
                                                     std::string(Name(policy.kind)),
                                                     "' needs finite numbers, found ", value));
    }
  }
  if (policy.kind == RateKind::kStep && policy.step_size < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("step_size must be at least 1, found ", policy.step_size));
  }
  const bool has_end = policy.kind == RateKind::kPoly || policy.kind == RateKind::kCosine;
  if (has_end && policy.max_iterations < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("max_iterations must be at least 1, found ", policy.max_iterations));
  }
  if (policy.warmup < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("warmup must be at least 0, found ", policy.warmup));
  }
  if (!std::is_sorted(policy.step_values.begin(), policy.step_values.end())) {
    return absl::InvalidArgumentError("step_values must increase");
  }
  return absl::OkStatus();
}

double Rate(const RatePolicy& policy, int64_t iteration) {
  const double rate = WithoutWarmup(policy, iteration);
  if (iteration >= policy.warmup) return rate;
  return rate * static_cast<double>(iteration + 1) / static_cast<double>(policy.warmup);
}

}  // namespace kiln
