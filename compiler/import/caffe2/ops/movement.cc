// Operators that move elements: Concat, Split, Reshape, Transpose, Slice, Gather, ...
#include "compiler/import/foreign/movement.h"

#include <algorithm>

#include "compiler/import/caffe2/node.h"
#include "compiler/import/foreign/build.h"

namespace kiln::caffe2_import {

namespace {

constexpr int64_t kMaxTiles = 1 << 20;

// Along channels, unless `axis` says otherwise.
StatusOr<int64_t> ChannelAxis(Node& n, int64_t rank) {
  if (n.HasArgument("axis")) return NormalAxis(n.Int("axis"), rank);
  return NormalAxis(n.IsNhwc() ? rank - 1 : 1, rank);
}

// Output 1 holds the operands' extents.
Status Concat(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(const std::vector<Op*> xs, n.inputs());
  const bool stack = n.Int("add_axis") != 0;
  KILN_ASSIGN_OR_RETURN(const int64_t axis, ChannelAxis(n, Rank(xs[0]) + (stack ? 1 : 0)));
  std::vector<StatusOr<Op*>> parts;
  std::vector<int64_t> extents;
  for (Op* const x : xs) {
    Shape shape = x->shape();
    if (stack) shape.insert(shape.begin() + std::min<int64_t>(axis, Rank(x)), 1);
    if (axis >= static_cast<int64_t>(shape.size())) return InvalidInput("inputs differ in rank");
    extents.push_back(shape[axis]);
    parts.push_back(stack ? b.Reshape(x, shape) : x);
  }
  KILN_RETURN_IF_ERROR(
      n.Output(0, parts.size() == 1 ? parts[0] : n.Make("concat", parts, {{"axis", axis}})));
  if (!n.Wants(1)) return OkStatus();
  const Shape count = {static_cast<int64_t>(extents.size())};
  n.values().SetConstant(n.output_name(1), Tensor::FromInts(ElementType::kI32, count, extents));
  return OkStatus();
}

Status Split(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, ChannelAxis(n, Rank(x)));
  std::vector<int64_t> extents = n.Ints("split");
  if (n.Has(1)) {
    KILN_ASSIGN_OR_RETURN(extents, n.KnownInts(1));
  }
  const int64_t extent = x->shape()[axis], outputs = n.num_outputs();
  if (extents.empty()) {
    if (extent % outputs != 0) {
      return InvalidInput("an extent of ", extent, " does not divide into ", outputs);
    }
    extents.assign(static_cast<size_t>(outputs), extent / outputs);
  }
  int64_t start = 0;
  for (size_t i = 0; i < extents.size(); ++i) {
    if (extents[i] < 0 || extents[i] > extent - start) break;
    KILN_RETURN_IF_ERROR(
        n.Output(static_cast<int>(i), SliceAxis(n.builder(), x, axis, start, extents[i])));
    start += extents[i];
  }
  if (start == extent && static_cast<int64_t>(extents.size()) == outputs) return OkStatus();
  return InvalidInput("split ", FormatInts(extents), " does not fit an extent of ", extent, " and ",
                      outputs, " outputs");
}

Status ShapeConstant(Node& n, int output, const Shape& shape) {
  if (!n.Wants(output)) return OkStatus();
  const Shape rank = {static_cast<int64_t>(shape.size())};
  n.values().SetConstant(n.output_name(output), Tensor::FromInts(ElementType::kI64, rank, shape));
  return OkStatus();
}

// 0 copies a dimension, -1 is what is left; output 1 is the old shape.
Status Reshape(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  Shape shape = n.Ints("shape");
  if (n.Has(1)) {
    KILN_ASSIGN_OR_RETURN(shape, n.KnownInts(1));
  }
  for (size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] == 0 && d < x->shape().size()) shape[d] = x->shape()[d];
  }
  KILN_ASSIGN_OR_RETURN(shape, CompleteShape(shape, x->type().count()));
  KILN_RETURN_IF_ERROR(n.Output(0, n.builder().Reshape(x, shape)));
  return ShapeConstant(n, 1, x->shape());
}

