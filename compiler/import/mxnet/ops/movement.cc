// Operators that move elements: Reshape, Concat, slices, Pad, ...
#include "compiler/import/foreign/movement.h"

#include <algorithm>

#include "compiler/import/foreign/build.h"
#include "compiler/import/mxnet/node.h"

namespace kiln::mxnet_import {

namespace {

Status Flatten(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  if (Rank(x) < 1) return InvalidInput("needs at least one dimension");
  const int64_t rest = ElementCount({x->shape().begin() + 1, x->shape().end()});
  return n.Output(n.builder().Reshape(x, {x->shape()[0], rest}));
}

// MXNet's codes: 0 copies a dimension, -1 is what is left, -2 copies all further dimensions, -3 is
// the product of two, -4 splits one into the two numbers that follow.
StatusOr<Shape> DecodeShape(const Shape& from, const std::vector<int64_t>& codes) {
  Shape shape;
  size_t at = 0;
  const auto next = [&]() -> StatusOr<int64_t> {
    if (at < from.size()) return from[at++];
    return InvalidInput("shape ", FormatInts(codes), " asks for more dimensions than ",
                        FormatInts(from), " has");
  };
  for (size_t i = 0; i < codes.size(); ++i) {
    if (codes[i] == -2) {
      shape.insert(shape.end(), from.begin() + static_cast<int64_t>(at), from.end());
      at = from.size();
    } else if (codes[i] == -3) {
      KILN_ASSIGN_OR_RETURN(const int64_t a, next());
      KILN_ASSIGN_OR_RETURN(const int64_t b, next());
      shape.push_back(a * b);
    } else if (codes[i] == -4) {
      if (i + 2 >= codes.size()) return InvalidInput("shape ", FormatInts(codes), " is malformed");
      KILN_ASSIGN_OR_RETURN(const int64_t whole, next());
      KILN_ASSIGN_OR_RETURN(const Shape parts, CompleteShape({codes[i + 1], codes[i + 2]}, whole));
      shape.insert(shape.end(), parts.begin(), parts.end());
      i += 2;
    } else if (codes[i] == 0) {
      KILN_ASSIGN_OR_RETURN(const int64_t extent, next());
      shape.push_back(extent);
    } else {
      shape.push_back(codes[i]);
      if (at < from.size()) ++at;
    }
  }
  return shape;
}

Status Reshape(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  std::vector<int64_t> codes = n.Ints("shape");
  if (codes.empty()) {  // of old: 0 is what is left
    codes = n.Ints("target_shape");
    if (n.Bool("keep_highest") && !codes.empty() && Rank(x) > 0) codes[0] = x->shape()[0];
    for (int64_t& code : codes) code = code == 0 ? -1 : code;
  }
  if (n.Bool("reverse")) return Unsupported("reverse is not supported");
  KILN_RETURN_IF_ERROR(n.Problem());
  KILN_ASSIGN_OR_RETURN(Shape shape, DecodeShape(x->shape(), codes));
  KILN_ASSIGN_OR_RETURN(shape, CompleteShape(shape, x->type().count()));
  return n.Output(n.builder().Reshape(x, shape));
}

Status Concat(Node& n) {
  KILN_ASSIGN_OR_RETURN(const std::vector<Op*> xs, n.inputs());
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(n.Int("dim", 1), Rank(xs[0])));
  if (xs.size() == 1) return n.Output(xs[0]);
  return n.Output(n.Make("concat", {xs.begin(), xs.end()}, {{"axis", axis}}));
}

Status Stack(Node& n) {
  KILN_ASSIGN_OR_RETURN(const std::vector<Op*> xs, n.inputs());
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(n.Int("axis"), Rank(xs[0]) + 1));
  std::vector<StatusOr<Op*>> parts;
  for (Op* const x : xs) {
    Shape shape = x->shape();
    shape.insert(shape.begin() + std::min<int64_t>(axis, Rank(x)), 1);
    parts.push_back(n.builder().Reshape(x, shape));
  }
  return n.Output(n.Make("concat", parts, {{"axis", axis}}));
}

