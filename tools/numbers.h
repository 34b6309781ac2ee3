// Checks of the command line's numbers, for CLI11, whose own let nan pass and clamp whole numbers
// that do not fit into 64 bits.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <limits>

namespace kiln {

/// A whole number from `least` to `most`.
CLI::Validator WholeNumber(int64_t least, int64_t most = std::numeric_limits<int64_t>::max());

/// A number from `least` to `most`.
CLI::Validator Number(double least, double most);

/// Any number that is finite as a float.
CLI::Validator FiniteNumber();

}  // namespace kiln