Status ShapeOf(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  Shape shape;
  if (!n.HasArgument("axes")) shape = x->shape();
  for (const int64_t axis : n.Ints("axes")) {
    KILN_ASSIGN_OR_RETURN(const int64_t d, NormalAxis(axis, Rank(x)));
    shape.push_back(x->shape()[d]);
  }
  return ShapeConstant(n, 0, shape);
}

Status Flatten(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(n.Int("axis", 1), Rank(x) + 1));
  const auto middle = x->shape().begin() + axis;
  return n.Output(n.builder().Reshape(
      x, {ElementCount({x->shape().begin(), middle}), ElementCount({middle, x->shape().end()})}));
}

Status FlattenToVec(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  return n.Output(n.builder().Reshape(x, {x->type().count()}));
}

Status ExpandDims(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  std::vector<int64_t> dims = n.Ints("dims");
  std::ranges::sort(dims);
  Shape shape = x->shape();
  for (const int64_t dim : dims) {
    if (dim < 0 || dim > static_cast<int64_t>(shape.size())) {
      return InvalidInput("dims ", FormatInts(dims), " are out of range");
    }
    shape.insert(shape.begin() + dim, 1);
  }
  return n.Output(n.builder().Reshape(x, shape));
}

Status Squeeze(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  KILN_ASSIGN_OR_RETURN(const auto dims, NormalAxes(n.Ints("dims"), Rank(x)));
  return n.Output(foreign::Squeeze(n.builder(), x, dims));
}

Status Transpose(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  std::vector<int64_t> axes = n.Ints("axes");
  if (axes.empty()) {
    axes = AxesFrom(0, Rank(x));
    std::ranges::reverse(axes);
  }
  return n.Output(n.builder().Transpose(x, axes));
}

Status ToNhwc(Node& n) { return n.Output(ChannelsLast(n.builder(), n.input(0))); }
Status ToNchw(Node& n) { return n.Output(ChannelsFirst(n.builder(), n.input(0))); }

// A negative end counts from one past the end.
Status Slice(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op * x, n.input(0));
  std::vector<int64_t> starts = n.Ints("starts"), ends = n.Ints("ends");
  if (n.Has(1)) {
    KILN_ASSIGN_OR_RETURN(starts, n.KnownInts(1));
    KILN_ASSIGN_OR_RETURN(ends, n.KnownInts(2));
  }
  if (starts.size() != ends.size() || starts.size() > x->shape().size()) {
    return InvalidInput("starts ", FormatInts(starts), " and ends ", FormatInts(ends),
                        " do not fit ", x->type().ToString());
  }
  for (size_t d = 0; d < starts.size(); ++d) {
    const int64_t extent = x->shape()[d];
    const auto bound = [extent](int64_t at) {
      return std::clamp<int64_t>(at < 0 ? at + extent + 1 : at, 0, extent);
    };
    const int64_t start = bound(starts[d]);
    const int64_t size = std::max<int64_t>(bound(ends[d]) - start, 0);
    KILN_ASSIGN_OR_RETURN(x, SliceAxis(n.builder(), x, static_cast<int64_t>(d), start, size));
  }
  return n.Output(x);
}

Status PadImage(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.IsNhwc() ? ChannelsFirst(b, n.input(0)) : n.input(0));
  if (Rank(x) != 4) return InvalidInput("needs 4 dimensions, found ", x->type().ToString());
  const int64_t all = n.Int("pad");
  const std::vector<int64_t> low = {0, 0, n.Int("pad_t", all), n.Int("pad_l", all)};
  const std::vector<int64_t> high = {0, 0, n.Int("pad_b", all), n.Int("pad_r", all)};
  const auto y = n.Make("pad", {x},
                        {{"low", low},
                         {"high", high},
                         {"mode", n.String("mode", "constant")},
                         {"value", n.Float("value")}});
  return n.Output(n.IsNhwc() ? ChannelsLast(b, y) : y);
}

