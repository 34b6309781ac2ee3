// differentiate: reverse-mode differentiation of a graph, in the graph.
//
//   d loss / d x = sum over the users u of x of  gradient(u, x, d loss / d u)
//
// The gradients are ops like any others, appended to the graph: they print, are optimised and
// compiled as the rest. Only what a wanted gradient needs is built: nothing behind values that do
// not depend on the wanted ones, or that the loss does not depend on. A composite without a
// gradient of its own is replaced by its decomposition first.
#pragma once

#include <vector>

#include "ir/graph/graph.h"
#include "ir/support/status.h"

namespace kiln {

/// The gradients of `loss`, a scalar (one element) of a float type in the graph, with respect to
/// each of `wanted`, ops of the same graph of float types; nullptr where it is zero everywhere.
/// Reads of one parameter count as one: the gradient is that of the parameter, whichever of its
/// reads is asked for. Errors name every op on the way that cannot be differentiated.
StatusOr<std::vector<Op*>> Differentiate(Op* loss, const std::vector<Op*>& wanted);

}  // namespace kiln
