// Random numbers for tests: the same on every machine for the same seed.
#pragma once

#include <cstdint>
#include <vector>

#include "ir/support/random.h"

namespace kiln {

class Random : public SplitMix64 {
 public:
  using SplitMix64::SplitMix64;

  using SplitMix64::Uniform;
  double Uniform(double low, double high) { return low + (high - low) * Uniform(); }
  /// From `low` to `high`, both included.
  int64_t Int(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(Next() % static_cast<uint64_t>(high - low + 1));
  }
  bool Chance(double probability) { return Uniform() < probability; }
  template <typename T>
  const T& Pick(const std::vector<T>& choices) {
    return choices[static_cast<size_t>(Next() % choices.size())];
  }
};

}  // namespace kiln
