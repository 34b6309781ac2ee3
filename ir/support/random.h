// SplitMix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014): a
// generator of full period for which every seed is fine. A seed gives the same numbers everywhere.
#pragma once

#include <cstdint>
#include <string_view>

namespace kiln {

class SplitMix64 {
 public:
  /// Of equal seeds, each `name` gives numbers of its own.
  explicit SplitMix64(uint64_t seed, std::string_view name = {}) : state_(seed) {
    for (const char c : name) state_ = (state_ ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  }
  uint64_t Next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  /// In [0, 1).
  double Uniform() { return static_cast<double>(Next() >> 11) * 0x1p-53; }

 private:
  uint64_t state_;
};

}  // namespace kiln
