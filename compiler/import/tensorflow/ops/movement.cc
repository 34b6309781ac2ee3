// Operators that move elements: StridedSlice, ConcatV2, Split, Pad, Transpose, Tile, Gather, ...
#include "compiler/import/foreign/movement.h"

#include <algorithm>

#include "compiler/import/foreign/build.h"
#include "compiler/import/tensorflow/node.h"

namespace kiln::tensorflow_import {

namespace {

Status Transpose(Node& n) {
  KILN_ASSIGN_OR_RETURN(const auto permutation, n.KnownInts(1));
  return n.Output(n.builder().Transpose(n.input(0), permutation));
}

// The axis is the last input (ConcatV2) or the first (Concat).
Status Concat(Node& n) {
  const bool v2 = n.op().name == "ConcatV2";
  const int count = n.num_inputs() - 1;
  KILN_ASSIGN_OR_RETURN(std::vector<Op*> xs, n.inputs(v2 ? 0 : 1, count));
  KILN_RETURN_IF_ERROR(PromoteHalves(n.builder(), xs));
  KILN_ASSIGN_OR_RETURN(const int64_t given, n.KnownInt(v2 ? count : 0));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(given, Rank(xs[0])));
  if (count == 1) return n.Output(xs[0]);
  return n.Output(n.Make("concat", {xs.begin(), xs.end()}, {{"axis", axis}}));
}

Status SplitInto(Node& n, Op* x, int64_t given_axis, std::vector<int64_t> sizes) {
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(given_axis, Rank(x)));
  const int64_t extent = x->shape()[axis];
  int64_t start = 0;
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] < 0 || sizes[i] > extent - start) {
      return InvalidInput("sizes ", FormatInts(sizes), " do not fit an extent of ", extent);
    }
    KILN_RETURN_IF_ERROR(
        n.Output(static_cast<int>(i), SliceAxis(n.builder(), x, axis, start, sizes[i])));
    start += sizes[i];
  }
  return OkStatus();
}

Status Split(Node& n) {
  KILN_ASSIGN_OR_RETURN(const int64_t given, n.KnownInt(0));
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(1));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(given, Rank(x)));
  const int64_t count = n.Int("num_split"), extent = x->shape()[axis];
  if (count < 1 || count > 1 << 16 || extent % count != 0) {
    return InvalidInput("an extent of ", extent, " does not divide into ", count);
  }
  return SplitInto(n, x, axis, std::vector<int64_t>(static_cast<size_t>(count), extent / count));
}

// One size may be -1: what is left.
Status SplitV(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  KILN_ASSIGN_OR_RETURN(std::vector<int64_t> sizes, n.KnownInts(1));
  KILN_ASSIGN_OR_RETURN(const int64_t given, n.KnownInt(2));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(given, Rank(x)));
  int64_t left = x->shape()[axis];
  for (const int64_t size : sizes) left -= size == -1 ? 0 : size;
  std::ranges::replace(sizes, -1, left);
  return SplitInto(n, x, axis, sizes);
}

// A size of -1 is all that is left.
Status Slice(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op * x, n.input(0));
  KILN_ASSIGN_OR_RETURN(const auto begin, n.KnownInts(1));
  KILN_ASSIGN_OR_RETURN(const auto size, n.KnownInts(2));
  if (begin.size() != x->shape().size() || size.size() != begin.size()) {
    return InvalidInput("begin and size do not fit ", x->type().ToString());
  }
  for (size_t d = 0; d < begin.size(); ++d) {
    const int64_t extent = x->shape()[d];
    const int64_t taken = size[d] == -1 ? extent - begin[d] : size[d];
    KILN_ASSIGN_OR_RETURN(x, SliceAxis(n.builder(), x, static_cast<int64_t>(d), begin[d], taken));
  }
  return n.Output(x);
}

// What one dimension of StridedSlice takes.
struct Taken {
  int64_t start, size, stride;
};

Taken TakeRange(int64_t extent, std::optional<int64_t> begin, std::optional<int64_t> end,
                int64_t stride) {
  const auto bound = [&](int64_t at) {
    const int64_t from_front = at < 0 ? at + extent : at;
    return stride > 0 ? std::clamp<int64_t>(from_front, 0, extent)
                      : std::clamp<int64_t>(from_front, -1, extent - 1);
  };
  const int64_t first = begin ? bound(*begin) : stride > 0 ? 0 : extent - 1;
  const int64_t last = end ? bound(*end) : stride > 0 ? extent : -1;
  const int64_t span = stride > 0 ? last - first : first - last;
  const int64_t step = std::abs(stride);
  const int64_t size = span <= 0 ? 0 : (span - 1) / step + 1;
  return {size == 0 ? 0 : first, size, stride};
}

