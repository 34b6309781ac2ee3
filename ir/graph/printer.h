// The text form of the graph IR (.kir): complete, deterministic, and read back by parser.h to an
// equal module.
//
//   module "lenet" {
//     metadata "producer" = "pytorch"
//     parameter "conv1.weight" : f32[64,3,7,7] = file("2cf24dba5fb0a30e26e83b2ac5b9e29e")
//     parameter "mean" : f32[3] = dense([0.5,0.25,nan]) frozen
//     func @forward(%x: f32[1,3,8,8], %in_2: f32[1] loc("in:2")) -> ("y": %relu) {
//       %w = parameter() {name="conv1.weight"} : f32[64,3,7,7]
//       %conv = conv(%x, %w) {pads_low=[3,3], strides=[2,2]} : f32[1,64,4,4] loc("conv1")
//       %f = fusion(%conv, %in_2) : f32[1,64,4,4]{0,2,3,1} loc("add1", "relu1") {
//         (%p0: f32[1,64,4,4], %p1: f32[1])
//         %sum = add(%p0, %p1) : f32[1,64,4,4]
//         -> %sum
//       }
//     }
//   }
//
// - `//` starts a comment. Strings escape `"`, `\`, newline and other control characters (Quote).
// - Attributes equal to their default are left out. Doubles print in the shortest form that reads
//   back to the same value.
// - Tensors of at most kMaxInlineElements elements in memory stand in the text (in memory order,
//   exact, see element_text.h); larger ones, and those whose values are unknown, are named by their
//   content hash, and their bytes live in the side file (side_file.h).
// - `loc` gives an op's sources. An input without it has its SSA name as its public name.
// - The graph name of a fusion body and the name of its output mean nothing and are not kept.
#pragma once

#include <string>

#include "ir/graph/graph.h"

namespace kiln {

inline constexpr int64_t kMaxInlineElements = 64;

/// Whether the text form of `tensor` holds its values.
bool IsInline(const Tensor& tensor);

std::string Print(const Module& module);
/// One function, as it stands in a module.
std::string Print(const Graph& graph);
/// One op, its body included; ends with a newline.
std::string Print(const Op& op);

/// An attribute's value as the text form writes it.
std::string Print(const Attribute& attribute);

}  // namespace kiln
