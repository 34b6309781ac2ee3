// The invariants of the graph IR, by number:
//
//   1. The functions of a module have names that differ; every function belongs to its module.
//   2. A parameter is filed under its name, its type is valid (CheckedByteSize), and the bytes of a
//      known tensor, a parameter's or an attribute's, have the size of its type.
//   3. Every op belongs to the graph that lists it; its SSA name is unique there and holds letters,
//      digits, `_`, `.`, `-` and `/` only.
//   4. The operands of an op stand before it in the same graph.
//   5. users() lists exactly the ops that have this op as an operand, once per operand slot.
//   6. The `input` ops stand first, in the order of inputs(); each has a public name (its first
//      source), unique in its graph, and no operands.
//   7. Outputs are ops of the graph, and their names differ; so do the names of updates, and those
//      are of parameters of the value's element type and shape.
//   8. An op has as many operands as its definition says.
//   9. An op has exactly the attributes that its definition declares, each of the declared kind.
//  10. The type of an op is valid, and but for the layout it is what its definition infers from
//      operands and attributes.
//  11. A region op has a body in the same module, with one input per operand and one output; no
//      other op has one. Bodies nest at most kMaxRegionDepth deep and keep invariants 3 to 11.
#pragma once

#include "ir/graph/graph.h"
#include "ir/support/status.h"

namespace kiln {

/// An InternalError for the first invariant that is broken, with its number and the op's name:
/// "@forward: %conv: invariant 4 is broken: ...".
Status Verify(const Module& module);
/// Invariants 3 to 11 of one function.
Status Verify(const Graph& graph);

}  // namespace kiln
