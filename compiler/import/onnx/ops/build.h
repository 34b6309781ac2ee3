// Small compositions of Kiln ops that several operators are built from.
#pragma once

#include <vector>

#include "ir/graph/builder.h"

namespace kiln::onnx_import {

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

}  // namespace kiln::onnx_import
