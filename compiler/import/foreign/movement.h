// Views and repetitions that operators of several formats are: squeeze, reverse, tile.
#pragma once

#include <vector>

#include "ir/graph/builder.h"

namespace kiln::foreign {

/// x without dimensions `axes`, each of extent 1; an error when one is not.
StatusOr<Op*> Squeeze(Builder& b, Op* x, const std::vector<int64_t>& axes);
/// The dimensions of extent 1.
std::vector<int64_t> UnitAxes(const Shape& shape);
/// x with a dimension of extent 1 put in before dimension `axis`.
StatusOr<Op*> Unsqueeze(Builder& b, Op* x, int64_t axis);

/// x in the opposite order along each of `axes`.
StatusOr<Op*> Reverse(Builder& b, Op* x, const std::vector<int64_t>& axes);

/// x as a whole again and again, `repeats[d]` times along dimension d; an error when one is
/// negative or the result too large.
StatusOr<Op*> Tile(Builder& b, Op* x, const std::vector<int64_t>& repeats);
/// Each index of dimension `axis` `count` times, one after another; errors likewise.
StatusOr<Op*> RepeatEach(Builder& b, Op* x, int64_t axis, int64_t count);

}  // namespace kiln::foreign
