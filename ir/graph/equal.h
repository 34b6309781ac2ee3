// Structural equality: what the text form and the native format keep.
#pragma once

#include <string>

#include "ir/graph/graph.h"

namespace kiln {

/// Same kind and value; doubles by their bits, but any NaN equals any other.
bool Equal(const Attribute& a, const Attribute& b);

/// Same name, metadata, parameters and functions, op for op: kinds, SSA names, types, operands,
/// attributes, sources, bodies, tensors by content. When they differ and `difference` is not null,
/// it says where.
bool Equal(const Module& a, const Module& b, std::string* difference = nullptr);

}  // namespace kiln
