// Small compositions of Kiln ops that operators of several formats are built from.
#pragma once

#include <string>
#include <vector>

#include "ir/graph/builder.h"

namespace kiln::foreign {

/// x[start : start+size] along `axis`; x itself when that is all of it.
StatusOr<Op*> SliceAxis(Builder& b, Op* x, int64_t axis, int64_t start, int64_t size);

/// x without the dimension `axis`, at position `index` of it.
StatusOr<Op*> SelectAxis(Builder& b, Op* x, int64_t axis, int64_t index);

/// A reduction (reduce_sum, ...) over `axes`.
StatusOr<Op*> Reduce(Builder& b, std::string_view kind, const StatusOr<Op*>& x,
                     std::vector<int64_t> axes, bool keep_dims);

/// 0, 1, 2, ... along `axis`, of rank `rank` and extent 1 elsewhere.
StatusOr<Op*> IotaAlong(Builder& b, int64_t rank, int64_t axis, int64_t extent,
                        ElementType element);

/// `per_channel` [C] reshaped to stand beside dimension `axis` of a value of rank `rank`.
StatusOr<Op*> AlongAxis(Builder& b, const StatusOr<Op*>& per_channel, int64_t axis, int64_t rank);

/// The axes first .. rank-1.
std::vector<int64_t> AxesFrom(int64_t first, int64_t rank);

/// The number of dimensions.
inline int64_t Rank(const Op* op) { return static_cast<int64_t>(op->shape().size()); }

/// numpy.matmul: a vector on the left is a row, one on the right a column, and its dimension goes.
StatusOr<Op*> MatMulNumpy(Builder& b, Op* left, Op* right);

/// y [N, C, ...] + bias [C].
StatusOr<Op*> AddBias(Builder& b, const StatusOr<Op*>& y, const StatusOr<Op*>& bias);

/// [N, spatial.., C] as [N, C, spatial..], and back.
StatusOr<Op*> ChannelsFirst(Builder& b, const StatusOr<Op*>& x);
StatusOr<Op*> ChannelsLast(Builder& b, const StatusOr<Op*>& x);

/// x resampled to the shape `sizes`, each dimension scaled by the ratio of its extents; modes as
/// those of the op resize.
StatusOr<Op*> ResizeTo(Builder& b, const StatusOr<Op*>& x, const Shape& sizes,
                       const std::string& mode, const std::string& coordinate_mode,
                       const std::string& nearest_mode = "floor");

/// `shape` with its dimension of -1, if it has one, replaced by what makes `count` elements; an
/// error when the shape cannot have that many.
StatusOr<Shape> CompleteShape(Shape shape, int64_t count);

/// `axis` from -rank .. rank-1 as 0 .. rank-1.
StatusOr<int64_t> NormalAxis(int64_t axis, int64_t rank);
/// The same for several, sorted; no axis twice.
StatusOr<std::vector<int64_t>> NormalAxes(std::vector<int64_t> axes, int64_t rank);

}  // namespace kiln::foreign
