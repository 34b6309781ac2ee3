// Runs every function of the op cases (tests/ops/cases/*.kir) through the reference interpreter and
// through something under test, and compares.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ir/eval/array.h"
#include "ir/graph/graph.h"
#include "ir/support/status.h"

namespace kiln::testing_support {

/// Runs one function of a module that `prepare` has seen.
using RunFunction = std::function<StatusOr<std::vector<Array>>(const std::string& function,
                                                               const std::vector<Array>& inputs)>;

/// For every case file: `prepare` gets its module once and returns what runs its functions. Reports
/// differences as test failures. A case whose random inputs the interpreter refuses (an index out
/// of range) is passed over; `*compared` counts the others.
void CompareOpCases(const std::function<StatusOr<RunFunction>(const Module& module)>& prepare,
                    int* compared);

/// Fails the current test where the two differ by more than rounding.
void ExpectClose(const Array& expected, const Array& actual, const std::string& what);

/// Seeded values: floats in [-2, 2], integers 0 to 2.
Array RandomArray(const TensorType& type, uint64_t seed);

}  // namespace kiln::testing_support
