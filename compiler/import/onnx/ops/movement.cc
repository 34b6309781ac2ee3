// Data movement by ranges: slices, joins, padding, repetition, blocks.
#include "compiler/import/foreign/movement.h"

#include <algorithm>
#include <numeric>

#include "compiler/import/foreign/build.h"
#include "compiler/import/onnx/node.h"

namespace kiln::onnx_import {

namespace {

Status Concat(Node& n) {
  KILN_ASSIGN_OR_RETURN(const std::vector<Op*> operands, n.operands());
  const auto rank = static_cast<int64_t>(operands[0]->shape().size());
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(n.Int("axis", 1), rank));
  if (operands.size() == 1) return n.Result(operands[0]);
  return n.Result(n.Make("concat", {operands.begin(), operands.end()}, {{"axis", axis}}));
}

// The sizes along the axis: given, or equal parts (the last one smaller, from opset 18).
StatusOr<std::vector<int64_t>> SplitSizes(Node& n, int64_t extent) {
  if (n.HasAttribute("split")) return n.Ints("split");
  if (n.Has(1)) return n.KnownInts(1, "split");
  const int64_t parts = n.Int("num_outputs", n.num_results());
  if (parts < 1 || parts != n.num_results()) {
    return InvalidInput("attribute 'num_outputs' is ", parts, ", the node has ", n.num_results());
  }
  const int64_t size = extent / parts + (extent % parts != 0);
  if (size * parts != extent && !n.HasAttribute("num_outputs")) {
    return InvalidInput("an extent of ", extent, " does not split into ", parts, " equal parts");
  }
  std::vector<int64_t> sizes(parts, size);
  sizes.back() = extent - size * (parts - 1);
  return sizes;
}

Status Split(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.operand(0));
  const auto rank = static_cast<int64_t>(x->shape().size());
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(n.Int("axis", 0), rank));
  const int64_t extent = x->shape()[axis];
  KILN_ASSIGN_OR_RETURN(const std::vector<int64_t> sizes, SplitSizes(n, extent));
  if (static_cast<int>(sizes.size()) != n.num_results()) {
    return InvalidInput("splits into ", static_cast<int64_t>(sizes.size()), " parts, the node has ",
                        n.num_results(), " results");
  }
  int64_t start = 0;
  for (int i = 0; i < n.num_results(); ++i) {
    if (sizes[i] < 0 || sizes[i] > extent - start) {
      return InvalidInput("split sizes ", FormatInts(sizes), " do not fit an extent of ", extent);
    }
    if (n.Wants(i)) {
      KILN_RETURN_IF_ERROR(n.Result(i, SliceAxis(n.builder(), x, axis, start, sizes[i])));
    }
    start += sizes[i];
  }
  if (start == extent) return OkStatus();
  return InvalidInput("split sizes ", FormatInts(sizes), " do not fill an extent of ", extent);
}

struct SliceRange {
  int64_t start;
  int64_t size;
  int64_t stride;
};

// numpy's x[start:end:step] for a dimension of `extent`.
StatusOr<SliceRange> ResolveSlice(int64_t start, int64_t end, int64_t step, int64_t extent) {
  if (step == 0) return InvalidInput("a step of a slice is 0");
  step = std::clamp(step, -extent - 1, extent + 1);  // beyond that there is one element at most
  const int64_t lowest = step > 0 ? 0 : -1;
  const int64_t highest = step > 0 ? extent : extent - 1;
  const auto clamp = [&](int64_t at) {
    return std::clamp(at < 0 ? at + extent : at, lowest, highest);
  };
  start = clamp(start);
  end = clamp(end);
  int64_t size = 0;
  if (step > 0 && end > start) size = 1 + (end - start - 1) / step;
  if (step < 0 && end < start) size = 1 + (start - end - 1) / -step;
  if (size == 0) return SliceRange{0, 0, 1};
  return SliceRange{start, size, size == 1 ? 1 : step};
}

struct SliceBounds {
  std::vector<int64_t> starts, ends, axes, steps;
};

// Attributes before opset 10, since then operands.
StatusOr<SliceBounds> ReadSliceBounds(Node& n) {
  SliceBounds bounds;
  if (n.opset() < 10) {
    bounds = {n.Ints("starts"), n.Ints("ends"), n.Ints("axes"), {}};
  } else {
    KILN_ASSIGN_OR_RETURN(bounds.starts, n.KnownInts(1, "starts"));
    KILN_ASSIGN_OR_RETURN(bounds.ends, n.KnownInts(2, "ends"));
    if (n.Has(3)) {
      KILN_ASSIGN_OR_RETURN(bounds.axes, n.KnownInts(3, "axes"));
    }
    if (n.Has(4)) {
      KILN_ASSIGN_OR_RETURN(bounds.steps, n.KnownInts(4, "steps"));
    }
  }
  const size_t count = bounds.starts.size();
  if (bounds.axes.empty()) {
    bounds.axes.resize(count);
    std::iota(bounds.axes.begin(), bounds.axes.end(), 0);
  }
  if (bounds.steps.empty()) bounds.steps.assign(count, 1);
  if (bounds.ends.size() != count || bounds.axes.size() != count || bounds.steps.size() != count) {
    return InvalidInput("starts, ends, axes and steps must be equally many");
  }
  return bounds;
}

