// Integers that stand for real numbers: real = (integer - zero point) * scale.
#include <algorithm>

#include "compiler/import/foreign/build.h"
#include "compiler/import/foreign/movement.h"
#include "compiler/import/onnx/node.h"
#include "compiler/import/onnx/ops/cast.h"
#include "compiler/import/onnx/ops/contraction.h"
#include "compiler/import/onnx/tensor.h"

namespace kiln::onnx_import {

namespace {

/// What is quantised to.
struct Quantised {
  ElementType element;                 ///< as it is held
  const NarrowType* narrow = nullptr;  ///< where it is one
};

/// The integers that a type has.
struct Bounds {
  double low, high;
};

StatusOr<Bounds> BoundsOf(const Quantised& to) {
  if (!IsInteger(to.element) || ByteSize(to.element) > 2) {  // beyond that, f32 is not exact
    return Unsupported("quantisation to ", Name(to.element), " is not supported");
  }
  const auto bits = to.narrow != nullptr ? to.narrow->bits : ByteSize(to.element) * 8;
  const double count = static_cast<double>(int64_t{1} << bits);
  if (IsSigned(to.element)) return Bounds{-count / 2, count / 2 - 1};
  return Bounds{0, count - 1};
}

// A scale or zero point of blocks of `size` along `axis`, repeated for each element of x.
StatusOr<Op*> RepeatBlocks(Builder& b, Op* value, Op* x, int64_t axis, int64_t size) {
  const int64_t extent = x->shape()[axis];
  if (size < 1) return InvalidInput("attribute 'block_size' is ", size);
  size = std::min(size, std::max<int64_t>(extent, 1));
  Shape expected = x->shape();
  expected[axis] = extent / size + (extent % size != 0);
  if (value->shape() != expected) {
    return InvalidInput("blocks of ", size, " along dimension ", axis, " of ", x->type().ToString(),
                        " need ", FormatInts(expected), " numbers, found ",
                        value->type().ToString());
  }
  KILN_ASSIGN_OR_RETURN(Op* const all, RepeatEach(b, value, axis, size));
  return SliceAxis(b, all, axis, 0, extent);
}

// A scale or zero point as it stands beside x: one number, one per index of `axis`, or one per
// block along it.
StatusOr<Op*> Beside(Node& n, Op* x, int operand, ElementType element, int64_t axis) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const value, n.operand(operand));
  KILN_ASSIGN_OR_RETURN(Op* const cast, b.Cast(value, element));
  if (const int64_t block = n.Int("block_size"); block != 0) {
    KILN_ASSIGN_OR_RETURN(axis, NormalAxis(axis, Rank(x)));
    return RepeatBlocks(b, cast, x, axis, block);
  }
  if (value->type().count() == 1) return b.Reshape(cast, {});
  KILN_ASSIGN_OR_RETURN(axis, NormalAxis(axis, Rank(x)));
  if (value->shape() != Shape{x->shape()[axis]}) {
    return InvalidInput("operand ", operand, " of ", value->type().ToString(),
                        " does not fit dimension ", axis, " of ", x->type().ToString());
  }
  return AlongAxis(b, cast, axis, Rank(x));
}

// real: x - zero point, in f32; `zero` may be missing.
StatusOr<Op*> Centred(Node& n, Op* x, int zero, int64_t axis) {
  Builder& b = n.builder();
  const StatusOr<Op*> real = b.Cast(x, ElementType::kF32);
  if (!n.Has(zero)) return real;
  return b.Sub(real, Beside(n, x, zero, ElementType::kF32, axis));
}

// Rounds half to even, adds the zero point, saturates.
StatusOr<Op*> Quantize(Node& n, const StatusOr<Op*>& scaled, const StatusOr<Op*>& zero,
                       const Quantised& to) {
  Builder& b = n.builder();
  if (to.narrow != nullptr && to.narrow->is_float()) {  // the cast rounds
    const bool shifted = !zero.ok() || *zero != nullptr;
    return CastToNarrow(n, shifted ? b.Add(scaled, zero) : scaled, *to.narrow,
                        {.saturate = n.Int("saturate", 1) != 0});
  }
  KILN_ASSIGN_OR_RETURN(const Bounds bounds, BoundsOf(to));
  StatusOr<Op*> y = n.Make("round", {scaled});
  if (zero.ok() && *zero == nullptr) {
    y = n.Make("clip", {y}, {{"min", bounds.low}, {"max", bounds.high}});
  } else {
    y = n.Make("clip", {b.Add(y, zero)}, {{"min", bounds.low}, {"max", bounds.high}});
  }
  return b.Cast(y, to.element);
}