Status ChannelShuffle(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.IsNhwc() ? ChannelsFirst(b, n.input(0)) : n.input(0));
  const int64_t groups = n.Int("group", 1);
  if (Rank(x) < 2 || groups < 1 || x->shape()[1] % groups != 0) {
    return InvalidInput(x->type().ToString(), " does not divide into ", groups, " groups");
  }
  const int64_t rest = ElementCount({x->shape().begin() + 2, x->shape().end()});
  const auto apart = b.Reshape(x, {x->shape()[0], groups, x->shape()[1] / groups, rest});
  const auto y = b.Reshape(b.Transpose(apart, {0, 2, 1, 3}), x->shape());
  return n.Output(n.IsNhwc() ? ChannelsLast(b, y) : y);
}

Status Gather(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(n.Int("axis"), Rank(x)));
  KILN_ASSIGN_OR_RETURN(Op* const indices, n.input(1));
  const auto whole =
      IsInteger(indices->element()) ? indices : n.builder().Cast(indices, ElementType::kI64);
  return n.Output(n.Make("gather", {x, whole}, {{"axis", axis}}));
}

Status Tile(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(n.Int("axis"), Rank(x)));
  const int64_t tiles = n.Int("tiles", 1);
  if (tiles < 1 || tiles > kMaxTiles) return InvalidInput("tiles is ", tiles);
  std::vector<int64_t> repeats(Rank(x), 1);
  repeats[axis] = tiles;
  return n.Output(foreign::Tile(n.builder(), x, repeats));
}

}  // namespace

std::vector<Caffe2Op> MovementOps() {
  std::vector<Caffe2Op> ops;
  for (const char* const name : {"Concat", "DepthConcat"}) {
    ops.push_back({.name = name,
                   .handler = Concat,
                   .inputs = {1, kAny},
                   .max_outputs = 2,
                   .arguments = {"axis", "add_axis", "order"}});
  }
  for (const char* const name : {"Split", "DepthSplit"}) {
    ops.push_back({.name = name,
                   .handler = Split,
                   .inputs = {1, 2},
                   .max_outputs = kAny,
                   .arguments = {"axis", "split", "order"},
                   .limits = "known extents"});
  }
  ops.push_back({.name = "Reshape",
                 .handler = Reshape,
                 .inputs = {1, 2},
                 .max_outputs = 2,
                 .arguments = {"shape"},
                 .limits = "known shape"});
  ops.push_back({.name = "Shape", .handler = ShapeOf, .arguments = {"axes"}});
  ops.push_back({.name = "Flatten", .handler = Flatten, .arguments = {"axis"}});
  ops.push_back({.name = "FlattenToVec", .handler = FlattenToVec});
  ops.push_back({.name = "ExpandDims", .handler = ExpandDims, .arguments = {"dims"}});
  ops.push_back({.name = "Squeeze", .handler = Squeeze, .arguments = {"dims"}});
  ops.push_back({.name = "Transpose", .handler = Transpose, .arguments = {"axes"}});
  ops.push_back({.name = "NCHW2NHWC", .handler = ToNhwc});
  ops.push_back({.name = "NHWC2NCHW", .handler = ToNchw});
  ops.push_back({.name = "Slice",
                 .handler = Slice,
                 .inputs = {1, 3},
                 .arguments = {"starts", "ends"},
                 .limits = "known bounds"});
  ops.push_back(
      {.name = "PadImage",
       .handler = PadImage,
       .arguments = {"pad", "pad_t", "pad_l", "pad_b", "pad_r", "mode", "value", "order"}});
  ops.push_back({.name = "ChannelShuffle",
                 .handler = ChannelShuffle,
                 .arguments = {"group", "order", "kernel"}});
  ops.push_back({.name = "Gather",
                 .handler = Gather,
                 .inputs = {2, 2},
                 .arguments = {"axis", "match_outer"}});
  ops.push_back({.name = "Tile", .handler = Tile, .arguments = {"axis", "tiles"}});
  return ops;
}

}  // namespace kiln::caffe2_import
