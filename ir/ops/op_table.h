// The explicit list of op families. Each family is one file that defines its ops completely; a new
// family is one file, one declaration here and one line in op_table.cc. (No static registration:
// linkers drop it.)
#pragma once

#include <vector>

#include "ir/graph/op_def.h"

namespace kiln {

std::vector<OpDef> LeafOps();  // leaf.cc: input, parameter, constant, fusion

}  // namespace kiln