// The type of the zero point, if there is one; or else the attribute's, or u8.
StatusOr<Quantised> QuantisedType(Node& n) {
  if (n.Has(2)) {
    KILN_ASSIGN_OR_RETURN(const TensorType type, n.OperandType(2));
    return Quantised{type.element, n.Narrow(2)};
  }
  if (const NarrowType* const narrow = n.NarrowAttribute("output_dtype")) {
    return Quantised{narrow->held, narrow};
  }
  KILN_ASSIGN_OR_RETURN(const ElementType to, n.TypeAttribute("output_dtype", ElementType::kU8));
  return Quantised{to};
}

Status QuantizeLinear(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.operand(0));
  KILN_ASSIGN_OR_RETURN(const Quantised to, QuantisedType(n));
  const int64_t axis = n.Int("axis", 1);
  StatusOr<Op*> zero = nullptr;
  if (n.Has(2)) zero = Beside(n, x, 2, ElementType::kF32, axis);
  const StatusOr<Op*> scale = Beside(n, x, 1, ElementType::kF32, axis);
  const StatusOr<Op*> scaled = b.Div(b.Cast(x, ElementType::kF32), scale);
  return n.Result(0, Quantize(n, scaled, zero, to), to.narrow);
}

Status DequantizeLinear(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.operand(0));
  KILN_ASSIGN_OR_RETURN(const TensorType scale, n.OperandType(1));
  KILN_ASSIGN_OR_RETURN(const ElementType to, n.TypeAttribute("output_dtype", scale.element));
  const int64_t axis = n.Int("axis", 1);
  Builder& b = n.builder();
  const StatusOr<Op*> real =
      b.Mul(Centred(n, x, 2, axis), Beside(n, x, 1, ElementType::kF32, axis));
  return n.Result(b.Cast(real, to));
}

// To u8, with the scale and zero point that fit the data and keep 0 exact.
Status DynamicQuantizeLinear(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.operand(0));
  const std::vector<int64_t> all = AxesFrom(0, Rank(x));
  const StatusOr<Op*> nothing = b.Scalar(x->element(), 0);
  const StatusOr<Op*> low = n.Make("min", {Reduce(b, "reduce_min", x, all, false), nothing});
  const StatusOr<Op*> high = n.Make("max", {Reduce(b, "reduce_max", x, all, false), nothing});
  const StatusOr<Op*> scale = b.Div(b.Sub(high, low), b.Scalar(x->element(), 255));
  const StatusOr<Op*> zero = n.Make("round", {n.Make("clip", {n.Make("neg", {b.Div(low, scale)})},
                                                     {{"min", 0.0}, {"max", 255.0}})});
  KILN_RETURN_IF_ERROR(n.Result(0, Quantize(n, b.Div(x, scale), zero, {ElementType::kU8})));
  KILN_RETURN_IF_ERROR(n.Result(1, scale));
  return n.Result(2, b.Cast(zero, ElementType::kU8));
}

// x - zero point as i32; the zero point is one number, or one per row (of a) or column (of b).
StatusOr<Op*> CentredInt(Node& n, int operand, int zero, int64_t axis) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.operand(operand));
  const StatusOr<Op*> wide = b.Cast(x, ElementType::kI32);
  if (!n.Has(zero)) return wide;
  return b.Sub(wide, Beside(n, x, zero, ElementType::kI32, axis));
}

Status MatMulInteger(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const a, CentredInt(n, 0, 2, -2));
  KILN_ASSIGN_OR_RETURN(Op* const b, CentredInt(n, 1, 3, -1));
  return n.Result(MatMulNumpy(n.builder(), a, b));
}

