// Shapes and views: the elements stay in their order. Shape and Size are constants, since every
// shape is known when compiling.
#include <algorithm>

#include "compiler/import/foreign/build.h"
#include "compiler/import/foreign/movement.h"
#include "compiler/import/onnx/node.h"
#include "compiler/import/onnx/tensor.h"

namespace kiln::onnx_import {

namespace {

StatusOr<int64_t> CheckedCount(const Shape& shape) {
  KILN_RETURN_IF_ERROR(CheckedByteSize(ElementType::kBool, shape).status());
  return ElementCount(shape);
}

// 0 keeps the operand's dimension (unless allowzero), one -1 takes what is left.
StatusOr<Shape> ResolveShape(const Shape& from, std::vector<int64_t> to, bool allow_zero) {
  size_t open = to.size();
  for (size_t d = 0; d < to.size(); ++d) {
    if (to[d] == 0 && !allow_zero) {
      if (d >= from.size()) {
        return InvalidInput("shape ", FormatInts(to), " keeps dimension ", static_cast<int64_t>(d),
                            " of ", FormatInts(from), ", which there is not");
      }
      to[d] = from[d];
    } else if (to[d] == -1) {
      if (open != to.size()) return InvalidInput("shape ", FormatInts(to), " has two -1");
      open = d;
    }
  }
  if (open == to.size()) return to;
  to[open] = 1;
  KILN_ASSIGN_OR_RETURN(const int64_t rest, CheckedCount(to));
  const int64_t count = ElementCount(from);
  if (rest == 0 || count % rest != 0) {
    return InvalidInput("shape ", FormatInts(to), " does not divide the ", count, " elements of ",
                        FormatInts(from));
  }
  to[open] = count / rest;
  return to;
}

Status Reshape(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.operand(0));
  std::vector<int64_t> to = n.Ints("shape");
  if (n.opset() >= 5) {
    KILN_ASSIGN_OR_RETURN(to, n.KnownInts(1, "shape"));
  }
  KILN_ASSIGN_OR_RETURN(Shape shape, ResolveShape(x->shape(), to, n.Int("allowzero") != 0));
  return n.Result(n.builder().Reshape(x, std::move(shape)));
}

Status Flatten(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.operand(0));
  const auto rank = static_cast<int64_t>(x->shape().size());
  int64_t axis = n.Int("axis", 1);
  if (axis < -rank || axis > rank) {
    return InvalidInput("axis ", axis, " is out of range for ", rank, " dimensions");
  }
  if (axis < 0) axis += rank;
  const auto middle = x->shape().begin() + axis;
  return n.Result(n.builder().Reshape(x, {ElementCount(Shape(x->shape().begin(), middle)),
                                          ElementCount(Shape(middle, x->shape().end()))}));
}

// The axes of Squeeze and Unsqueeze: an attribute before opset 13, since then an operand.
StatusOr<std::vector<int64_t>> Axes(Node& n) {
  if (n.opset() < 13) return n.Ints("axes");
  return n.KnownInts(1, "axes");
}

Status Squeeze(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.operand(0));
  const bool all = n.opset() < 13 ? !n.HasAttribute("axes") : !n.Has(1);
  std::vector<int64_t> axes;
  if (!all) {
    KILN_ASSIGN_OR_RETURN(axes, Axes(n));
    KILN_ASSIGN_OR_RETURN(axes, NormalAxes(axes, static_cast<int64_t>(x->shape().size())));
  }
  return n.Result(foreign::Squeeze(n.builder(), x, all ? UnitAxes(x->shape()) : axes));
}

Status Unsqueeze(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.operand(0));
  KILN_ASSIGN_OR_RETURN(std::vector<int64_t> axes, Axes(n));
  const auto rank = static_cast<int64_t>(x->shape().size() + axes.size());
  KILN_ASSIGN_OR_RETURN(axes, NormalAxes(axes, rank));
  Shape shape = x->shape();
  for (const int64_t axis : axes) shape.insert(shape.begin() + axis, 1);
  return n.Result(n.builder().Reshape(x, shape));
}

Status ShapeOf(Node& n) {
  KILN_ASSIGN_OR_RETURN(const TensorType type, n.OperandType(0));
  const int64_t rank = type.rank();
  const auto clamp = [rank](int64_t at) {
    return std::clamp<int64_t>(at < 0 ? at + rank : at, 0, rank);
  };
  const int64_t start = clamp(n.Int("start", 0));
  const int64_t end = std::max(start, clamp(n.Int("end", rank)));
  const Shape part(type.shape.begin() + start, type.shape.begin() + end);
  return n.ConstantResult(Tensor::FromInts(ElementType::kI64, {end - start}, part));
}

Status Size(Node& n) {
  KILN_ASSIGN_OR_RETURN(const TensorType type, n.OperandType(0));
  return n.ConstantResult(Tensor::FromInts(ElementType::kI64, {}, {type.count()}));
}

Status Expand(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.operand(0));
  KILN_ASSIGN_OR_RETURN(const Shape to, n.KnownInts(1, "shape"));
  KILN_ASSIGN_OR_RETURN(Shape shape, BroadcastShapes(x->shape(), to));
  return n.Result(n.builder().Broadcast(x, std::move(shape)));
}

Status Transpose(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.operand(0));
  std::vector<int64_t> permutation = n.Ints("perm");
  if (!n.HasAttribute("perm")) {
    for (size_t d = x->shape().size(); d-- > 0;) permutation.push_back(static_cast<int64_t>(d));
  }
  return n.Result(n.builder().Transpose(x, std::move(permutation)));
}

}  // namespace

std::vector<OnnxOp> ShapeOps() {
  std::vector<OnnxOp> ops;
  ops.push_back({.name = "Reshape",
                 .handler = Reshape,
                 .operands = {1, 2},
                 .attributes = {Until(4, Ints("shape")), Since(14, Int("allowzero")),
                                Until(4, Ints("consumed_inputs"))},
                 .limits = "known shape",
                 .on_narrow = OnNarrow::kPassOn});
  ops.push_back({.name = "Flatten",
                 .handler = Flatten,
                 .attributes = {Int("axis")},
                 .on_narrow = OnNarrow::kPassOn});
  ops.push_back({.name = "Squeeze",
                 .handler = Squeeze,
                 .operands = {1, 2},
                 .attributes = {Until(12, Ints("axes"))},
                 .limits = "known axes",
                 .on_narrow = OnNarrow::kPassOn});
  ops.push_back({.name = "Unsqueeze",
                 .handler = Unsqueeze,
                 .operands = {1, 2},
                 .attributes = {Required(Until(12, Ints("axes")))},
                 .limits = "known axes",
                 .on_narrow = OnNarrow::kPassOn});
  ops.push_back({.name = "Shape",
                 .handler = ShapeOf,
                 .attributes = {Since(15, Int("start")), Since(15, Int("end"))},
                 .on_narrow = OnNarrow::kHandle});
  ops.push_back({.name = "Size", .handler = Size, .on_narrow = OnNarrow::kHandle});
  ops.push_back({.name = "Expand", .handler = Expand, .operands = {2, 2}, .limits = "known shape"});
  ops.push_back({.name = "Transpose",
                 .handler = Transpose,
                 .attributes = {Ints("perm")},
                 .on_narrow = OnNarrow::kPassOn});
  return ops;
}

}  // namespace kiln::onnx_import
