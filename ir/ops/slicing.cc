// Ops that cut tensors along their dimensions and join them: slice, concat, pad.
#include <algorithm>

#include "ir/eval/scalar.h"
#include "ir/ops/gradient.h"
#include "ir/ops/op_table.h"
#include "ir/ops/shape_util.h"

namespace kiln {

namespace {

using loop::Expr;
using Indices = std::vector<Expr>;
using Operands = std::span<const Array* const>;

// ---- slice

// Requires that a dimension of `extent` holds start, start + stride, ... (`size` of them).
Status CheckSliceDim(const Op& op, int64_t extent, int64_t start, int64_t size, int64_t stride) {
  if (stride == 0) return OpError(op, "strides must not be 0");
  if (size < 0) return OpError(op, "sizes must not be negative, found ", size);
  if (size == 0) return OkStatus();
  KILN_ASSIGN_OR_RETURN(const int64_t length, CheckedMul(op, size - 1, stride));
  KILN_ASSIGN_OR_RETURN(const int64_t last, CheckedAdd(op, start, length));
  if (std::min(start, last) >= 0 && std::max(start, last) < extent) return OkStatus();
  return OpError(op, "elements ", start, " to ", last, " are outside of a dimension of ", extent);
}

StatusOr<TensorType> InferSlice(const Op& op) {
  const TensorType& x = op.operand(0)->type();
  for (const char* const name : {"starts", "sizes", "strides"}) {
    KILN_RETURN_IF_ERROR(CheckLength(op, name, op.Ints(name).size(), x.shape.size()));
  }
  for (size_t d = 0; d < x.shape.size(); ++d) {
    KILN_RETURN_IF_ERROR(CheckSliceDim(op, x.shape[d], op.Ints("starts")[d], op.Ints("sizes")[d],
                                       op.Ints("strides")[d]));
  }
  return TensorType{x.element, op.Ints("sizes"), x.layout};
}

Status EvaluateSlice(const Op& op, Operands operands, Array& result) {
  const Array& x = *operands[0];
  std::vector<int64_t> source(x.shape.size());
  for (Index index(result.shape); index.valid(); index.Next()) {
    for (size_t d = 0; d < source.size(); ++d) {
      source[d] = op.Ints("starts")[d] + index[d] * op.Ints("strides")[d];
    }
    result.CopyElement(index.linear(), x, Offset(x.shape, source));
  }
  return OkStatus();
}

Expr SliceElement(const Op& op, const Reader& read, const Indices& index) {
  Indices source;
  for (size_t d = 0; d < index.size(); ++d) {
    source.push_back(Expr(op.Ints("starts")[d]) + index[d] * Expr(op.Ints("strides")[d]));
  }
  return read(0, source);
}

std::vector<int64_t> OnesOf(size_t rank) { return std::vector<int64_t>(rank, 1); }

/// Zeros of the shape of x, with dy where the slice took its elements from: turned round where the
/// step is negative, spread out to steps of 1, padded.
StatusOr<Op*> SliceGradient(Builder& b, Op& op, size_t k, Op* dy_op) {
  const GradientSite at{b, op, k, dy_op};
  const Shape& x = at.x().shape();
  const size_t rank = x.size();
  std::vector<int64_t> low = op.Ints("starts"), steps = op.Ints("strides");
  std::vector<int64_t> starts(rank, 0), directions = OnesOf(rank), high(rank);
  Shape rows, spread_high, spread;  // two dimensions for one: elements, and their distance
  for (size_t d = 0; d < rank; ++d) {
    const int64_t size = op.shape()[d];
    if (size < 2) steps[d] = 1;
    if (steps[d] < 0) {
      low[d] += (size - 1) * steps[d];
      steps[d] = -steps[d];
      starts[d] = size - 1;
      directions[d] = -1;
    }
    rows.push_back(size);
    rows.push_back(1);
    spread_high.push_back(0);
    spread_high.push_back(steps[d] - 1);
    spread.push_back(size * steps[d]);
    high[d] = x[d] - low[d] - spread[d];
  }
  Term dy = at.dy();
  if (directions != OnesOf(rank)) {
    dy = dy.Make("slice", {{"starts", starts}, {"sizes", op.shape()}, {"strides", directions}});
  }
  if (spread != op.shape()) {
    const std::vector<int64_t> none(2 * rank, 0);
    dy = dy.Reshape(rows).Make("pad", {{"low", none}, {"high", spread_high}}).Reshape(spread);
  }
  return dy.Make("pad", {{"low", low}, {"high", high}}).op();
}

OpDef Slice() {
  using Kind = Attribute::Kind;
  return {.name = "slice",
          .doc = "A box of x with steps: y[i] = x[starts + i strides]. All of it lies inside of x.",
          .operands = {{"x"}},
          .attributes = {{"starts", Kind::kInts, {}, "the first element, one per dimension"},
                         {"sizes", Kind::kInts, {}, "the result's shape"},
                         {"strides", Kind::kInts, {}, "the steps: any integers but 0"}},
          .traits = kMovement,
          .infer = InferSlice,
          .evaluate = EvaluateSlice,
          .element = SliceElement,
          .gradient = SliceGradient};
}

// ---- concat

StatusOr<TensorType> InferConcat(const Op& op) {
  TensorType type = op.operand(0)->type();
  const int64_t axis = op.Int("axis");
  KILN_RETURN_IF_ERROR(CheckSameElement(op));
  KILN_RETURN_IF_ERROR(CheckAxis(op, "axis", axis, type.rank()));
  int64_t extent = 0;
  for (const Op* const operand : op.operands()) {
    Shape other = operand->shape();
    if (other.size() != type.shape.size()) return OpError(op, "operands must have the same rank");
    KILN_ASSIGN_OR_RETURN(extent, CheckedAdd(op, extent, other[axis]));
    other[axis] = type.shape[axis];
    if (other != type.shape) return OpError(op, "operands must be alike but for axis ", axis);
    if (operand->type().layout != type.layout) type.layout = {};
  }
  type.shape[axis] = extent;
  KILN_RETURN_IF_ERROR(CheckType(op, type));
  return type;
}

Status EvaluateConcat(const Op& op, Operands operands, Array& result) {
  const int64_t axis = op.Int("axis");
  int64_t start = 0;
  for (const Array* const x : operands) {
    for (Index index(x->shape); index.valid(); index.Next()) {
      std::vector<int64_t> target = index.values();
      target[axis] += start;
      result.CopyElement(Offset(result.shape, target), *x, index.linear());
    }
    start += x->shape[axis];
  }
  return OkStatus();
}

// A part of a concat: operand number and where it starts on the axis.
struct Part {
  size_t operand;
  int64_t start;
};

// Finds the operand that holds `index` by bisection, so that the depth stays logarithmic.
Expr SelectPart(std::span<const Part> parts, const Reader& read, const Indices& index,
                int64_t axis) {
  if (parts.size() == 1) {
    Indices source = index;
    source[axis] = source[axis] - Expr(parts[0].start);
    return read(parts[0].operand, source);
  }
  const size_t half = parts.size() / 2;
  return Select(Lt(index[axis], Expr(parts[half].start)),
                SelectPart(parts.first(half), read, index, axis),
                SelectPart(parts.subspan(half), read, index, axis));
}

Expr ConcatElement(const Op& op, const Reader& read, const Indices& index) {
  const int64_t axis = op.Int("axis");
  std::vector<Part> parts;
  int64_t start = 0;
  for (size_t k = 0; k < op.operands().size(); ++k) {
    const int64_t extent = op.operand(k)->shape()[axis];
    if (extent > 0) parts.push_back({k, start});
    start += extent;
  }
  if (parts.empty()) parts.push_back({0, 0});  // never run
  return SelectPart(parts, read, index, axis);
}

StatusOr<Op*> ConcatGradient(Builder& b, Op& op, size_t k, Op* dy) {
  const size_t rank = op.shape().size();
  std::vector<int64_t> starts(rank, 0);
  for (size_t i = 0; i < k; ++i) starts[op.Int("axis")] += op.operand(i)->shape()[op.Int("axis")];
  return b.Make("slice", {dy},
                {{"starts", starts}, {"sizes", op.operand(k)->shape()}, {"strides", OnesOf(rank)}});
}

OpDef Concat() {
  return {.name = "concat",
          .doc = "The operands one after another along `axis`; their other extents are equal.",
          .operands = {{"x", /*variadic=*/true}},
          .attributes = {{"axis", Attribute::Kind::kInt, {}, "the dimension they are joined on"}},
          .traits = kMovement,
          .infer = InferConcat,
          .evaluate = EvaluateConcat,
          .element = ConcatElement,
          .gradient = ConcatGradient};
}

// ---- pad

StatusOr<TensorType> InferPad(const Op& op) {
  const TensorType& x = op.operand(0)->type();
  KILN_RETURN_IF_ERROR(CheckChoice(op, "mode", {"constant", "reflect", "edge", "wrap"}));
  KILN_RETURN_IF_ERROR(CheckLength(op, "low", op.Ints("low").size(), x.shape.size()));
  KILN_RETURN_IF_ERROR(CheckLength(op, "high", op.Ints("high").size(), x.shape.size()));
  constexpr int64_t kLimit = int64_t{1} << 48;  // as for shapes: the sums below cannot overflow
  TensorType type{x.element, {}, x.layout};
  for (size_t d = 0; d < x.shape.size(); ++d) {
    KILN_RETURN_IF_ERROR(CheckRange(op, "low", op.Ints("low")[d], -kLimit, kLimit));
    KILN_RETURN_IF_ERROR(CheckRange(op, "high", op.Ints("high")[d], -kLimit, kLimit));
    const int64_t extent = x.shape[d] + op.Ints("low")[d] + op.Ints("high")[d];
    if (extent < 0) {
      return OpError(op, "dimension ", d, " would have the negative extent ", extent);
    }
    if (x.shape[d] == 0 && extent > 0 && op.String("mode") != "constant") {
      return OpError(op, "dimension ", d, " is empty: there is nothing to repeat");
    }
    type.shape.push_back(extent);
  }
  KILN_RETURN_IF_ERROR(CheckType(op, type));
  return type;
}

// Where the padded position i (counted from x's start) is read in a dimension of n, by walking.
int64_t SourceOf(const std::string& mode, int64_t i, int64_t n) {
  if (mode == "edge" || n == 1) return std::clamp<int64_t>(i, 0, n - 1);
  const int64_t period = mode == "wrap" ? n : 2 * (n - 1);
  i %= period;
  if (i < 0) i += period;
  return i < n ? i : period - i;
}

Status EvaluatePad(const Op& op, Operands operands, Array& result) {
  const Array& x = *operands[0];
  const std::string& mode = op.String("mode");
  const Scalar fill = ApplyCast(ElementType::kF64, result.element, {.f = op.Double("value")});
  std::vector<int64_t> source(x.shape.size());
  for (Index index(result.shape); index.valid(); index.Next()) {
    bool inside = true;
    for (size_t d = 0; d < source.size(); ++d) {
      source[d] = index[d] - op.Ints("low")[d];
      if (mode != "constant") source[d] = SourceOf(mode, source[d], x.shape[d]);
      inside = inside && source[d] >= 0 && source[d] < x.shape[d];
    }
    if (inside) {
      result.CopyElement(index.linear(), x, Offset(x.shape, source));
    } else {
      SetElement(result, index.linear(), fill);
    }
  }
  return OkStatus();
}

// The position read for the padded position `i`, for the modes that repeat x.
Expr RepeatedIndex(const std::string& mode, const Expr& i, int64_t n) {
  if (mode == "edge" || n == 1) return Max(Min(i, Expr(n - 1)), Expr(0));
  if (mode == "wrap") return FloorMod(i, Expr(n));
  const Expr phase = FloorMod(i, Expr(2 * (n - 1)));  // up to n - 1 and back again
  return Min(phase, Expr(2 * (n - 1)) - phase);
}

Expr PadConstant(const Op& op, const Reader& read, const Indices& source) {
  const ElementType type = ComputeType(op.element());
  Expr inside;
  const auto require = [&inside](const Expr& condition) {
    inside = inside.defined() ? And(inside, condition) : condition;
  };
  for (size_t d = 0; d < source.size(); ++d) {
    if (op.Ints("low")[d] > 0) require(Ge(source[d], Expr(0)));
    if (op.Ints("high")[d] > 0) require(Lt(source[d], Expr(op.operand(0)->shape()[d])));
  }
  if (!inside.defined()) return read(0, source);
  return Select(inside, read(0, source), loop::Const(type, op.Double("value")));
}

Expr PadElement(const Op& op, const Reader& read, const Indices& index) {
  const std::string& mode = op.String("mode");
  Indices source;
  for (size_t d = 0; d < index.size(); ++d) {
    const int64_t low = op.Ints("low")[d];
    source.push_back(index[d] - Expr(low));
    if (mode != "constant" && (low > 0 || op.Ints("high")[d] > 0)) {
      source[d] = RepeatedIndex(mode, source[d], op.operand(0)->shape()[d]);
    }
  }
  return mode == "constant" ? PadConstant(op, read, source) : read(0, source);
}

// The constant is cut off again; what was repeated is summed, dimension by dimension.
StatusOr<Op*> PadGradient(Builder& b, Op& op, size_t k, Op* dy_op) {
  const GradientSite at{b, op, k, dy_op};
  const Shape& x = at.x().shape();
  if (op.String("mode") == "constant") {
    std::vector<int64_t> low = op.Ints("low"), high = op.Ints("high");
    for (int64_t& n : low) n = -n;
    for (int64_t& n : high) n = -n;
    return at.dy().Make("pad", {{"low", low}, {"high", high}}).op();
  }
  Term dx = at.dy();
  for (size_t d = 0; d < x.size(); ++d) {
    const int64_t out = op.shape()[d], low = op.Ints("low")[d];
    if (low == 0 && op.Ints("high")[d] == 0) continue;
    std::vector<double> sources(static_cast<size_t>(x[d] * out), 0);
    for (int64_t i = 0; i < out; ++i) {
      sources[static_cast<size_t>(SourceOf(op.String("mode"), i - low, x[d]) * out + i)] = 1;
    }
    dx = Apply(sources, x[d], dx, static_cast<int64_t>(d));
  }
  return dx.op();
}

OpDef Pad() {
  using Kind = Attribute::Kind;
  return {.name = "pad",
          .doc =
              "Extends (or, where negative, crops) each dimension at both ends. What is added is "
              "`value` (\"constant\"), the mirror image without the edge itself (\"reflect\"), "
              "the edge (\"edge\") or the other end (\"wrap\").",
          .operands = {{"x"}},
          .attributes = {{"low", Kind::kInts, {}, "elements added before, one per dimension"},
                         {"high", Kind::kInts, {}, "elements added behind, one per dimension"},
                         {"mode", Kind::kString, "constant",
                          "\"constant\", \"reflect\", \"edge\" or \"wrap\""},
                         {"value", Kind::kDouble, 0.0, "the constant, cast to the element type"}},
          .traits = kMovement,
          .infer = InferPad,
          .evaluate = EvaluatePad,
          .element = PadElement,
          .gradient = PadGradient};
}

}  // namespace

std::vector<OpDef> SliceOps() { return {Slice(), Concat(), Pad()}; }

}  // namespace kiln