// The conv op computes in floats; f64 holds every sum of products of 8-bit integers exactly.
StatusOr<Op*> ConvCentred(Node& n, int x_at, int x_zero, int w_at, int w_zero) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, CentredInt(n, x_at, x_zero, 1));
  KILN_ASSIGN_OR_RETURN(Op* const w, CentredInt(n, w_at, w_zero, 0));
  KILN_ASSIGN_OR_RETURN(const Window window, ReadConvWindow(n, x->type(), w->type()));
  AttributeMap attributes = window.ConvAttributes();
  attributes.emplace("groups", n.Int("group", 1));
  return n.Make("conv", {b.Cast(x, ElementType::kF64), b.Cast(w, ElementType::kF64)},
                std::move(attributes));
}

Status ConvInteger(Node& n) {
  return n.Result(n.builder().Cast(ConvCentred(n, 0, 2, 1, 3), ElementType::kI32));
}

// The result of a quantised product, requantised: sums * (a_scale * b_scale / y_scale).
// Operands: a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero.
StatusOr<Op*> Requantize(Node& n, const StatusOr<Op*>& sums, int64_t b_axis, int64_t y_axis) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const y, sums);
  KILN_ASSIGN_OR_RETURN(const TensorType zero_type, n.OperandType(7));
  const ElementType f32 = ElementType::kF32;
  const StatusOr<Op*> factor = b.Div(b.Mul(Beside(n, y, 1, f32, -2), Beside(n, y, 4, f32, b_axis)),
                                     Beside(n, y, 6, f32, y_axis));
  return Quantize(n, b.Mul(b.Cast(y, f32), factor), Beside(n, y, 7, f32, y_axis),
                  {zero_type.element});
}

Status QLinearMatMul(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const a, CentredInt(n, 0, 2, -2));
  KILN_ASSIGN_OR_RETURN(Op* const b, CentredInt(n, 3, 5, -1));
  return n.Result(Requantize(n, MatMulNumpy(n.builder(), a, b), -1, -2));
}

Status QLinearConv(Node& n) {
  Builder& b = n.builder();
  StatusOr<Op*> sums = ConvCentred(n, 0, 2, 3, 5);
  if (n.Has(8)) sums = AddBias(b, sums, b.Cast(n.operand(8), ElementType::kF64));
  return n.Result(Requantize(n, sums, 1, 1));
}

}  // namespace

std::vector<OnnxOp> QuantizationOps() {
  std::vector<OnnxOp> ops;
  const std::string limits = "to 2 to 16 bits; computed in f32";
  ops.push_back({.name = "QuantizeLinear",
                 .handler = QuantizeLinear,
                 .operands = {2, 3},
                 .attributes = {Since(13, Int("axis")), Since(19, Int("saturate")),
                                Since(21, Int("output_dtype")), Since(21, Int("block_size"))},
                 .limits = limits,
                 .on_narrow = OnNarrow::kHandle});
  ops.push_back({.name = "DequantizeLinear",
                 .handler = DequantizeLinear,
                 .operands = {2, 3},
                 .attributes = {Since(13, Int("axis")), Since(21, Int("block_size")),
                                Since(23, Int("output_dtype"))},
                 .limits = "computed in f32",
                 .on_narrow = OnNarrow::kHandle});
  ops.push_back(
      {.name = "DynamicQuantizeLinear", .handler = DynamicQuantizeLinear, .max_results = 3});
  ops.push_back({.name = "MatMulInteger", .handler = MatMulInteger, .operands = {2, 4}});
  ops.push_back({.name = "ConvInteger",
                 .handler = ConvInteger,
                 .operands = {2, 4},
                 .attributes = ConvAttributeSpecs()});
  ops.push_back({.name = "QLinearMatMul", .handler = QLinearMatMul, .operands = {8, 8}});
  ops.push_back({.name = "QLinearConv",
                 .handler = QLinearConv,
                 .operands = {8, 9},
                 .attributes = ConvAttributeSpecs()});
  return ops;
}

}  // namespace kiln::onnx_import