Status SliceChannel(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(n.Int("axis", 1), Rank(x)));
  const int64_t outputs = n.Int("num_outputs");
  KILN_RETURN_IF_ERROR(n.Problem());
  const int64_t extent = x->shape()[axis];
  if (outputs < 1 || outputs > 1 << 16 || extent % outputs != 0) {
    return InvalidInput("an extent of ", extent, " does not divide into ", outputs);
  }
  const int64_t size = extent / outputs;
  const bool squeeze = n.Bool("squeeze_axis");
  if (squeeze && size != 1) return InvalidInput("an extent of ", size, " cannot be squeezed");
  for (int64_t i = 0; i < outputs; ++i) {
    KILN_RETURN_IF_ERROR(
        n.Output(static_cast<int>(i),
                 squeeze ? SelectAxis(b, x, axis, i) : SliceAxis(b, x, axis, i * size, size)));
  }
  return OkStatus();
}

// x[begin:end] along an axis, with Python's meaning of negative and missing bounds.
StatusOr<Op*> Cut(Node& n, Op* x, int64_t axis, std::optional<int64_t> begin,
                  std::optional<int64_t> end) {
  const int64_t extent = x->shape()[axis];
  const auto bound = [extent](int64_t at) {
    return std::clamp<int64_t>(at < 0 ? at + extent : at, 0, extent);
  };
  const int64_t first = bound(begin.value_or(0)), last = bound(end.value_or(extent));
  return SliceAxis(n.builder(), x, axis, first, std::max<int64_t>(last - first, 0));
}

Status SliceAlongAxis(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(n.Int("axis"), Rank(x)));
  const auto begin = n.OptionalInts("begin"), end = n.OptionalInts("end");
  return n.Output(Cut(n, x, axis, begin.empty() ? std::nullopt : begin[0],
                      end.empty() ? std::nullopt : end[0]));
}

Status Slice(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op * x, n.input(0));
  const auto begin = n.OptionalInts("begin"), end = n.OptionalInts("end");
  for (const auto& step : n.OptionalInts("step")) {
    if (step.value_or(1) != 1) return Unsupported("steps other than 1 are not supported");
  }
  if (begin.size() != end.size() || begin.size() > x->shape().size()) {
    return InvalidInput("begin and end do not fit ", x->type().ToString());
  }
  for (size_t d = 0; d < begin.size(); ++d) {
    KILN_ASSIGN_OR_RETURN(x, Cut(n, x, static_cast<int64_t>(d), begin[d], end[d]));
  }
  return n.Output(x);
}

// The extents of input 1 on the given axes (all of them by default).
Status SliceLike(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op * x, n.input(0));
  KILN_ASSIGN_OR_RETURN(Op* const like, n.input(1));
  std::vector<int64_t> axes = n.Ints("axes");
  if (axes.empty()) axes = AxesFrom(0, Rank(x));
  KILN_ASSIGN_OR_RETURN(axes, NormalAxes(axes, std::min(Rank(x), Rank(like))));
  for (const int64_t axis : axes) {
    KILN_ASSIGN_OR_RETURN(x, Cut(n, x, axis, 0, like->shape()[axis]));
  }
  return n.Output(x);
}

// Planes cut to those of input 1, or to h_w.
Status Crop(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  if (Rank(x) != 4) return InvalidInput("needs [N, C, H, W], found ", x->type().ToString());
  std::vector<int64_t> size = n.Ints("h_w"), offset = n.Ints("offset");
  if (n.Has(1)) {
    KILN_ASSIGN_OR_RETURN(Op* const like, n.input(1));
    if (Rank(like) != 4) return InvalidInput("needs [N, C, H, W]");
    size = {like->shape()[2], like->shape()[3]};
  }
  if (offset.empty()) offset = {0, 0};
  if (size.size() != 2 || offset.size() != 2) return InvalidInput("h_w or offset is malformed");
  StatusOr<Op*> y = x;
  for (int64_t d = 0; d < 2; ++d) {
    const int64_t room = x->shape()[d + 2] - size[d];
    const int64_t start = n.Bool("center_crop") ? room / 2 : offset[d];
    if (size[d] < 0 || start < 0 || start > room) {
      return InvalidInput("the crop passes the end of ", x->type().ToString());
    }
    KILN_RETURN_IF_ERROR(y.status());
    y = SliceAxis(n.builder(), *y, d + 2, start, size[d]);
  }
  return n.Output(y);
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

Status SwapAxis(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  KILN_ASSIGN_OR_RETURN(const int64_t a, NormalAxis(n.Int("dim1"), Rank(x)));
  KILN_ASSIGN_OR_RETURN(const int64_t b, NormalAxis(n.Int("dim2"), Rank(x)));
  std::vector<int64_t> axes = AxesFrom(0, Rank(x));
  std::swap(axes[a], axes[b]);
  return n.Output(n.builder().Transpose(x, axes));
}

Status ExpandDims(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(n.Int("axis"), Rank(x) + 1));
  return n.Output(Unsqueeze(n.builder(), x, axis));
}

