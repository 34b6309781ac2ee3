// Data movement by indices that are values of the graph: gathers, scatters, one-hot.
#include "compiler/import/foreign/build.h"
#include "compiler/import/onnx/node.h"

namespace kiln::onnx_import {

namespace {

// Gather and GatherElements.
Status GatherAlong(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const data, n.operand(0));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(n.Int("axis", 0), Rank(data)));
  return n.Result(n.Make(n.op().kind, {data, n.operand(1)}, {{"axis", axis}}));
}

Status GatherNd(Node& n) {
  return n.Result(
      n.Make("gather_nd", {n.operand(0), n.operand(1)}, {{"batch_dims", n.Int("batch_dims", 0)}}));
}

Status ScatterElements(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const data, n.operand(0));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(n.Int("axis", 0), Rank(data)));
  return n.Result(n.Make("scatter_elements", {data, n.operand(1), n.operand(2)},
                         {{"axis", axis}, {"reduction", n.String("reduction", "none")}}));
}

Status ScatterNd(Node& n) {
  return n.Result(n.Make("scatter_nd", {n.operand(0), n.operand(1), n.operand(2)},
                         {{"reduction", n.String("reduction", "none")}}));
}

// Writes `update` into the cache, from a position of its own for each item of the batch on; past
// the end it goes on at the start (circular).
Status TensorScatter(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const cache, n.operand(0));
  KILN_ASSIGN_OR_RETURN(Op* const update, n.operand(1));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(n.Int("axis", -2), Rank(cache)));
  const std::string mode = n.String("mode", "linear");
  if (mode != "linear" && mode != "circular") return InvalidInput("mode is ", Quote(mode));
  if (axis == 0) return InvalidInput("the axis is that of the batch");
  if (Rank(update) != Rank(cache) || update->shape()[axis] > cache->shape()[axis]) {
    return InvalidInput(update->type().ToString(), " does not fit ", cache->type().ToString());
  }
  KILN_ASSIGN_OR_RETURN(Op * to,
                        IotaAlong(b, Rank(cache), axis, update->shape()[axis], ElementType::kI64));
  if (n.Has(2)) {
    const StatusOr<Op*> start = b.Cast(n.operand(2), ElementType::kI64);
    KILN_ASSIGN_OR_RETURN(to, b.Add(AlongAxis(b, start, 0, Rank(cache)), to));
  }
  if (mode == "circular") {
    const Tensor extent = Tensor::FromInts(ElementType::kI64, {}, {cache->shape()[axis]});
    KILN_ASSIGN_OR_RETURN(to, n.Make("mod", {to, b.Constant(extent)}));
  }
  return n.Result(n.Make("scatter_elements", {cache, b.Broadcast(to, update->shape()), update},
                         {{"axis", axis}, {"reduction", "none"}}));
}

// The result has the indices' shape with a dimension of `depth` put in at `axis`, and the second
// value of `values` where the index (negative ones count from the end) meets the position.
Status OneHot(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op * indices, n.operand(0));
  KILN_ASSIGN_OR_RETURN(const Tensor depth_value, n.Known(1, "depth"));
  KILN_ASSIGN_OR_RETURN(Op* const values, n.operand(2));
  if (depth_value.type().count() != 1 || values->shape() != Shape{2}) {
    return InvalidInput("operand 'depth' must be one number and 'values' two");
  }
  const int64_t depth = depth_value.GetInt(0);
  KILN_RETURN_IF_ERROR(CheckedByteSize(ElementType::kI64, {depth}).status());
  const int64_t rank = Rank(indices) + 1;
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(n.Int("axis", -1), rank));
  Shape shape = indices->shape();
  shape.insert(shape.begin() + axis, 1);
  KILN_ASSIGN_OR_RETURN(indices, b.Reshape(b.Cast(indices, ElementType::kI64), shape));
  const StatusOr<Op*> zero = b.Scalar(ElementType::kI64, 0);
  const StatusOr<Op*> count = b.Constant(Tensor::FromInts(ElementType::kI64, {}, {depth}));
  const StatusOr<Op*> position =
      n.Make("where", {n.Make("less", {indices, zero}), b.Add(indices, count), indices});
  const StatusOr<Op*> hot =
      n.Make("equal", {position, IotaAlong(b, rank, axis, depth, ElementType::kI64)});
  return n.Result(n.Make("where", {hot, SelectAxis(b, values, 0, 1), SelectAxis(b, values, 0, 0)}));
}

