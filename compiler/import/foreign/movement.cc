#include "compiler/import/foreign/movement.h"

#include <algorithm>

#include "compiler/import/foreign/build.h"

namespace kiln::foreign {

StatusOr<Op*> Squeeze(Builder& b, Op* x, const std::vector<int64_t>& axes) {
  Shape shape;
  for (int64_t d = 0; d < Rank(x); ++d) {
    if (std::ranges::find(axes, d) == axes.end()) {
      shape.push_back(x->shape()[d]);
    } else if (x->shape()[d] != 1) {
      return InvalidInput("dimension ", d, " of ", x->type().ToString(),
                          " is not 1 and cannot be squeezed");
    }
  }
  return b.Reshape(x, std::move(shape));
}

std::vector<int64_t> UnitAxes(const Shape& shape) {
  std::vector<int64_t> axes;
  for (size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] == 1) axes.push_back(static_cast<int64_t>(d));
  }
  return axes;
}

StatusOr<Op*> Unsqueeze(Builder& b, Op* x, int64_t axis) {
  Shape shape = x->shape();
  shape.insert(shape.begin() + axis, 1);
  return b.Reshape(x, std::move(shape));
}

StatusOr<Op*> Reverse(Builder& b, Op* x, const std::vector<int64_t>& axes) {
  std::vector<int64_t> starts(x->shape().size(), 0), strides(x->shape().size(), 1);
  for (const int64_t axis : axes) {
    starts[axis] = std::max<int64_t>(x->shape()[axis] - 1, 0);
    strides[axis] = -1;
  }
  return b.Make("slice", {x}, {{"starts", starts}, {"sizes", x->shape()}, {"strides", strides}});
}

StatusOr<Op*> Tile(Builder& b, Op* x, const std::vector<int64_t>& repeats) {
  // [d] -> [1,d] -> [r,d] -> [r*d], where there is something to repeat.
  Shape split, repeated, merged;
  for (size_t d = 0; d < repeats.size(); ++d) {
    const int64_t extent = x->shape()[d];
    KILN_RETURN_IF_ERROR(CheckedByteSize(x->element(), {repeats[d], extent}).status());
    merged.push_back(repeats[d] * extent);
    if (repeats[d] != 1) {
      split.push_back(1);
      repeated.push_back(repeats[d]);
    }
    split.push_back(extent);
    repeated.push_back(extent);
  }
  return b.Reshape(b.Broadcast(b.Reshape(x, split), repeated), merged);
}

StatusOr<Op*> RepeatEach(Builder& b, Op* x, int64_t axis, int64_t count) {
  Shape split = x->shape(), merged = x->shape();
  split.insert(split.begin() + axis + 1, 1);
  Shape repeated = split;
  repeated[axis + 1] = count;
  KILN_RETURN_IF_ERROR(CheckedByteSize(x->element(), repeated).status());
  merged[axis] *= count;
  return b.Reshape(b.Broadcast(b.Reshape(x, split), repeated), merged);
}

}  // namespace kiln::foreign