Status Squeeze(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  KILN_ASSIGN_OR_RETURN(const auto axes, NormalAxes(n.Ints("axis"), Rank(x)));
  return n.Output(foreign::Squeeze(n.builder(), x, axes.empty() ? UnitAxes(x->shape()) : axes));
}

Status Pad(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  const std::vector<int64_t> widths = n.Ints("pad_width");
  if (static_cast<int64_t>(widths.size()) != 2 * Rank(x)) {
    return InvalidInput("pad_width ", FormatInts(widths), " does not fit ", x->type().ToString());
  }
  std::vector<int64_t> low, high;
  for (size_t i = 0; i < widths.size(); ++i) (i % 2 == 0 ? low : high).push_back(widths[i]);
  return n.Output(n.Make("pad", {x},
                         {{"low", low},
                          {"high", high},
                          {"mode", n.String("mode", "constant")},
                          {"value", n.Float("constant_value")}}));
}

Status BroadcastTo(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  Shape shape = n.Ints("shape");
  for (size_t d = 0; d < shape.size() && d < x->shape().size(); ++d) {
    if (shape[d] == 0) shape[d] = x->shape()[d];
  }
  return n.Output(n.builder().Broadcast(x, shape));
}

Status Take(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(n.Int("axis"), Rank(x)));
  const auto indices = n.builder().Cast(n.input(1), ElementType::kI64);
  return n.Output(n.Make("gather", {x, indices}, {{"axis", axis}}));
}

}  // namespace

std::vector<MxnetOp> MovementOps() {
  std::vector<MxnetOp> ops;
  for (const char* const name : {"Flatten", "flatten"}) {
    ops.push_back({.name = name, .handler = Flatten});
  }
  for (const char* const name : {"Reshape", "reshape"}) {
    ops.push_back({.name = name,
                   .handler = Reshape,
                   .attributes = {"shape", "reverse", "target_shape", "keep_highest"},
                   .limits = "not in reverse"});
  }
  for (const char* const name : {"Concat", "concat"}) {
    ops.push_back({.name = name, .handler = Concat, .inputs = {1, kAny}, .attributes = {"dim"}});
  }
  ops.push_back({.name = "stack", .handler = Stack, .inputs = {1, kAny}, .attributes = {"axis"}});
  for (const char* const name : {"SliceChannel", "split"}) {
    ops.push_back({.name = name,
                   .handler = SliceChannel,
                   .attributes = {"num_outputs", "axis", "squeeze_axis"}});
  }
  ops.push_back(
      {.name = "slice_axis", .handler = SliceAlongAxis, .attributes = {"axis", "begin", "end"}});
  for (const char* const name : {"slice", "crop"}) {
    ops.push_back({.name = name,
                   .handler = Slice,
                   .attributes = {"begin", "end", "step"},
                   .limits = "steps of 1"});
  }
  ops.push_back(
      {.name = "slice_like", .handler = SliceLike, .inputs = {2, 2}, .attributes = {"axes"}});
  ops.push_back({.name = "Crop",
                 .handler = Crop,
                 .inputs = {1, 2},
                 .attributes = {"offset", "h_w", "center_crop"}});
  ops.push_back({.name = "transpose", .handler = Transpose, .attributes = {"axes"}});
  for (const char* const name : {"SwapAxis", "swapaxes"}) {
    ops.push_back({.name = name, .handler = SwapAxis, .attributes = {"dim1", "dim2"}});
  }
  ops.push_back({.name = "expand_dims", .handler = ExpandDims, .attributes = {"axis"}});
  ops.push_back({.name = "squeeze", .handler = Squeeze, .attributes = {"axis"}});
  for (const char* const name : {"Pad", "pad"}) {
    ops.push_back(
        {.name = name, .handler = Pad, .attributes = {"mode", "pad_width", "constant_value"}});
  }
  ops.push_back({.name = "broadcast_to", .handler = BroadcastTo, .attributes = {"shape"}});
  ops.push_back(
      {.name = "take", .handler = Take, .inputs = {2, 2}, .attributes = {"axis", "mode"}});
  return ops;
}

}  // namespace kiln::mxnet_import
