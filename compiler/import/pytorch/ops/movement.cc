// Operators that move elements: cat, slices, pads, repeats, ...
#include "compiler/import/foreign/movement.h"

#include <algorithm>

#include "compiler/import/foreign/build.h"
#include "compiler/import/foreign/window.h"
#include "compiler/import/pytorch/node.h"

namespace kiln::pytorch_import {

namespace {

StatusOr<int64_t> AxisOf(Node& n, const Op* x) {
  const int64_t dim = n.Int("dim");
  KILN_RETURN_IF_ERROR(n.Problem());
  return NormalAxis(dim, Rank(x));
}

// All in one type; an empty vector counts for nothing, as ever in PyTorch.
Status Cat(Node& n) {
  KILN_ASSIGN_OR_RETURN(const std::vector<Op*> given, n.tensors("tensors"));
  std::vector<Operand> operands;
  std::vector<Op*> xs;
  for (Op* const x : given) {
    operands.push_back({.op = x});
    if (x->shape() != Shape{0} || Rank(given[0]) == 1) xs.push_back(x);
  }
  if (xs.empty()) return n.Output(given[0]);
  KILN_ASSIGN_OR_RETURN(const int64_t axis, AxisOf(n, xs[0]));
  std::vector<StatusOr<Op*>> parts;
  for (Op* const x : xs) parts.push_back(n.builder().Cast(x, ResultType(operands)));
  return n.Output(parts.size() == 1 ? parts[0] : n.Make("concat", parts, {{"axis", axis}}));
}

// hstack joins along dimension 1, or 0 of vectors; vstack along 0, vectors being rows.
Status StackSides(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(const std::vector<Op*> xs, n.tensors("tensors"));
  const bool columns = n.op().kind == "columns";
  std::vector<Operand> operands;
  for (Op* const x : xs) operands.push_back({.op = x});
  std::vector<StatusOr<Op*>> parts;
  for (Op* const x : xs) {
    Shape shape = x->shape();
    while (shape.size() < (columns ? 1 : 2)) shape.insert(shape.begin(), 1);
    parts.push_back(b.Reshape(b.Cast(x, ResultType(operands)), shape));
  }
  const int64_t axis = columns && Rank(xs[0]) > 1 ? 1 : 0;
  return n.Output(parts.size() == 1 ? parts[0] : n.Make("concat", parts, {{"axis", axis}}));
}

// Vector i along dimension i, as wide as all; with indexing "xy" the first two change places.
Status MeshGrid(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(const std::vector<Op*> xs, n.tensors("tensors"));
  const auto rank = static_cast<int64_t>(xs.size());
  const bool swap = n.String("indexing", "ij") == "xy" && rank > 1;
  const auto axis = [&](int64_t i) { return swap && i < 2 ? 1 - i : i; };
  Shape shape(xs.size(), 1);
  for (int64_t i = 0; i < rank; ++i) {
    if (Rank(xs[i]) > 1) return InvalidInput("needs vectors, found ", xs[i]->type().ToString());
    shape[axis(i)] = xs[i]->type().count();
  }
  KILN_RETURN_IF_ERROR(CheckedByteSize(xs[0]->element(), shape).status());
  for (int64_t i = 0; i < rank; ++i) {
    KILN_RETURN_IF_ERROR(
        n.Output(static_cast<int>(i), b.Broadcast(AlongAxis(b, xs[i], axis(i), rank), shape)));
  }
  return OkStatus();
}

Status Stack(Node& n) {
  KILN_ASSIGN_OR_RETURN(const std::vector<Op*> xs, n.tensors("tensors"));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(n.Int("dim"), Rank(xs[0]) + 1));
  std::vector<Operand> operands;
  for (Op* const x : xs) operands.push_back({.op = x});
  std::vector<StatusOr<Op*>> parts;
  for (Op* const x : xs) {
    if (x->shape() != xs[0]->shape()) {
      return InvalidInput("cannot stack ", xs[0]->type().ToString(), " and ", x->type().ToString());
    }
    Shape shape = x->shape();
    shape.insert(shape.begin() + axis, 1);
    parts.push_back(n.builder().Reshape(n.builder().Cast(x, ResultType(operands)), shape));
  }
  return n.Output(n.Make("concat", parts, {{"axis", axis}}));
}

// Pieces of these extents along an axis, one a result.
Status OutputPieces(Node& n, Op* x, int64_t axis, const std::vector<int64_t>& sizes) {
  if (static_cast<int>(sizes.size()) != n.num_results()) {
    return InvalidInput("has ", n.num_results(), " results, expected ",
                        static_cast<uint64_t>(sizes.size()));
  }
  int64_t start = 0;
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] < 0 || sizes[i] > x->shape()[axis] - start) {
      return InvalidInput("pieces of ", FormatInts(sizes), " do not fit ", x->type().ToString());
    }
    KILN_RETURN_IF_ERROR(
        n.Output(static_cast<int>(i), SliceAxis(n.builder(), x, axis, start, sizes[i])));
    start += sizes[i];
  }
  return OkStatus();
}

