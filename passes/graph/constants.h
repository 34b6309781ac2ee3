// What is known about values when the model is compiled.
#pragma once

#include <optional>

#include "ir/graph/graph.h"
#include "passes/pass.h"

namespace kiln {

/// The tensor that `op` stands for: of a constant, or of a parameter when parameters are frozen;
/// nullptr when there is none or its values are not at hand.
const Tensor* KnownTensor(const Op& op, const PassContext& context);

/// The one value that all elements of `op` have, when it is known. Row-major tensors only.
std::optional<double> SplatValue(const Op& op, const PassContext& context);

/// Whether `op` depends on constants and frozen parameters only, so that it can be computed at
/// compile time once their values are at hand. Looks at a bounded number of ops, then says no.
bool IsStatic(const Op& op, const PassContext& context);

/// Whether `op`, broadcast against `shape`, varies along dimension `dim` at most: its extents are 1
/// in all others.
bool VariesOnlyAlong(const Op& op, const Shape& shape, size_t dim);

}  // namespace kiln
