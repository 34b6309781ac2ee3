// Random numbers for tests: the same on every machine for the same seed.
#pragma once

#include <cmath>
#include <cstdint>
#include <string_view>
#include <vector>

namespace kiln {

/// splitmix64: a full-period generator for which every seed is fine.
class Random {
 public:
  explicit Random(uint64_t seed, std::string_view name = {}) : state_(seed) {
    for (const char c : name) state_ = (state_ ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  }

  uint64_t Next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  /// In [0, 1).
  double Uniform() { return std::ldexp(static_cast<double>(Next() >> 11), -53); }
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

 private:
  uint64_t state_;
};

}  // namespace kiln