// Pieces of one size, the last smaller.
Status OutputEven(Node& n, Op* x, int64_t axis, int64_t size) {
  const int64_t extent = x->shape()[axis];
  std::vector<int64_t> sizes;
  for (int64_t start = 0; start < extent && static_cast<int>(sizes.size()) <= n.num_results();
       start += size) {
    sizes.push_back(std::min(size, extent - start));
  }
  if (extent == 0) sizes.push_back(0);
  return OutputPieces(n, x, axis, sizes);
}

Status Split(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("self"));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, AxisOf(n, x));
  const char* const name = n.Has("split_sizes") ? "split_sizes" : "split_size";
  const std::vector<int64_t> sizes = n.Ints(name);
  KILN_RETURN_IF_ERROR(n.Problem());
  if (n.op().kind == "sizes") return OutputPieces(n, x, axis, sizes);
  if (sizes.size() != 1 || sizes[0] < 1) return InvalidInput("split_size is ", FormatInts(sizes));
  return OutputEven(n, x, axis, sizes[0]);
}

Status Chunk(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("self"));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, AxisOf(n, x));
  const int64_t chunks = n.Int("chunks");
  if (chunks < 1 || chunks > 1 << 20) return InvalidInput("chunks is ", chunks);
  return OutputEven(n, x, axis, std::max<int64_t>((x->shape()[axis] + chunks - 1) / chunks, 1));
}

Status Unbind(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("self"));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, AxisOf(n, x));
  if (x->shape()[axis] != n.num_results()) {
    return InvalidInput("has ", n.num_results(), " results, expected ", x->shape()[axis]);
  }
  for (int i = 0; i < n.num_results(); ++i) {
    KILN_RETURN_IF_ERROR(n.Output(i, SelectAxis(n.builder(), x, axis, i)));
  }
  return OkStatus();
}

// Python's x[start:end:step] along an axis.
struct Range {
  int64_t axis, start, count, step;
};
StatusOr<Range> ReadRange(Node& n, const Op* x) {
  Range range{};
  KILN_ASSIGN_OR_RETURN(range.axis, AxisOf(n, x));
  const int64_t extent = x->shape()[range.axis];
  const auto bound = [&](const char* name, int64_t otherwise) {
    const int64_t at = n.Int(name, otherwise);
    return std::clamp<int64_t>(at < 0 ? at + extent : at, 0, extent);
  };
  range.start = bound("start", 0);
  const int64_t end = bound("end", extent);
  range.step = n.Int("step", 1);
  KILN_RETURN_IF_ERROR(n.Problem());
  if (range.step < 1) return InvalidInput("step is ", range.step);
  const int64_t length = std::max<int64_t>(end - range.start, 0);
  range.count = length / range.step + (length % range.step != 0);
  return range;
}

Status Slice(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("self"));
  KILN_ASSIGN_OR_RETURN(const Range range, ReadRange(n, x));
  std::vector<int64_t> starts(x->shape().size(), 0), strides(x->shape().size(), 1);
  Shape sizes = x->shape();
  if (range.count == sizes[range.axis] && range.step == 1) return n.Output(x);
  starts[range.axis] = range.count == 0 ? 0 : range.start;
  sizes[range.axis] = range.count;
  strides[range.axis] = range.count == 0 ? 1 : range.step;
  return n.Output(
      n.Make("slice", {x}, {{"starts", starts}, {"sizes", sizes}, {"strides", strides}}));
}

// x with the elements of a range along an axis replaced.
Status SliceScatter(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("self"));
  KILN_ASSIGN_OR_RETURN(Op* const source, n.tensor("src"));
  Builder& b = n.builder();
  Range range{};
  Shape shape = x->shape();
  if (n.op().kind == "select") {
    KILN_ASSIGN_OR_RETURN(range.axis, AxisOf(n, x));
    KILN_ASSIGN_OR_RETURN(range.start, NormalAxis(n.Int("index"), x->shape()[range.axis]));
    range.count = range.step = 1;
  } else {
    KILN_ASSIGN_OR_RETURN(range, ReadRange(n, x));
  }
  if (range.step != 1) return Unsupported("steps other than 1 are not supported");
  shape[range.axis] = range.count;
  const auto middle = b.Reshape(b.Cast(source, x->element()), shape);
  const int64_t behind = range.start + range.count;
  std::vector<StatusOr<Op*>> parts;
  if (range.start > 0) parts.push_back(SliceAxis(b, x, range.axis, 0, range.start));
  parts.push_back(middle);
  if (behind < x->shape()[range.axis]) {
    parts.push_back(SliceAxis(b, x, range.axis, behind, x->shape()[range.axis] - behind));
  }
  return n.Output(parts.size() == 1 ? middle : n.Make("concat", parts, {{"axis", range.axis}}));
}

