// Tensors made from nothing but sizes: constants, ranges, identity matrices, windows.
#include <cmath>
#include <numbers>

#include "compiler/import/foreign/build.h"
#include "compiler/import/onnx/graph_importer.h"
#include "compiler/import/onnx/node.h"

namespace kiln::onnx_import {

namespace {

Status Constant(Node& n) {
  if (n.HasAttribute("value")) {
    KILN_ASSIGN_OR_RETURN(Tensor value, n.TensorAttribute("value"));
    return n.ConstantResult(std::move(value), FindNarrowType(n.Find("value")->t().data_type()));
  }
  if (n.HasAttribute("sparse_value")) {
    onnx::SparseTensorProto copy = n.Find("sparse_value")->sparse_tensor();
    KILN_ASSIGN_OR_RETURN(Tensor value, ToTensor(&copy, &n.importer().external_data()));
    return n.ConstantResult(std::move(value), FindNarrowType(copy.values().data_type()));
  }
  if (n.HasAttribute("value_int")) {
    return n.ConstantResult(Tensor::FromInts(ElementType::kI64, {}, {n.Int("value_int")}));
  }
  if (n.HasAttribute("value_float")) {
    return n.ConstantResult(Tensor::FromDoubles(ElementType::kF32, {}, {n.Float("value_float")}));
  }
  if (n.HasAttribute("value_ints")) {
    const std::vector<int64_t> values = n.Ints("value_ints");
    const Shape shape = {static_cast<int64_t>(values.size())};
    return n.ConstantResult(Tensor::FromInts(ElementType::kI64, shape, values));
  }
  if (n.HasAttribute("value_floats")) {
    const std::vector<double> values = n.Floats("value_floats");
    const Shape shape = {static_cast<int64_t>(values.size())};
    return n.ConstantResult(Tensor::FromDoubles(ElementType::kF32, shape, values));
  }
  return InvalidInput("a Constant has no value");
}

// A broadcast of one number, however large: nothing of the size that the file names is allocated.
Status ConstantOfShape(Node& n) {
  KILN_ASSIGN_OR_RETURN(const Shape shape, n.KnownInts(0, "input"));
  Tensor value = Tensor::FromDoubles(ElementType::kF32, {}, {0});
  if (n.HasAttribute("value")) {
    KILN_ASSIGN_OR_RETURN(value, n.TensorAttribute("value"));
    if (value.type().count() != 1) {
      return InvalidInput("attribute 'value' must be one number, found ", value.type().ToString());
    }
  }
  KILN_RETURN_IF_ERROR(CheckedByteSize(value.type().element, shape).status());
  const NarrowType* const narrow =
      n.HasAttribute("value") ? FindNarrowType(n.Find("value")->t().data_type()) : nullptr;
  return n.Result(0, n.builder().Broadcast(n.builder().Constant(value.Reshaped({})), shape),
                  narrow);
}

// The number of steps from start to limit; the operands are one number each.
StatusOr<int64_t> RangeLength(const Tensor& start, const Tensor& limit, const Tensor& delta) {
  constexpr int64_t kMaxLength = int64_t{1} << 40;
  double length;
  if (IsFloat(start.type().element)) {
    length = std::ceil((limit.GetDouble(0) - start.GetDouble(0)) / delta.GetDouble(0));
  } else {
    if (delta.GetInt(0) == 0) return InvalidInput("operand 'delta' is 0");
    // Exact up to 2^53 steps, far beyond what is allowed.
    const double span = static_cast<double>(limit.GetInt(0)) - static_cast<double>(start.GetInt(0));
    length = std::ceil(span / static_cast<double>(delta.GetInt(0)));
  }
  if (!(length <= kMaxLength)) return InvalidInput("the range is too long");
  return static_cast<int64_t>(std::max(length, 0.0));
}

Status Range(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(const Tensor start, n.Known(0, "start"));
  KILN_ASSIGN_OR_RETURN(const Tensor limit, n.Known(1, "limit"));
  KILN_ASSIGN_OR_RETURN(const Tensor delta, n.Known(2, "delta"));
  for (const Tensor* const value : {&start, &limit, &delta}) {
    if (value->type().count() != 1 || value->type().element != start.type().element) {
      return InvalidInput("start, limit and delta must be one number each, of one type");
    }
  }
  if (n.Int("stash_type", 1) != 1) {
    return Unsupported("attribute 'stash_type' other than 1 is not supported");
  }
  KILN_ASSIGN_OR_RETURN(const int64_t length, RangeLength(start, limit, delta));
  const ElementType element = start.type().element;
  const ElementType wide = IsFloat(element) && ByteSize(element) == 2 ? ElementType::kF32 : element;
  const auto number = [&](const Tensor& value) {
    return b.Cast(b.Constant(value.Reshaped({})), wide);
  };
  const StatusOr<Op*> steps = IotaAlong(b, 1, 0, length, wide);
  return n.Result(b.Cast(b.Add(b.Mul(steps, number(delta)), number(start)), element));
}

// column - row, as [rows, columns] of i64.
StatusOr<Op*> Diagonals(Builder& b, int64_t rank, int64_t rows, int64_t columns) {
  return b.Sub(IotaAlong(b, rank, rank - 1, columns, ElementType::kI64),
               IotaAlong(b, rank, rank - 2, rows, ElementType::kI64));
}

StatusOr<Op*> ConstantInt(Builder& b, int64_t value) {
  return b.Constant(Tensor::FromInts(ElementType::kI64, {}, {value}));
}

Status EyeLike(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(const TensorType like, n.OperandType(0));
  KILN_ASSIGN_OR_RETURN(const ElementType element, n.TypeAttribute("dtype", like.element));
  if (like.rank() != 2) return InvalidInput("needs a matrix, found ", like.ToString());
  const StatusOr<Op*> on = n.Make(
      "equal", {Diagonals(b, 2, like.shape[0], like.shape[1]), ConstantInt(b, n.Int("k", 0))});
  return n.Result(b.Cast(on, element));
}

// Keeps what is on and above (upper) or on and below the k-th diagonal of the last two dimensions.
Status Trilu(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.operand(0));
  int64_t k = 0;
  if (n.Has(1)) {
    KILN_ASSIGN_OR_RETURN(k, n.KnownInt(1, "k"));
  }
  if (Rank(x) < 2) return InvalidInput("needs matrices, found ", x->type().ToString());
  const StatusOr<Op*> diagonals = Diagonals(b, 2, x->shape()[Rank(x) - 2], x->shape()[Rank(x) - 1]);
  const StatusOr<Op*> kept = n.Make(n.Int("upper", 1) != 0 ? "greater_equal" : "less_equal",
                                    {diagonals, ConstantInt(b, k)});
  return n.Result(n.Make("where", {kept, x, b.Scalar(x->element(), 0)}));
}

// a - b cos(2 pi i / N) + c cos(4 pi i / N), for i < size; N is size, or size-1 when symmetric.
Status CosineWindow(Node& n, double a, double b, double c) {
  constexpr int64_t kMaxSize = 1 << 20;
  KILN_ASSIGN_OR_RETURN(const int64_t size, n.KnownInt(0, "size"));
  KILN_ASSIGN_OR_RETURN(const ElementType element,
                        n.TypeAttribute("output_datatype", ElementType::kF32));
  if (size < 0 || size > kMaxSize) return InvalidInput("operand 'size' is ", size);
  const auto period = static_cast<double>(n.Int("periodic", 1) != 0 ? size : size - 1);
  std::vector<double> values;
  for (int64_t i = 0; i < size; ++i) {
    const double angle = size == 1 ? 0.0 : 2 * std::numbers::pi * static_cast<double>(i) / period;
    values.push_back(a - b * std::cos(angle) + c * std::cos(2 * angle));
  }
  return n.ConstantResult(Tensor::FromDoubles(element, {size}, values));
}

Status HannWindow(Node& n) { return CosineWindow(n, 0.5, 0.5, 0); }
// ONNX's definition of the Hamming window has these fractions, not 0.54 and 0.46.
Status HammingWindow(Node& n) { return CosineWindow(n, 25.0 / 46, 21.0 / 46, 0); }
Status BlackmanWindow(Node& n) { return CosineWindow(n, 0.42, 0.5, 0.08); }

}  // namespace

