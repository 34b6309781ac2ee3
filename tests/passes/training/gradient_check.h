// Gradients against central differences, in double precision.
#pragma once

#include <cstdint>
#include <string>

#include "tests/support/differentiated.h"

namespace kiln {

enum class GradientVerdict {
  kRight,
  kWrong,
  kUndefined,  ///< an edge, a pole or an invalid value near the inputs drawn: nothing to compare
};

struct GradientCheck {
  GradientVerdict verdict = GradientVerdict::kRight;
  std::string message;   ///< of what is wrong
  bool nonzero = false;  ///< some gradient was not 0
};

/// Compares, for every wanted input x, the gradient g with a central difference along v = sign(g)
/// times random lengths, so that the terms of g.v do not cancel: equal within 1e-6 relative, beside
/// what the rounding of the scalar's own terms allows.
GradientCheck CheckGradients(const Differentiated& differentiated, uint64_t seed);

}  // namespace kiln