Status Select(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("self"));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, AxisOf(n, x));
  KILN_ASSIGN_OR_RETURN(const int64_t index, NormalAxis(n.Int("index"), x->shape()[axis]));
  return n.Output(SelectAxis(n.builder(), x, axis, index));
}

Status Narrow(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("self"));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, AxisOf(n, x));
  const int64_t extent = x->shape()[axis], given = n.Int("start"), length = n.Int("length");
  const int64_t start = given < 0 ? given + extent : given;
  if (start < 0 || start > extent || length < 0 || length > extent - start) {
    return InvalidInput("start ", given, " and length ", length, " do not fit ",
                        x->type().ToString());
  }
  return n.Output(SliceAxis(n.builder(), x, axis, start, length));
}

// Pads come in pairs, low and high, from the last dimension on.
Status PadDims(Node& n, const std::vector<int64_t>& pads, const std::string& mode, double value) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("self"));
  const size_t rank = x->shape().size();
  if (pads.size() % 2 != 0 || pads.size() / 2 > rank) {
    return InvalidInput("pads ", FormatInts(pads), " do not fit ", x->type().ToString());
  }
  std::vector<int64_t> low(rank, 0), high(rank, 0);
  for (size_t i = 0; i < pads.size() / 2; ++i) {
    low[rank - 1 - i] = pads[2 * i];
    high[rank - 1 - i] = pads[2 * i + 1];
  }
  return n.Output(
      n.Make("pad", {x}, {{"low", low}, {"high", high}, {"mode", mode}, {"value", value}}));
}

Status ConstantPad(Node& n) { return PadDims(n, n.Ints("pad"), "constant", n.Float("value")); }

Status PadByKind(Node& n) { return PadDims(n, n.Ints("padding"), n.op().kind, 0); }

Status Pad(Node& n) {
  const std::string mode = n.String("mode", "constant");
  const std::string kind = mode == "replicate" ? "edge" : mode == "circular" ? "wrap" : mode;
  return PadDims(n, n.Ints("pad"), kind, n.Float("value"));
}

// The tensor as often along each dimension; dimensions are added in front.
Status Repeat(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op * x, n.tensor("self"));
  const std::vector<int64_t> repeats = n.Ints("repeats");
  KILN_RETURN_IF_ERROR(n.Problem());
  const int64_t added = static_cast<int64_t>(repeats.size()) - Rank(x);
  if (added < 0 || repeats.size() > kMaxRank / 2) {
    return InvalidInput("repeats ", FormatInts(repeats), " do not fit ", x->type().ToString());
  }
  Shape shape(added, 1);
  shape.insert(shape.end(), x->shape().begin(), x->shape().end());
  KILN_ASSIGN_OR_RETURN(x, n.builder().Reshape(x, shape));
  return n.Output(foreign::Tile(n.builder(), x, repeats));
}

// Each element as often, one after another, along an axis.
Status RepeatInterleave(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op * x, n.tensor("self"));
  if (!n.Has("dim")) {
    KILN_ASSIGN_OR_RETURN(x, b.Reshape(x, {x->type().count()}));
  }
  KILN_ASSIGN_OR_RETURN(const int64_t axis, AxisOf(n, x));
  const int64_t repeats = n.Int("repeats");
  if (repeats < 0 || repeats > kMaxExtent) return InvalidInput("repeats is ", repeats);
  return n.Output(RepeatEach(b, x, axis, repeats));
}

Status Flip(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("self"));
  KILN_ASSIGN_OR_RETURN(const auto axes, NormalAxes(n.Ints("dims"), Rank(x)));
  return n.Output(Reverse(n.builder(), x, axes));
}

// What passes the end comes in again in front.
StatusOr<Op*> RollAxis(Node& n, Op* x, int64_t axis, int64_t shift) {
  const int64_t extent = x->shape()[axis];
  if (extent == 0) return x;
  const int64_t first = (extent - shift % extent) % extent;  // that comes in front
  if (first == 0) return x;
  return n.Make("concat",
                {SliceAxis(n.builder(), x, axis, first, extent - first),
                 SliceAxis(n.builder(), x, axis, 0, first)},
                {{"axis", axis}});
}