std::vector<OnnxOp> GeneratorOps() {
  std::vector<OnnxOp> ops;
  const AttributeSpec sparse = {"sparse_value", onnx::AttributeProto::SPARSE_TENSOR, false, 11};
  ops.push_back({.name = "Constant",
                 .handler = Constant,
                 .operands = {0, 0},
                 .attributes = {TensorValue("value"), sparse, Since(12, Int("value_int")),
                                Since(12, Float("value_float")), Since(12, Ints("value_ints")),
                                Since(12, Floats("value_floats"))},
                 .limits = "no strings"});
  ops.push_back({.name = "ConstantOfShape",
                 .handler = ConstantOfShape,
                 .attributes = {TensorValue("value")},
                 .limits = "known shape"});
  ops.push_back({.name = "Range",
                 .handler = Range,
                 .operands = {3, 3},
                 .attributes = {Since(27, Int("stash_type"))},
                 .limits = "known operands"});
  ops.push_back({.name = "EyeLike", .handler = EyeLike, .attributes = {Int("dtype"), Int("k")}});
  ops.push_back({.name = "Trilu",
                 .handler = Trilu,
                 .operands = {1, 2},
                 .attributes = {Int("upper")},
                 .limits = "known k"});
  struct Row {
    const char* name;
    Status (*handler)(Node&);
  };
  for (const Row& row : std::initializer_list<Row>{{"HannWindow", HannWindow},
                                                   {"HammingWindow", HammingWindow},
                                                   {"BlackmanWindow", BlackmanWindow}}) {
    ops.push_back({.name = row.name,
                   .handler = row.handler,
                   .attributes = {Int("periodic"), Int("output_datatype")},
                   .limits = "known size"});
  }
  return ops;
}

}  // namespace kiln::onnx_import