/// Python's x[a:b:c, ..., newaxis, i], as its bounds and bit masks say it.
class Slicer {
 public:
  Slicer(Node& node, Op* x) : n_(node), x_(x) {}

  StatusOr<Op*> Slice() {
    KILN_ASSIGN_OR_RETURN(begin_, n_.KnownInts(1));
    KILN_ASSIGN_OR_RETURN(end_, n_.KnownInts(2));
    KILN_ASSIGN_OR_RETURN(strides_, n_.KnownInts(3));
    if (begin_.size() > 32 || end_.size() != begin_.size() || strides_.size() != begin_.size()) {
      return InvalidInput("begin, end and strides differ in length");
    }
    for (size_t i = 0; i < begin_.size(); ++i) KILN_RETURN_IF_ERROR(Entry(i));
    Ellipsis(0);
    std::vector<int64_t> starts, sizes, strides;
    for (const Taken& taken : taken_) {
      starts.push_back(taken.start);
      sizes.push_back(taken.size);
      strides.push_back(taken.stride);
    }
    const auto y =
        n_.Make("slice", {x_}, {{"starts", starts}, {"sizes", sizes}, {"strides", strides}});
    return n_.builder().Reshape(y, shape_);
  }

 private:
  bool Bit(const char* mask, size_t i) const { return (n_.Int(mask) >> i & 1) != 0; }
  int64_t At() const { return static_cast<int64_t>(taken_.size()); }

  // All dimensions but for the last `rest`.
  void Ellipsis(int64_t rest) {
    while (At() < Rank(x_) - rest) {
      const int64_t extent = x_->shape()[At()];
      shape_.push_back(extent);
      taken_.push_back({0, extent, 1});
    }
  }

  Status Entry(size_t i) {
    if (Bit("ellipsis_mask", i)) {
      int64_t rest = 0;
      for (size_t j = i + 1; j < begin_.size(); ++j) rest += Bit("new_axis_mask", j) ? 0 : 1;
      Ellipsis(rest);
      return OkStatus();
    }
    if (Bit("new_axis_mask", i)) {
      shape_.push_back(1);
      return OkStatus();
    }
    if (At() >= Rank(x_)) return InvalidInput("more bounds than dimensions");
    const int64_t extent = x_->shape()[At()];
    if (Bit("shrink_axis_mask", i)) {
      const int64_t index = begin_[i] < 0 ? begin_[i] + extent : begin_[i];
      if (index < 0 || index >= extent) {
        return InvalidInput("index ", begin_[i], " is out of range for an extent of ", extent);
      }
      taken_.push_back({index, 1, 1});
      return OkStatus();
    }
    if (strides_[i] == 0) return InvalidInput("a stride is 0");
    const auto open = [&](const char* mask, int64_t at) {
      return Bit(mask, i) ? std::nullopt : std::optional<int64_t>(at);
    };
    taken_.push_back(
        TakeRange(extent, open("begin_mask", begin_[i]), open("end_mask", end_[i]), strides_[i]));
    shape_.push_back(taken_.back().size);
    return OkStatus();
  }

  Node& n_;
  Op* x_;
  std::vector<int64_t> begin_, end_, strides_;
  std::vector<Taken> taken_;  // by dimension of x
  Shape shape_;               // of the result
};

Status StridedSlice(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  return n.Output(Slicer(n, x).Slice());
}

Status Pad(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  KILN_ASSIGN_OR_RETURN(const auto pads, n.KnownInts(1));
  if (static_cast<int64_t>(pads.size()) != 2 * Rank(x)) {
    return InvalidInput("paddings ", FormatInts(pads), " do not fit ", x->type().ToString());
  }
  std::vector<int64_t> low, high;
  for (size_t i = 0; i < pads.size(); ++i) (i % 2 == 0 ? low : high).push_back(pads[i]);
  AttributeMap attributes = {{"low", low}, {"high", high}};
  if (n.Has(2)) {
    KILN_ASSIGN_OR_RETURN(const Tensor value, n.Known(2));
    if (value.type().count() != 1) return InvalidInput("the padding's value is no single number");
    attributes.emplace("value", value.GetDouble(0));
  }
  if (n.op().name == "MirrorPad") {
    if (n.String("mode") != "REFLECT") return Unsupported("mode SYMMETRIC is not supported");
    attributes.emplace("mode", "reflect");
  }
  return n.Output(n.Make("pad", {x}, std::move(attributes)));
}