Status Roll(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const given, n.tensor("self"));
  const std::vector<int64_t> shifts = n.Ints("shifts"), dims = n.Ints("dims");
  KILN_RETURN_IF_ERROR(n.Problem());
  Op* x = given;
  if (dims.empty()) {
    KILN_ASSIGN_OR_RETURN(x, n.builder().Reshape(x, {x->type().count()}));
  }
  if (shifts.size() != std::max<size_t>(dims.size(), 1)) {
    return InvalidInput("shifts ", FormatInts(shifts), " do not fit dims ", FormatInts(dims));
  }
  for (size_t i = 0; i < shifts.size(); ++i) {
    KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(dims.empty() ? 0 : dims[i], Rank(x)));
    KILN_ASSIGN_OR_RETURN(x, RollAxis(n, x, axis, shifts[i]));
  }
  return n.Output(n.builder().Reshape(x, given->shape()));
}

// Zeros above (tril) or below (triu) a diagonal of the last two dimensions.
Status Triangle(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("self"));
  if (Rank(x) < 2) return InvalidInput("needs two dimensions: ", x->type().ToString());
  const int64_t diagonal = n.Int("diagonal"), rank = Rank(x);
  const auto row = IotaAlong(b, rank, rank - 2, x->shape()[rank - 2], ElementType::kI64);
  const auto column = IotaAlong(b, rank, rank - 1, x->shape()[rank - 1], ElementType::kI64);
  const auto limit = b.Add(row, b.Constant(Tensor::FromInts(ElementType::kI64, {}, {diagonal})));
  return n.Output(
      n.Make("where", {n.Make(n.op().kind, {column, limit}), x, b.Scalar(x->element(), 0)}));
}

}  // namespace

std::vector<PytorchOp> MovementOps() {
  std::vector<PytorchOp> ops;
  const auto add = [&ops](const std::string& name, Status (*handler)(Node&),
                          const std::string& arguments, const std::string& kind = "") {
    ops.push_back(
        {.name = StrCat("aten.", name), .handler = handler, .kind = kind, .arguments = arguments});
  };
  for (const char* const name : {"cat", "concat", "concatenate"}) {
    add(StrCat(name, ".default"), Cat, "tensors dim");
  }
  add("stack.default", Stack, "tensors dim");
  add("hstack.default", StackSides, "tensors", "columns");
  add("vstack.default", StackSides, "tensors", "rows");
  add("meshgrid.default", MeshGrid, "tensors");
  add("meshgrid.indexing", MeshGrid, "tensors indexing");
  add("unsafe_split.Tensor", Split, "self split_size dim");
  add("unsafe_split_with_sizes.default", Split, "self split_sizes dim", "sizes");
  add("unsafe_chunk.default", Chunk, "self chunks dim");
  for (const char* const suffix : {"", "_copy"}) {
    add(StrCat("split", suffix, ".Tensor"), Split, "self split_size dim");
    add(StrCat("split_with_sizes", suffix, ".default"), Split, "self split_sizes dim", "sizes");
    add(StrCat("unbind", suffix, ".int"), Unbind, "self dim");
    add(StrCat("slice", suffix, ".Tensor"), Slice, "self dim start end step");
    add(StrCat("select", suffix, ".int"), Select, "self dim index");
  }
  add("split.sizes", Split, "self split_size dim", "sizes");
  add("chunk.default", Chunk, "self chunks dim");
  add("narrow.default", Narrow, "self dim start length");
  // Up to here results share memory with their operand, where it is one tensor.
  for (PytorchOp& op : ops) op.view = op.arguments.starts_with("self");
  add("slice_scatter.default", SliceScatter, "self src dim start end step");
  add("select_scatter.default", SliceScatter, "self src dim index", "select");
  add("constant_pad_nd.default", ConstantPad, "self pad value");
  add("pad.default", Pad, "self pad mode value");
  for (const char* const rank : {"1d", "2d", "3d"}) {
    add(StrCat("reflection_pad", rank, ".default"), PadByKind, "self padding", "reflect");
    add(StrCat("replication_pad", rank, ".default"), PadByKind, "self padding", "edge");
  }
  add("repeat.default", Repeat, "self repeats");
  add("repeat_interleave.self_int", RepeatInterleave, "self repeats dim output_size");
  add("flip.default", Flip, "self dims");
  add("roll.default", Roll, "self shifts dims");
  add("tril.default", Triangle, "self diagonal", "less_equal");
  add("triu.default", Triangle, "self diagonal", "greater_equal");
  return ops;
}

}  // namespace kiln::pytorch_import
