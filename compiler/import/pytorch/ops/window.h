// The arguments by which convolutions and pools say how their window slides.
#pragma once

#include "compiler/import/foreign/window.h"
#include "compiler/import/pytorch/node.h"

namespace kiln::pytorch_import {

/// The integers in an argument, one for each of `rank` dimensions; a single one counts for all, and
/// `otherwise` where there is none. Each must be `minimum` to 2^31.
StatusOr<std::vector<int64_t>> PerDimension(Node& n, const std::string& name, size_t rank,
                                            int64_t otherwise, int64_t minimum);

/// Reads stride, padding and dilation of a window with this kernel. `strides` stands where no
/// stride is given.
StatusOr<Window> ReadWindow(Node& n, std::vector<int64_t> kernel,
                            const std::vector<int64_t>& strides);

/// x with a batch of 1 in front where it has but `rank` dimensions and its channels.
StatusOr<Op*> WithBatch(Node& n, Op* x, size_t rank);

/// The reverse, where `x` had no batch.
StatusOr<Op*> WithoutBatch(Node& n, const Op* x, const StatusOr<Op*>& y, size_t rank);

}  // namespace kiln::pytorch_import