Status Tile(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  KILN_ASSIGN_OR_RETURN(const auto multiples, n.KnownInts(1));
  if (static_cast<int64_t>(multiples.size()) != Rank(x)) {
    return InvalidInput("multiples ", FormatInts(multiples), " do not fit ", x->type().ToString());
  }
  return n.Output(foreign::Tile(n.builder(), x, multiples));
}

Status Gather(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  int64_t given = 0;
  if (n.Has(2)) {
    KILN_ASSIGN_OR_RETURN(given, n.KnownInt(2));
  }
  if (n.Int("batch_dims") != 0) return Unsupported("batch_dims other than 0 is not supported");
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(given, Rank(x)));
  return n.Output(n.Make("gather", {x, n.input(1)}, {{"axis", axis}}));
}

Status GatherNd(Node& n) { return n.Output(n.Make("gather_nd", {n.input(0), n.input(1)})); }

Status Reverse(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  KILN_ASSIGN_OR_RETURN(const auto given, n.KnownInts(1));
  KILN_ASSIGN_OR_RETURN(const auto axes, NormalAxes(given, Rank(x)));
  return n.Output(foreign::Reverse(n.builder(), x, axes));
}

// on where the position along a new axis is the index, else off.
Status OneHot(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const indices, n.input(0));
  KILN_ASSIGN_OR_RETURN(const int64_t depth, n.KnownInt(1));
  if (depth < 0 || depth > 1 << 20) return InvalidInput("the depth is ", depth);
  const int64_t rank = Rank(indices) + 1;
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(n.Int("axis", -1), rank));
  Shape shape = indices->shape();
  shape.insert(shape.begin() + axis, 1);
  const auto hit = n.Make(
      "equal", {b.Reshape(indices, shape), IotaAlong(b, rank, axis, depth, indices->element())});
  return n.Output(n.Make("where", {hit, n.input(2), n.input(3)}));
}

}  // namespace

std::vector<TensorflowOp> MovementOps() {
  std::vector<TensorflowOp> ops;
  ops.push_back(
      {.name = "Transpose", .handler = Transpose, .inputs = {2, 2}, .limits = "known permutation"});
  for (const char* const name : {"Concat", "ConcatV2"}) {
    ops.push_back({.name = name, .handler = Concat, .inputs = {2, kAny}, .limits = "known axis"});
  }
  ops.push_back({.name = "Split",
                 .handler = Split,
                 .inputs = {2, 2},
                 .outputs = {"output"},
                 .limits = "known axis"});
  ops.push_back({.name = "SplitV",
                 .handler = SplitV,
                 .inputs = {3, 3},
                 .outputs = {"output"},
                 .limits = "known axis and sizes"});
  ops.push_back({.name = "Slice", .handler = Slice, .inputs = {3, 3}, .limits = "known bounds"});
  ops.push_back({.name = "StridedSlice",
                 .handler = StridedSlice,
                 .inputs = {4, 4},
                 .limits = "known bounds"});
  for (const char* const name : {"Pad", "PadV2", "MirrorPad"}) {
    ops.push_back(
        {.name = name, .handler = Pad, .inputs = {2, 3}, .limits = "known; not SYMMETRIC"});
  }
  ops.push_back({.name = "Tile", .handler = Tile, .inputs = {2, 2}, .limits = "known multiples"});
  for (const char* const name : {"Gather", "GatherV2", "ResourceGather"}) {
    ops.push_back(
        {.name = name, .handler = Gather, .inputs = {2, 3}, .limits = "known axis, one batch"});
  }
  ops.push_back({.name = "GatherNd", .handler = GatherNd, .inputs = {2, 2}});
  ops.push_back(
      {.name = "ReverseV2", .handler = Reverse, .inputs = {2, 2}, .limits = "known axes"});
  ops.push_back({.name = "OneHot", .handler = OneHot, .inputs = {4, 4}, .limits = "known depth"});
  return ops;
}

}  // namespace kiln::tensorflow_import