Status Slice(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.operand(0));
  KILN_ASSIGN_OR_RETURN(const SliceBounds bounds, ReadSliceBounds(n));
  const auto rank = static_cast<int64_t>(x->shape().size());
  KILN_RETURN_IF_ERROR(NormalAxes(bounds.axes, rank).status());
  std::vector<int64_t> starts(rank, 0), sizes = x->shape(), strides(rank, 1);
  for (size_t i = 0; i < bounds.axes.size(); ++i) {
    KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(bounds.axes[i], rank));
    KILN_ASSIGN_OR_RETURN(const SliceRange range, ResolveSlice(bounds.starts[i], bounds.ends[i],
                                                               bounds.steps[i], x->shape()[axis]));
    starts[axis] = range.start;
    sizes[axis] = range.size;
    strides[axis] = range.stride;
  }
  if (sizes == x->shape() && strides == std::vector<int64_t>(rank, 1)) return n.Result(x);
  return n.Result(
      n.Make("slice", {x}, {{"starts", starts}, {"sizes", sizes}, {"strides", strides}}));
}

struct Padding {
  std::vector<int64_t> pads;  // lows, then highs
  std::vector<int64_t> axes;  // what they are for; empty: every dimension
  double value = 0;
};

// Attributes before opset 11, since then operands.
StatusOr<Padding> ReadPadding(Node& n) {
  if (n.opset() < 11) {
    return Padding{n.Ints(n.opset() < 2 ? "paddings" : "pads"), {}, n.Float("value", 0)};
  }
  Padding padding;
  KILN_ASSIGN_OR_RETURN(padding.pads, n.KnownInts(1, "pads"));
  if (n.Has(2)) {
    KILN_ASSIGN_OR_RETURN(padding.value, n.KnownDouble(2, "constant_value"));
  }
  if (n.Has(3)) {
    KILN_ASSIGN_OR_RETURN(padding.axes, n.KnownInts(3, "axes"));
  }
  return padding;
}

Status Pad(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.operand(0));
  KILN_ASSIGN_OR_RETURN(Padding padding, ReadPadding(n));
  const auto rank = static_cast<int64_t>(x->shape().size());
  if (!n.Has(3)) {
    padding.axes.resize(rank);
    std::iota(padding.axes.begin(), padding.axes.end(), 0);
  }
  KILN_RETURN_IF_ERROR(NormalAxes(padding.axes, rank).status());
  const size_t count = padding.axes.size();
  if (padding.pads.size() != 2 * count) {
    return InvalidInput("pads ", FormatInts(padding.pads), " must be ",
                        static_cast<int64_t>(2 * count), " numbers");
  }
  std::vector<int64_t> low(rank, 0), high(rank, 0);
  for (size_t i = 0; i < count; ++i) {
    KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(padding.axes[i], rank));
    low[axis] = padding.pads[i];
    high[axis] = padding.pads[count + i];
  }
  return n.Result(n.Make("pad", {x},
                         {{"low", low},
                          {"high", high},
                          {"mode", n.String("mode", "constant")},
                          {"value", padding.value}}));
}

Status Tile(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.operand(0));
  KILN_ASSIGN_OR_RETURN(const std::vector<int64_t> repeats, n.KnownInts(1, "repeats"));
  if (repeats.size() != x->shape().size()) {
    return InvalidInput("repeats ", FormatInts(repeats), " do not fit ", x->type().ToString());
  }
  return n.Result(foreign::Tile(n.builder(), x, repeats));
}

struct Blocks {
  Op* x;
  int64_t size;
};

StatusOr<Blocks> ReadBlocks(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.operand(0));
  const int64_t size = n.Int("blocksize");
  if (x->shape().size() != 4) return InvalidInput("needs 4 dimensions: ", x->type().ToString());
  if (size < 1 || size > (1 << 20)) return InvalidInput("blocksize is ", size);
  return Blocks{x, size};
}

