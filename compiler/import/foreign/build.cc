#include "compiler/import/foreign/build.h"

#include <algorithm>
#include <numeric>

namespace kiln::foreign {

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

StatusOr<Op*> MatMulNumpy(Builder& b, Op* left, Op* right) {
  if (Rank(left) == 0 || Rank(right) == 0) {
    return InvalidInput("MatMul needs at least one dimension, found ", left->type().ToString(),
                        " and ", right->type().ToString());
  }
  const bool row = Rank(left) == 1;
  const bool column = Rank(right) == 1;
  KILN_ASSIGN_OR_RETURN(Op* const a, row ? b.Reshape(left, {1, left->shape()[0]}) : left);
  KILN_ASSIGN_OR_RETURN(Op* const c, column ? b.Reshape(right, {right->shape()[0], 1}) : right);
  KILN_ASSIGN_OR_RETURN(Op* const product, b.Make("matmul", {a, c}));
  Shape shape = product->shape();
  if (column) shape.pop_back();
  if (row) shape.erase(shape.end() - (column ? 1 : 2));
  return b.Reshape(product, shape);
}

StatusOr<Op*> AddBias(Builder& b, const StatusOr<Op*>& y, const StatusOr<Op*>& bias) {
  if (!y.ok() || !bias.ok()) return y.ok() ? bias : y;
  if ((*bias)->shape() != Shape{(*y)->shape()[1]}) {
    return InvalidInput("the bias must be [", (*y)->shape()[1], "], found ",
                        (*bias)->type().ToString());
  }
  return b.Add(y, AlongAxis(b, bias, 0, Rank(*y) - 1));
}

StatusOr<Op*> ChannelsFirst(Builder& b, const StatusOr<Op*>& x) {
  KILN_RETURN_IF_ERROR(x.status());
  const int64_t rank = Rank(*x);
  if (rank < 2) return InvalidInput("needs a batch and channels: ", (*x)->type().ToString());
  std::vector<int64_t> order = {0, rank - 1};
  for (int64_t d = 1; d < rank - 1; ++d) order.push_back(d);
  return b.Transpose(x, order);
}

StatusOr<Op*> ChannelsLast(Builder& b, const StatusOr<Op*>& x) {
  KILN_RETURN_IF_ERROR(x.status());
  const int64_t rank = Rank(*x);
  if (rank < 2) return InvalidInput("needs a batch and channels: ", (*x)->type().ToString());
  std::vector<int64_t> order = {0};
  for (int64_t d = 2; d < rank; ++d) order.push_back(d);
  order.push_back(1);
  return b.Transpose(x, order);
}

StatusOr<Op*> ResizeTo(Builder& b, const StatusOr<Op*>& x, const Shape& sizes,
                       const std::string& mode, const std::string& coordinate_mode,
                       const std::string& nearest_mode) {
  KILN_RETURN_IF_ERROR(x.status());
  const Shape& from = (*x)->shape();
  std::vector<double> scales;
  for (size_t d = 0; d < sizes.size() && d < from.size(); ++d) {
    if (from[d] < 1 || sizes[d] < 1) {
      return InvalidInput((*x)->type().ToString(), " cannot be resized to ", FormatInts(sizes));
    }
    scales.push_back(static_cast<double>(sizes[d]) / static_cast<double>(from[d]));
  }
  return b.Make("resize", {x},
                {{"scales", scales},
                 {"sizes", sizes},
                 {"mode", mode},
                 {"coordinate_mode", coordinate_mode},
                 {"nearest_mode", nearest_mode}});
}

StatusOr<Shape> CompleteShape(Shape shape, int64_t count) {
  const Shape given = shape;
  const auto open = std::find(shape.begin(), shape.end(), -1);
  if (open != shape.end()) *open = 1;
  KILN_RETURN_IF_ERROR(CheckedByteSize(ElementType::kI8, shape).status());
  const int64_t others = ElementCount(shape);
  if (open != shape.end() && others > 0) *open = count / others;
  if (ElementCount(shape) == count) return shape;
  return InvalidInput("shape ", FormatInts(given), " does not hold ", count, " elements");
}

StatusOr<int64_t> NormalAxis(int64_t axis, int64_t rank) {
  if (axis < -rank || axis >= rank) {
    return InvalidInput("axis ", axis, " is out of range for ", rank, " dimensions");
  }
  return axis < 0 ? axis + rank : axis;
}

StatusOr<std::vector<int64_t>> NormalAxes(std::vector<int64_t> axes, int64_t rank) {
  for (int64_t& axis : axes) {
    KILN_ASSIGN_OR_RETURN(axis, NormalAxis(axis, rank));
  }
  std::sort(axes.begin(), axes.end());
  if (std::adjacent_find(axes.begin(), axes.end()) != axes.end()) {
    return InvalidInput("axes ", FormatInts(axes), " name one axis twice");
  }
  return axes;
}

}  // namespace kiln::foreign
