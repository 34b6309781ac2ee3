// The explicit list of op families. Each family is one file that defines its ops completely; a new
// family is one file, one declaration here and one line in op_table.cc. (No static registration:
// linkers drop it.)
#pragma once

#include <vector>

#include "ir/graph/op_def.h"

namespace kiln {

std::vector<OpDef> LeafOps();               // input, parameter, constant, fusion
std::vector<OpDef> ElementwiseUnaryOps();   // functions of one operand, clip, cast
std::vector<OpDef> ElementwiseBinaryOps();  // arithmetic, comparisons, logic, where
std::vector<OpDef> ActivationOps();         // relu, elu, gelu, ...
std::vector<OpDef> MovementOps();           // reshape, transpose, broadcast, relayout, iota
std::vector<OpDef> SliceOps();              // slice, concat, pad
std::vector<OpDef> GatherOps();             // gather, gather_elements, gather_nd
std::vector<OpDef> ScatterOps();            // scatter_elements, scatter_nd

}  // namespace kiln