// Reverses the first lengths[i] steps of sequence i: element t is taken from length-1-t.
Status ReverseSequence(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.operand(0));
  KILN_ASSIGN_OR_RETURN(Op * lengths, n.operand(1));
  const int64_t time = n.Int("time_axis", 0), batch = n.Int("batch_axis", 1);
  if (Rank(x) < 2 || time + batch != 1 || time * batch != 0) {
    return InvalidInput("time_axis ", time, " and batch_axis ", batch, " must be 0 and 1");
  }
  if (lengths->shape() != Shape{x->shape()[batch]}) {
    return InvalidInput("sequence_lens must be [", x->shape()[batch], "], found ",
                        lengths->type().ToString());
  }
  KILN_ASSIGN_OR_RETURN(lengths, AlongAxis(b, b.Cast(lengths, ElementType::kI64), batch, Rank(x)));
  KILN_ASSIGN_OR_RETURN(Op* const step,
                        IotaAlong(b, Rank(x), time, x->shape()[time], ElementType::kI64));
  const StatusOr<Op*> mirrored = b.AddScalar(b.Sub(lengths, step), -1);
  const StatusOr<Op*> from = n.Make("where", {n.Make("less", {step, lengths}), mirrored, step});
  return n.Result(n.Make("gather_elements", {x, b.Broadcast(from, x->shape())}, {{"axis", time}}));
}

// Keeps the positions of `axis` (or of the flat tensor) whose condition is true.
Status Compress(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op * x, n.operand(0));
  KILN_ASSIGN_OR_RETURN(const Tensor condition, n.Known(1, "condition"));
  int64_t axis = 0;
  if (n.HasAttribute("axis")) {
    KILN_ASSIGN_OR_RETURN(axis, NormalAxis(n.Int("axis"), Rank(x)));
  } else {
    KILN_ASSIGN_OR_RETURN(x, n.builder().Reshape(x, {x->type().count()}));
  }
  if (condition.type().count() > x->shape()[axis]) {
    return InvalidInput("the condition has ", condition.type().count(), " values, the axis ",
                        x->shape()[axis]);
  }
  std::vector<int64_t> kept;
  for (int64_t i = 0; i < condition.type().count(); ++i) {
    if (condition.GetInt(i) != 0) kept.push_back(i);
  }
  const Shape shape = {static_cast<int64_t>(kept.size())};
  return n.Result(
      n.Make("gather", {x, n.builder().Constant(Tensor::FromInts(ElementType::kI64, shape, kept))},
             {{"axis", axis}}));
}

// Column k of the result is the index of the k-th element that is not zero.
Status NonZero(Node& n) {
  constexpr int64_t kMaxElements = 1 << 20;
  const std::optional<Tensor> x = n.IfConstant(0);
  if (!x) return Unsupported("operand 'X' must be a constant: the result's shape depends on it");
  if (x->type().count() > kMaxElements) return Unsupported("operand 'X' is too large");
  const Shape shape = x->type().rank() == 0 ? Shape{1} : x->shape();
  std::vector<int64_t> found;
  for (int64_t i = 0; i < x->type().count(); ++i) {
    if (x->GetDouble(i) != 0) found.push_back(i);
  }
  const std::vector<int64_t> strides = RowMajorStrides(shape);
  std::vector<int64_t> indices;
  for (size_t d = 0; d < shape.size(); ++d) {
    for (const int64_t at : found) indices.push_back(at / strides[d] % shape[d]);
  }
  return n.ConstantResult(Tensor::FromInts(
      ElementType::kI64, {static_cast<int64_t>(shape.size()), static_cast<int64_t>(found.size())},
      indices));
}

}  // namespace

std::vector<OnnxOp> GatherOps() {
  std::vector<OnnxOp> ops;
  ops.push_back({.name = "Gather",
                 .handler = GatherAlong,
                 .kind = "gather",
                 .operands = {2, 2},
                 .attributes = {Int("axis")}});
  ops.push_back({.name = "GatherElements",
                 .handler = GatherAlong,
                 .kind = "gather_elements",
                 .operands = {2, 2},
                 .attributes = {Int("axis")}});
  ops.push_back({.name = "GatherND",
                 .handler = GatherNd,
                 .operands = {2, 2},
                 .attributes = {Since(12, Int("batch_dims"))}});
  ops.push_back({.name = "Scatter",
                 .handler = ScatterElements,
                 .operands = {3, 3},
                 .attributes = {Int("axis")}});
  ops.push_back({.name = "ScatterElements",
                 .handler = ScatterElements,
                 .operands = {3, 3},
                 .attributes = {Int("axis"), Since(16, String("reduction"))}});
  ops.push_back({.name = "ScatterND",
                 .handler = ScatterNd,
                 .operands = {3, 3},
                 .attributes = {Since(16, String("reduction"))}});
  ops.push_back({.name = "TensorScatter",
                 .handler = TensorScatter,
                 .operands = {2, 3},
                 .attributes = {String("mode"), Int("axis")},
                 .first = 24});
  ops.push_back({.name = "OneHot",
                 .handler = OneHot,
                 .operands = {3, 3},
                 .attributes = {Int("axis")},
                 .limits = "known depth"});
  ops.push_back({.name = "ReverseSequence",
                 .handler = ReverseSequence,
                 .operands = {2, 2},
                 .attributes = {Int("time_axis"), Int("batch_axis")}});
  ops.push_back({.name = "Compress",
                 .handler = Compress,
                 .operands = {2, 2},
                 .attributes = {Int("axis")},
                 .limits = "known condition"});
  ops.push_back({.name = "NonZero", .handler = NonZero, .limits = "of constants only"});
  return ops;
}

}  // namespace kiln::onnx_import
