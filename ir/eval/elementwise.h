// Evaluates elementwise ops, many elements at a time, by the very expression that is compiled.
#pragma once

#include <span>

#include "ir/eval/array.h"
#include "ir/graph/graph.h"
#include "ir/graph/tensor.h"
#include "ir/support/status.h"

namespace kiln {

/// `op` has the trait kElementwise. `result` has its type.
Status EvaluateElementwise(const Op& op, std::span<const Array* const> operands, Array& result);

/// The same on known row-major tensors, without an array of doubles for each: they may have many
/// megabytes. The result is deferred.
StatusOr<Tensor> EvaluateElementwise(const Op& op, std::span<const Tensor* const> operands);

}  // namespace kiln
