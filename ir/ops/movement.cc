// Ops that rearrange or repeat all elements of a tensor, and iota, which makes them up.
#include "ir/eval/scalar.h"
#include "ir/ops/gradient.h"
#include "ir/ops/op_table.h"
#include "ir/ops/shape_util.h"

namespace kiln {

namespace {

using loop::Expr;
using Indices = std::vector<Expr>;
using Operands = std::span<const Array* const>;

// ---- reshape

StatusOr<TensorType> InferReshape(const Op& op) {
  const Shape& shape = op.Ints("shape");
  const TensorType& x = op.operand(0)->type();
  KILN_RETURN_IF_ERROR(CheckRowMajor(op));
  KILN_RETURN_IF_ERROR(CheckShape(op, x.element, shape));
  if (ElementCount(shape) != x.count()) {
    return OpError(op, "cannot reshape ", x.count(), " elements to ", FormatInts(shape));
  }
  return TensorType{x.element, shape};
}

Status EvaluateReshape(const Op&, Operands operands, Array& result) {
  result.floats = operands[0]->floats;
  result.ints = operands[0]->ints;
  return OkStatus();
}

// The next run of dimensions of two shapes with equal products, from position i in one and j in the
// other: the runs end (exclusively) at the returned positions. Requires that there is one.
std::pair<size_t, size_t> EqualRun(const Shape& a, size_t i, const Shape& b, size_t j) {
  int64_t product_a = a[i++];
  int64_t product_b = b[j++];
  while (product_a != product_b) {
    if (product_a < product_b) {
      product_a *= a[i++];
    } else {
      product_b *= b[j++];
    }
  }
  return {i, j};
}

// The position of index[from, to) among the dimensions shape[from, to).
Expr Linearise(const Shape& shape, const Indices& index, size_t from, size_t to) {
  Expr position = index[from];
  for (size_t d = from + 1; d < to; ++d) position = position * Expr(shape[d]) + index[d];
  return position;
}

// Splits a position among the dimensions shape[from, to) into index[from, to).
void Delinearise(const Expr& position, const Shape& shape, size_t from, size_t to, Indices& index) {
  int64_t stride = 1;
  int64_t total = 1;
  for (size_t d = from; d < to; ++d) total *= shape[d];
  for (size_t d = to; d-- > from;) {
    if (shape[d] != 1) {
      index[d] = stride == 1 ? position : FloorDiv(position, Expr(stride));
      if (stride * shape[d] != total) index[d] = FloorMod(index[d], Expr(shape[d]));
    }
    stride *= shape[d];
  }
}

// Runs of dimensions with equal products on both sides are mapped one by one, so that kept
// dimensions keep their index and merged ones stay affine; only splitting divides.
Expr ReshapeElement(const Op& op, const Reader& read, const Indices& index) {
  const Shape& from = op.operand(0)->shape();
  const Shape& to = op.shape();
  Indices source(from.size(), Expr(0));
  if (ElementCount(to) == 0) return read(0, source);  // never run
  size_t i = 0;
  size_t j = 0;
  while (true) {
    while (i < from.size() && from[i] == 1) ++i;
    while (j < to.size() && to[j] == 1) ++j;
    if (i == from.size()) break;  // then j is at its end too: the products are equal
    const auto [end_i, end_j] = EqualRun(from, i, to, j);
    Delinearise(Linearise(to, index, j, end_j), from, i, end_i, source);
    i = end_i;
    j = end_j;
  }
  return read(0, source);
}

OpDef Reshape() {
  return {.name = "reshape",
          .doc = "The elements of x, in row-major order, under another shape of as many elements.",
          .operands = {{"x"}},
          .attributes = {{"shape", Attribute::Kind::kInts, {}, "the result's shape"}},
          .traits = kMovement | kView,
          .infer = InferReshape,
          .evaluate = EvaluateReshape,
          .element = ReshapeElement,
          .gradient = [](Builder& b, Op& op, size_t, Op* dy) {
            return b.Reshape(dy, op.operand(0)->shape());
          }};
}

// ---- transpose

StatusOr<TensorType> InferTranspose(const Op& op) {
  const std::vector<int64_t>& perm = op.Ints("perm");
  const TensorType& x = op.operand(0)->type();
  KILN_RETURN_IF_ERROR(CheckPermutation(op, "perm", perm, x.rank()));
  TensorType type{x.element, {}};
  for (const int64_t d : perm) type.shape.push_back(x.shape[d]);
  return type;
}

// The operand's index for the result's index.
template <typename T>
std::vector<T> Untranspose(const Op& op, const std::vector<T>& index) {
  const std::vector<int64_t>& perm = op.Ints("perm");
  std::vector<T> source(index.size());
  for (size_t d = 0; d < perm.size(); ++d) source[perm[d]] = index[d];
  return source;
}

Status EvaluateTranspose(const Op& op, Operands operands, Array& result) {
  const Array& x = *operands[0];
  for (Index index(result.shape); index.valid(); index.Next()) {
    result.CopyElement(index.linear(), x, Offset(x.shape, Untranspose(op, index.values())));
  }
  return OkStatus();
}

OpDef Transpose() {
  return {.name = "transpose",
          .doc = "Permutes dimensions: dimension d of the result is dimension perm[d] of x.",
          .operands = {{"x"}},
          .attributes = {{"perm", Attribute::Kind::kInts, {}, "a permutation of 0 .. rank-1"}},
          .traits = kMovement,
          .infer = InferTranspose,
          .evaluate = EvaluateTranspose,
          .element = [](const Op& op, const Reader& read,
                        const Indices& index) { return read(0, Untranspose(op, index)); },
          .gradient =
              [](Builder& b, Op& op, size_t, Op* dy) {
                return b.Transpose(dy, Untranspose(op, AllAxes(op.shape().size())));
              }};
}

// ---- broadcast

StatusOr<TensorType> InferBroadcastTo(const Op& op) {
  const Shape& shape = op.Ints("shape");
  const TensorType& x = op.operand(0)->type();
  KILN_RETURN_IF_ERROR(CheckShape(op, x.element, shape));
  const auto broadcast = BroadcastShapes(x.shape, shape);
  if (!broadcast.ok() || *broadcast != shape) {
    return OpError(op, "x does not broadcast to ", FormatInts(shape));
  }
  return TensorType{x.element, shape};
}

Status EvaluateBroadcastTo(const Op&, Operands operands, Array& result) {
  for (Index index(result.shape); index.valid(); index.Next()) {
    result.CopyElement(index.linear(), *operands[0],
                       BroadcastOffset(operands[0]->shape, index.values()));
  }
  return OkStatus();
}

OpDef Broadcast() {
  return {.name = "broadcast",
          .doc =
              "Repeats x to a larger shape by numpy's rule: dimensions are aligned at the right; "
              "extents of 1 and missing leading dimensions are repeated.",
          .operands = {{"x"}},
          .attributes = {{"shape", Attribute::Kind::kInts, {}, "the result's shape"}},
          .traits = kMovement,
          .infer = InferBroadcastTo,
          .evaluate = EvaluateBroadcastTo,
          .element =
              [](const Op& op, const Reader& read, const Indices& index) {
                return ReadBroadcast(read, 0, op.operand(0)->shape(), index);
              },
          .gradient = [](Builder& b, Op& op, size_t,
                         Op* dy) { return SumTo(Term(b, dy), op.operand(0)->shape()).op(); }};
}

// ---- relayout

StatusOr<TensorType> InferRelayout(const Op& op) {
  TensorType type = op.operand(0)->type();
  type.layout = op.attribute("layout").as<Layout>();
  KILN_RETURN_IF_ERROR(CheckType(op, type));
  return type;
}

OpDef Relayout() {
  return {
      .name = "relayout",
      .doc = "The same tensor in another physical layout: y[i] = x[i] for every logical index.",
      .operands = {{"x"}},
      .attributes = {{"layout", Attribute::Kind::kLayout, {}, "the result's layout"}},
      .traits = kMovement,
      .infer = InferRelayout,
      .evaluate = EvaluateReshape,
      .element = [](const Op&, const Reader& read, const Indices& index) { return read(0, index); },
      .gradient =
          [](Builder& b, Op& op, size_t, Op* dy) {
            return b.Make("relayout", {dy}, {{"layout", op.operand(0)->type().layout}});
          }};
}

// ---- iota

StatusOr<TensorType> InferIota(const Op& op) {
  const Shape& shape = op.Ints("shape");
  const ElementType element = op.Element("element");
  if (element == ElementType::kBool) return OpError(op, "element must be numeric");
  KILN_RETURN_IF_ERROR(CheckShape(op, element, shape));
  KILN_RETURN_IF_ERROR(CheckAxis(op, "axis", op.Int("axis"), static_cast<int64_t>(shape.size())));
  return TensorType{element, shape};
}

Status EvaluateIota(const Op& op, Operands, Array& result) {
  const int64_t axis = op.Int("axis");
  for (Index index(result.shape); index.valid(); index.Next()) {
    if (result.is_float()) {
      result.floats[index.linear()] = static_cast<double>(index[axis]);
    } else {
      result.ints[index.linear()] = WrapInt(result.element, index[axis]);
    }
  }
  return OkStatus();
}

OpDef Iota() {
  return {.name = "iota",
          .doc = "Counts along a dimension: y[i] = i[axis]. Integers wrap.",
          .attributes = {{"shape", Attribute::Kind::kInts, {}, "the result's shape"},
                         {"axis", Attribute::Kind::kInt, {}, "the dimension that is counted"},
                         {"element", Attribute::Kind::kElementType, {}, "the element type"}},
          .infer = InferIota,
          .evaluate = EvaluateIota,
          .element =
              [](const Op& op, const Reader&, const Indices& index) {
                return loop::Cast(ComputeType(op.element()), index[op.Int("axis")]);
              },
          .no_gradient = "it has no operands"};
}

}  // namespace

std::vector<OpDef> MovementOps() {
  return {Reshape(), Transpose(), Broadcast(), Relayout(), Iota()};
}

}  // namespace kiln