Status DepthToSpace(Node& n) {
  KILN_ASSIGN_OR_RETURN(const Blocks blocks, ReadBlocks(n));
  const auto [x, s] = blocks;
  const Shape& from = x->shape();
  const std::string mode = n.String("mode", "DCR");
  if (mode != "DCR" && mode != "CRD") return InvalidInput("mode is ", Quote(mode));
  if (from[1] % (s * s) != 0) {
    return InvalidInput(from[1], " channels are not a multiple of blocksize squared");
  }
  const int64_t depth = from[1] / (s * s);
  Builder& b = n.builder();
  const bool depth_first = mode == "CRD";
  const Shape split = depth_first ? Shape{from[0], depth, s, s, from[2], from[3]}
                                  : Shape{from[0], s, s, depth, from[2], from[3]};
  const std::vector<int64_t> order =
      depth_first ? std::vector<int64_t>{0, 1, 4, 2, 5, 3} : std::vector<int64_t>{0, 3, 4, 1, 5, 2};
  return n.Result(b.Reshape(b.Transpose(b.Reshape(x, split), order),
                            {from[0], depth, from[2] * s, from[3] * s}));
}

Status SpaceToDepth(Node& n) {
  KILN_ASSIGN_OR_RETURN(const Blocks blocks, ReadBlocks(n));
  const auto [x, s] = blocks;
  const Shape& from = x->shape();
  if (from[2] % s != 0 || from[3] % s != 0) {
    return InvalidInput("height and width of ", x->type().ToString(), " are not multiples of ", s);
  }
  Builder& b = n.builder();
  const int64_t height = from[2] / s, width = from[3] / s;
  return n.Result(b.Reshape(
      b.Transpose(b.Reshape(x, {from[0], from[1], height, s, width, s}), {0, 3, 5, 1, 2, 4}),
      {from[0], from[1] * s * s, height, width}));
}

// Cuts or pads each axis about its centre.
Status CenterCropPad(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.operand(0));
  KILN_ASSIGN_OR_RETURN(const std::vector<int64_t> to, n.KnownInts(1, "shape"));
  const auto rank = static_cast<int64_t>(x->shape().size());
  std::vector<int64_t> axes = n.Ints("axes");
  if (!n.HasAttribute("axes")) {
    axes.resize(rank);
    std::iota(axes.begin(), axes.end(), 0);
  }
  KILN_RETURN_IF_ERROR(NormalAxes(axes, rank).status());
  if (to.size() != axes.size()) return InvalidInput("shape and axes must be equally many");
  std::vector<int64_t> low(rank, 0), high(rank, 0);
  for (size_t i = 0; i < axes.size(); ++i) {
    KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(axes[i], rank));
    KILN_RETURN_IF_ERROR(CheckedByteSize(x->element(), {to[i]}).status());
    // Of an odd difference the larger part is behind.
    const int64_t difference = to[i] - x->shape()[axis];
    low[axis] = difference / 2;
    if (difference < 0) low[axis] = -(-difference / 2);
    high[axis] = difference - low[axis];
  }
  return n.Result(n.Make("pad", {x}, {{"low", low}, {"high", high}}));
}

}  // namespace

std::vector<OnnxOp> MovementOps() {
  std::vector<OnnxOp> ops;
  ops.push_back(
      {.name = "Concat", .handler = Concat, .operands = {1, kAny}, .attributes = {Int("axis")}});
  ops.push_back(
      {.name = "Split",
       .handler = Split,
       .operands = {1, 2},
       .max_results = kAny,
       .attributes = {Int("axis"), Until(12, Ints("split")), Since(18, Int("num_outputs"))},
       .first = 2,
       .limits = "known sizes"});
  ops.push_back({.name = "Slice",
                 .handler = Slice,
                 .operands = {1, 5},
                 .attributes = {Required(Until(9, Ints("starts"))),
                                Required(Until(9, Ints("ends"))), Until(9, Ints("axes"))},
                 .limits = "known bounds"});
  ops.push_back(
      {.name = "Pad",
       .handler = Pad,
       .operands = {1, 4},
       .attributes = {String("mode"), Required(Until(1, Ints("paddings"))),
                      Required(Since(2, Until(10, Ints("pads")))), Until(10, Float("value"))},
       .limits = "known pads and value"});
  ops.push_back(
      {.name = "Tile", .handler = Tile, .operands = {2, 2}, .first = 6, .limits = "known repeats"});
  ops.push_back({.name = "DepthToSpace",
                 .handler = DepthToSpace,
                 .attributes = {Required(Int("blocksize")), Since(11, String("mode"))}});
  ops.push_back({.name = "SpaceToDepth",
                 .handler = SpaceToDepth,
                 .attributes = {Required(Int("blocksize"))}});
  ops.push_back({.name = "CenterCropPad",
                 .handler = CenterCropPad,
                 .operands = {2, 2},
                 .attributes = {Ints("axes")},
                 .limits = "known shape"});
  return ops;
}

}  // namespace kiln::onnx_import
