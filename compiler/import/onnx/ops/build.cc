#include "compiler/import/onnx/ops/build.h"

#include <numeric>

namespace kiln::onnx_import {

StatusOr<Op*> SliceAxis(Builder& b, Op* x, int64_t axis, int64_t start, int64_t size) {
  if (start == 0 && size == x->shape()[axis]) return x;
  std::vector<int64_t> starts(x->shape().size(), 0);
  std::vector<int64_t> sizes = x->shape();
  starts[axis] = start;
  sizes[axis] = size;
  return b.Make("slice", {x},
                {{"starts", starts},
                 {"sizes", sizes},
                 {"strides", std::vector<int64_t>(x->shape().size(), 1)}});
}

StatusOr<Op*> SelectAxis(Builder& b, Op* x, int64_t axis, int64_t index) {
  Shape shape = x->shape();
  shape.erase(shape.begin() + axis);
  return b.Reshape(SliceAxis(b, x, axis, index, 1), std::move(shape));
}

StatusOr<Op*> Reduce(Builder& b, std::string_view kind, const StatusOr<Op*>& x,
                     std::vector<int64_t> axes, bool keep_dims) {
  return b.Make(kind, {x}, {{"axes", std::move(axes)}, {"keep_dims", keep_dims}});
}

StatusOr<Op*> IotaAlong(Builder& b, int64_t rank, int64_t axis, int64_t extent,
                        ElementType element) {
  Shape shape(rank, 1);
  shape[axis] = extent;
  return b.Make("iota", {}, {{"shape", shape}, {"axis", axis}, {"element", element}});
}

StatusOr<Op*> AlongAxis(Builder& b, const StatusOr<Op*>& per_channel, int64_t axis, int64_t rank) {
  if (!per_channel.ok()) return per_channel;
  Shape shape(rank, 1);
  shape[axis] = ElementCount((*per_channel)->shape());
  return b.Reshape(per_channel, std::move(shape));
}

std::vector<int64_t> AxesFrom(int64_t first, int64_t rank) {
  std::vector<int64_t> axes(std::max<int64_t>(rank - first, 0));
  std::iota(axes.begin(), axes.end(), first);
  return axes;
}

}  // namespace kiln::onnx_import
