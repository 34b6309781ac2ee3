// Arrays for tests: seeded values for the inputs of a graph, and comparison with tolerances.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ir/eval/array.h"
#include "ir/graph/graph.h"

namespace kiln {

/// What random values lie in, bounds included.
struct Range {
  double low = -2;
  double high = 2;
};

/// Values of `type` in `range`, from the seed and a name. Floats are representable in the type; one
/// in eight is a bound of the range, 0, 1 or -1. Unsigned integers stay at 0 or above.
Array RandomArray(const TensorType& type, uint64_t seed, std::string_view name, Range range = {});

/// One array for each input of `graph`, from the seed and the input's public name. The module's
/// metadata may set the range of inputs: "range NAME" = "LOW HIGH" for the inputs NAME of all
/// functions, "range @FUNCTION NAME" for one.
std::vector<Array> RandomInputs(const Graph& graph, uint64_t seed);

/// |actual - expected| <= relative |expected| + scaled max(1, the largest finite |expected|).
struct Tolerance {
  double relative = 1e-4;
  double scaled = 1e-5;
};

/// What differs: types, or the first element out of tolerance and how many there are; nullopt when
/// nothing does. A NaN agrees with a NaN, an infinity with itself; integers must be equal.
std::optional<std::string> Mismatch(const Array& expected, const Array& actual,
                                    Tolerance tolerance = {});

/// The same for lists of arrays; names the one that differs.
std::optional<std::string> Mismatch(const std::vector<Array>& expected,
                                    const std::vector<Array>& actual, Tolerance tolerance = {});

}  // namespace kiln
