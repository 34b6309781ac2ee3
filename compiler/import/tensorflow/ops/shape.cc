// Shapes and what is computed from them: Shape, Reshape, Pack, Fill, Range, ...
#include <algorithm>
#include <cmath>

#include "compiler/import/foreign/build.h"
#include "compiler/import/foreign/movement.h"
#include "compiler/import/tensorflow/node.h"

namespace kiln::tensorflow_import {

namespace {

StatusOr<ElementType> IndexType(Node& n, const std::string& attribute) {
  return n.Find(attribute) == nullptr ? StatusOr<ElementType>(ElementType::kI32)
                                      : n.Type(attribute);
}

Status IntsOutput(Node& n, int i, Shape shape, const std::vector<int64_t>& values) {
  KILN_ASSIGN_OR_RETURN(const ElementType type, IndexType(n, "out_type"));
  n.values().SetConstant(n.output_name(i), Tensor::FromInts(type, std::move(shape), values));
  return OkStatus();
}

// Also of several inputs (ShapeN).
Status ShapeOf(Node& n) {
  for (int i = 0; i < n.num_inputs(); ++i) {
    KILN_ASSIGN_OR_RETURN(const TensorType type, n.values().TypeOf(n.input_name(i)));
    KILN_RETURN_IF_ERROR(IntsOutput(n, i, {type.rank()}, type.shape));
  }
  return OkStatus();
}

Status RankOf(Node& n) {
  KILN_ASSIGN_OR_RETURN(const TensorType type, n.values().TypeOf(n.input_name(0)));
  return IntsOutput(n, 0, {}, {type.rank()});
}

Status SizeOf(Node& n) {
  KILN_ASSIGN_OR_RETURN(const TensorType type, n.values().TypeOf(n.input_name(0)));
  return IntsOutput(n, 0, {}, {type.count()});
}

Status Reshape(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  KILN_ASSIGN_OR_RETURN(Shape shape, n.KnownInts(1));
  KILN_ASSIGN_OR_RETURN(shape, CompleteShape(shape, x->type().count()));
  return n.Output(n.builder().Reshape(x, shape));
}

Status Squeeze(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  std::vector<int64_t> axes = n.Ints("squeeze_dims");
  if (axes.empty()) axes = n.Ints("axis");
  KILN_ASSIGN_OR_RETURN(axes, NormalAxes(axes, Rank(x)));
  return n.Output(foreign::Squeeze(n.builder(), x, axes.empty() ? UnitAxes(x->shape()) : axes));
}

Status ExpandDims(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  KILN_ASSIGN_OR_RETURN(const int64_t given, n.KnownInt(1));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(given, Rank(x) + 1));
  return n.Output(Unsqueeze(n.builder(), x, axis));
}

// Stacks along a new axis.
Status Pack(Node& n) {
  KILN_ASSIGN_OR_RETURN(const std::vector<Op*> xs, n.inputs(0, n.num_inputs()));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(n.Int("axis"), Rank(xs[0]) + 1));
  std::vector<StatusOr<Op*>> parts;
  for (Op* const x : xs) {
    if (x->shape() != xs[0]->shape()) return InvalidInput("inputs differ in shape");
    Shape shape = x->shape();
    shape.insert(shape.begin() + axis, 1);
    parts.push_back(n.builder().Reshape(x, shape));
  }
  return n.Output(parts.size() == 1 ? parts[0] : n.Make("concat", parts, {{"axis", axis}}));
}

Status Unpack(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(n.Int("axis"), Rank(x)));
  const int64_t count = n.Int("num");
  if (count != x->shape()[axis] || count > 1 << 16) {
    return InvalidInput("cannot take ", count, " parts of ", x->type().ToString());
  }
  for (int64_t i = 0; i < count; ++i) {
    KILN_RETURN_IF_ERROR(n.Output(static_cast<int>(i), SelectAxis(n.builder(), x, axis, i)));
  }
  return OkStatus();
}

Status Fill(Node& n) {
  KILN_ASSIGN_OR_RETURN(const Shape shape, n.KnownInts(0));
  KILN_RETURN_IF_ERROR(CheckedByteSize(ElementType::kI64, shape).status());
  return n.Output(n.builder().Broadcast(n.input(1), shape));
}

Status BroadcastTo(Node& n) {
  KILN_ASSIGN_OR_RETURN(const Shape shape, n.KnownInts(1));
  KILN_RETURN_IF_ERROR(CheckedByteSize(ElementType::kI64, shape).status());
  return n.Output(n.builder().Broadcast(n.input(0), shape));
}

Status Range(Node& n) {
  constexpr double kMaxCount = 1 << 24;
  double bounds[3];
  KILN_ASSIGN_OR_RETURN(const TensorType type, n.values().TypeOf(n.input_name(0)));
  for (int i = 0; i < 3; ++i) {
    KILN_ASSIGN_OR_RETURN(const Tensor value, n.Known(i));
    if (value.type().count() != 1) return InvalidInput("a bound is no single number");
    bounds[i] = value.GetDouble(0);
  }
  const double count = std::ceil((bounds[1] - bounds[0]) / bounds[2]);
  if (!(std::abs(count) <= kMaxCount))
    return Unsupported("a range of ", count, " numbers is not supported");
  Builder& b = n.builder();
  const auto steps = n.Make("iota", {},
                            {{"shape", Shape{std::max<int64_t>(static_cast<int64_t>(count), 0)}},
                             {"axis", 0},
                             {"element", type.element}});
  return n.Output(
      b.Add(b.Mul(steps, b.Scalar(type.element, bounds[2])), b.Scalar(type.element, bounds[0])));
}

}  // namespace

std::vector<TensorflowOp> ShapeOps() {
  std::vector<TensorflowOp> ops;
  ops.push_back({.name = "Shape", .handler = ShapeOf});
  ops.push_back({.name = "ShapeN", .handler = ShapeOf, .inputs = {1, kAny}, .outputs = {"output"}});
  ops.push_back({.name = "Rank", .handler = RankOf});
  ops.push_back({.name = "Size", .handler = SizeOf});
  ops.push_back({.name = "Reshape", .handler = Reshape, .inputs = {2, 2}, .limits = "known shape"});
  ops.push_back({.name = "Squeeze", .handler = Squeeze});
  ops.push_back(
      {.name = "ExpandDims", .handler = ExpandDims, .inputs = {2, 2}, .limits = "known axis"});
  ops.push_back({.name = "Pack", .handler = Pack, .inputs = {1, kAny}});
  ops.push_back({.name = "Unpack", .handler = Unpack, .outputs = {"output"}});
  ops.push_back({.name = "Fill", .handler = Fill, .inputs = {2, 2}, .limits = "known shape"});
  ops.push_back(
      {.name = "BroadcastTo", .handler = BroadcastTo, .inputs = {2, 2}, .limits = "known shape"});
  ops.push_back({.name = "Range", .handler = Range, .inputs = {3, 3}, .limits = "known bounds"});
  return ops;
}

}  // namespace kiln::tensorflow_import
