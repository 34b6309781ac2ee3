// The reference interpreter: runs a graph op by op with the definitions' `evaluate`. Naive,
// obvious, in double precision; the oracle of all tests and the engine of constant folding.
#pragma once

#include <span>
#include <vector>

#include "ir/eval/array.h"
#include "ir/graph/graph.h"
#include "ir/support/status.h"

namespace kiln {

/// What floating-point results are rounded to before the next op reads them, the steps of composite
/// ops and fusion bodies among them.
enum class Rounding {
  kNone,         ///< they stay doubles: the oracle of what is true
  kElementType,  ///< their element type: what a machine that computes op by op finds
  kUp,           ///< the least value of their element type that is not below
  kDown,         ///< the greatest that is not above
};

/// The outputs of `graph`, in order, for `inputs` in the order of graph.inputs(), whose element
/// types and shapes they must have. Layouts do not matter: arrays are logical. Composite ops are
/// decomposed in a scratch graph, fusion bodies interpreted. An array is freed after its last use.
/// Errors name the op; among them: a parameter or constant whose values are unknown.
StatusOr<std::vector<Array>> Interpret(const Graph& graph, const std::vector<Array>& inputs,
                                       Rounding rounding = Rounding::kNone);

/// The value of one op that is no `input`, from the values of its operands.
StatusOr<Array> EvaluateOp(const Op& op, std::span<const Array* const> operands);

}  // namespace kiln
