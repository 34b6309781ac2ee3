// Pooling over 1 to 3 spatial dimensions: maximum (value and position), average, p-norm. Padding
// never takes part in a result; only avg_pool may count it.
#include <algorithm>
#include <cmath>
#include <limits>

#include "ir/ops/gradient.h"
#include "ir/ops/op_table.h"
#include "ir/ops/shape_util.h"
#include "ir/ops/unpool.h"
#include "ir/ops/window.h"

namespace kiln {

using loop::Expr;
using loop::Reduce;
using loop::ReduceOp;

namespace {

Window PoolWindow(const Op& op) { return MakeWindow(op, op.Ints("kernel")); }

StatusOr<TensorType> InferPool(const Op& op) {
  KILN_RETURN_IF_ERROR(CheckWindow(op, op.Ints("kernel")));
  const TensorType& x = op.operand(0)->type();
  return TensorType{x.element, WindowShape(x.shape[0], x.shape[1], PoolWindow(op)), x.layout};
}

/// Calls visit(offset of the element in x) for the elements in the input of the window at `y`, in
/// row-major order. The loop runs over taps in the input only, however large the kernel is.
template <typename Visitor>
void ForEachInWindow(const Op& op, const Window& window, const std::vector<int64_t>& y,
                     const Visitor& visit) {
  Shape taps;
  for (size_t d = 0; d < window.size(); ++d) {
    taps.push_back(std::max<int64_t>(0, window[d].TapEnd(y[d + 2]) - window[d].TapBegin(y[d + 2])));
  }
  std::vector<int64_t> position = y;
  for (Index k(taps); k.valid(); k.Next()) {
    for (size_t d = 0; d < window.size(); ++d) {
      position[d + 2] = window[d].InputPosition(y[d + 2], window[d].TapBegin(y[d + 2]) + k[d]);
    }
    visit(Offset(op.operand(0)->shape(), position));
  }
}

/// The spatial extents of the input.
Shape WindowInput(const Window& window) {
  Shape shape;
  for (const WindowDim& dim : window) shape.push_back(dim.input);
  return shape;
}

/// x under the window at `index`, `otherwise` in the padding.
Expr ReadTap(const WindowTap& tap, const Reader& read, const std::vector<Expr>& index,
             const std::function<Expr(ElementType)>& otherwise) {
  std::vector<Expr> x_index = {index[0], index[1]};
  x_index.insert(x_index.end(), tap.input_index.begin(), tap.input_index.end());
  const Expr x = read(0, x_index);
  return Guard(tap.in_bounds, x, otherwise(x.type()));
}

Expr Zero(ElementType type) { return loop::ConstInt(type, 0); }
Expr Lowest(ElementType type) { return NeutralElement(ReduceOp::kMax, type); }

// max_pool

StatusOr<TensorType> InferMaxPool(const Op& op) {
  KILN_RETURN_IF_ERROR(CheckNumeric(op));
  return InferPool(op);
}

/// Whether element i of x takes the place of the largest so far; the first NaN stays.
bool IsLarger(const Array& x, int64_t i, int64_t best) {
  if (!x.is_float()) {
    return x.element == ElementType::kU64
               ? static_cast<uint64_t>(x.ints[i]) > static_cast<uint64_t>(x.ints[best])
               : x.ints[i] > x.ints[best];
  }
  return x.floats[i] > x.floats[best] || (std::isnan(x.floats[i]) && !std::isnan(x.floats[best]));
}

/// The offset of the largest element in the window at `y`, the first of equals; -1 when the whole
/// window lies in padding.
int64_t FindLargest(const Op& op, const Window& window, const std::vector<int64_t>& y,
                    const Array& x) {
  int64_t best = -1;
  ForEachInWindow(op, window, y, [&](int64_t i) {
    if (best < 0 || IsLarger(x, i, best)) best = i;
  });
  return best;
}

bool ReachesPadding(const Window& window, const std::vector<int64_t>& y) {
  for (size_t d = 0; d < window.size(); ++d) {
    if (window[d].TapEnd(y[d + 2]) - window[d].TapBegin(y[d + 2]) < window[d].kernel) return true;
  }
  return false;
}

Status EvaluateMaxPool(const Op& op, std::span<const Array* const> in, Array& result) {
  const Window window = PoolWindow(op);
  const Expr lowest = Lowest(result.element);
  for (Index y(op.shape()); y.valid(); y.Next()) {
    const int64_t best = FindLargest(op, window, y.values(), *in[0]);
    if (op.Bool("zero_padding") && ReachesPadding(window, y.values()) &&
        (best < 0 || in[0]->GetDouble(best) < 0)) {
      continue;  // a zero of the padding is the largest
    }
    if (best >= 0) {
      result.CopyElement(y.linear(), *in[0], best);
    } else if (result.is_float()) {
      result.floats[y.linear()] = lowest->float_value;
    } else {
      result.ints[y.linear()] = lowest->int_value;
    }
  }
  return OkStatus();
}

Expr MaxPoolElement(const Op& op, const Reader& read, const std::vector<Expr>& index) {
  const bool zeros = op.Bool("zero_padding");
  const WindowTap tap =
      MakeTap(PoolWindow(op), index, zeros ? op.operand(0)->type().layout : Layout{});
  return Reduce(ReduceOp::kMax, tap.vars, ReadTap(tap, read, index, zeros ? Zero : Lowest));
}

// max_pool_indices

StatusOr<TensorType> InferMaxPoolIndices(const Op& op) {
  KILN_RETURN_IF_ERROR(CheckRowMajor(op));
  KILN_RETURN_IF_ERROR(CheckRange(op, "storage_order", op.Int("storage_order"), 0, 1));
  KILN_ASSIGN_OR_RETURN(TensorType type, InferMaxPool(op));
  return TensorType{ElementType::kI64, std::move(type.shape)};
}

int64_t DivideDown(int64_t a, int64_t b) { return b == 0 ? 0 : a / b; }
Expr DivideDown(const Expr& a, int64_t b) { return FloorDiv(a, std::max<int64_t>(1, b)); }

/// A row-major offset within one channel as a column-major one. T is int64_t or Expr.
template <typename T>
T ColumnMajor(const Window& window, T offset) {
  int64_t channel = 1;
  T result = 0;
  for (size_t d = 0; d < window.size(); ++d) {
    const int64_t inner = ElementCount(WindowInput({window.begin() + d + 1, window.end()}));
    const T position = DivideDown(offset, inner);
    result = result + position * channel;
    offset = offset - position * inner;
    channel *= window[d].input;
  }
  return result;
}

Status EvaluateMaxPoolIndices(const Op& op, std::span<const Array* const> in, Array& result) {
  const Window window = PoolWindow(op);
  const int64_t channel = ElementCount(WindowInput(window));
  for (Index y(op.shape()); y.valid(); y.Next()) {
    int64_t best = FindLargest(op, window, y.values(), *in[0]);
    if (best >= 0 && op.Int("storage_order") == 1) {
      best += ColumnMajor(window, best % channel) - best % channel;
    }
    result.ints[y.linear()] = best;
  }
  return OkStatus();
}

/// The statements for the one result element at `index`: the largest value, then the first
/// position (row-major within the channel) that holds it.
loop::Stmt FindLargestStmt(const Op& op, const NestContext& context,
                           const std::vector<Expr>& index) {
  const Window window = PoolWindow(op);
  const Reader read = [&](size_t k, const std::vector<Expr>& at) {
    return context.Load(context.operands[k], at);
  };
  const loop::Buffer best = loop::MakeBuffer("best", ComputeType(op.operand(0)->element()), {1});
  const WindowTap tap = MakeTap(window, index);
  const Expr largest = Reduce(ReduceOp::kMax, tap.vars, ReadTap(tap, read, index, Lowest));

  const WindowTap again = MakeTap(window, index);
  const Expr x = ReadTap(again, read, index, Lowest), peak = Load(best, {0});
  Expr found = Eq(x, peak);
  if (IsFloat(x.type())) found = Or(found, Unary(loop::UnaryOp::kIsNan, x));
  Expr offset = 0;
  for (size_t d = 0; d < window.size(); ++d) {
    offset = offset * window[d].input + again.input_index[d];
  }
  const int64_t channel = ElementCount(WindowInput(window));
  Expr first =
      Reduce(ReduceOp::kMin, again.vars, Select(AndAlso(again.in_bounds, found), offset, channel));
  const loop::Buffer position = loop::MakeBuffer("position", ElementType::kI64, {1});
  const Expr at = Load(position, {0});
  const Expr start = (index[0] * op.shape()[1] + index[1]) * channel;
  const Expr flat = start + (op.Int("storage_order") == 1 ? ColumnMajor<Expr>(window, at) : at);
  return Alloc(
      best, Alloc(position,
                  loop::Block({Store(best, {0}, largest), Store(position, {0}, first),
                               Store(context.result, index, Select(Lt(at, channel), flat, -1))})));
}

StatusOr<loop::Stmt> MaxPoolIndicesNest(const Op& op, const NestContext& context) {
  const Shape& shape = op.shape();
  const loop::Var plane = loop::MakeVar("plane", shape[0] * shape[1]);
  std::vector<Expr> index = {FloorDiv(plane, std::max<int64_t>(1, shape[1])),
                             FloorMod(plane, std::max<int64_t>(1, shape[1]))};
  std::vector<loop::Var> vars;
  for (size_t d = 2; d < shape.size(); ++d) {
    vars.push_back(loop::MakeVar(StrCat("y", d - 2), shape[d]));
    index.push_back(vars.back());
  }
  loop::Stmt body = FindLargestStmt(op, context, index);
  for (size_t d = vars.size(); d-- > 0;) body = For(vars[d], std::move(body));
  return For(plane, loop::LoopKind::kParallel, std::move(body));
}

// avg_pool

StatusOr<TensorType> InferAvgPool(const Op& op) {
  KILN_RETURN_IF_ERROR(CheckFloat(op));
  KILN_ASSIGN_OR_RETURN(TensorType type, InferPool(op));
  const std::vector<int64_t>& ceil_pads = op.Ints("ceil_pads_high");
  if (ceil_pads.empty()) return type;
  KILN_RETURN_IF_ERROR(CheckLength(op, "ceil_pads_high", ceil_pads.size(), type.shape.size() - 2));
  for (size_t d = 0; d < ceil_pads.size(); ++d) {
    KILN_RETURN_IF_ERROR(
        CheckRange(op, "ceil_pads_high", ceil_pads[d], 0, op.Ints("pads_high")[d]));
  }
  return type;
}

/// The input positions [begin, end) that count in dimension d.
struct Counted {
  int64_t begin;
  int64_t end;
};

Counted CountedPositions(const Op& op, const WindowDim& dim, size_t d) {
  if (!op.Bool("count_include_pad")) return {0, dim.input};
  const std::vector<int64_t>& ceil_pads = op.Ints("ceil_pads_high");
  return {-dim.pad_low, dim.input + dim.pad_high - (ceil_pads.empty() ? 0 : ceil_pads[d])};
}

/// How many elements the window at `y` counts.
int64_t CountElements(const Op& op, const Window& window, const std::vector<int64_t>& y) {
  int64_t count = 1;
  for (size_t d = 0; d < window.size(); ++d) {
    const Counted counted = CountedPositions(op, window[d], d);
    WindowDim shifted = window[d];
    shifted.pad_low += counted.begin;
    shifted.input = counted.end - counted.begin;
    count *= std::max<int64_t>(0, shifted.TapEnd(y[d + 2]) - shifted.TapBegin(y[d + 2]));
  }
  return count;
}

Status EvaluateAvgPool(const Op& op, std::span<const Array* const> in, Array& result) {
  const Window window = PoolWindow(op);
  for (Index y(op.shape()); y.valid(); y.Next()) {
    double sum = 0;
    ForEachInWindow(op, window, y.values(), [&](int64_t i) { sum += in[0]->floats[i]; });
    const int64_t count = CountElements(op, window, y.values());
    result.floats[y.linear()] = count == 0 ? 0 : sum / static_cast<double>(count);
  }
  return OkStatus();
}

/// How many elements the window counts in dimension d at output position `y`: a constant where no
/// window leaves what counts, otherwise min(kernel, ceil((end-start)/dilation)) -
/// max(0, ceil((begin-start)/dilation)) with the window's start in input positions.
Expr CountExpr(const Op& op, const WindowDim& dim, size_t d, const Expr& y) {
  const Counted counted = CountedPositions(op, dim, d);
  const Expr start = y * dim.stride - dim.pad_low;
  Expr first = 0, last = dim.kernel;
  if (dim.lowest() < counted.begin) {
    first = Max(FloorDiv(counted.begin + dim.dilation - 1 - start, dim.dilation), first);
  }
  if (dim.highest() >= counted.end) {
    last = Min(FloorDiv(counted.end + dim.dilation - 1 - start, dim.dilation), last);
  }
  return last - first;
}

Expr AvgPoolElement(const Op& op, const Reader& read, const std::vector<Expr>& index) {
  const Window window = PoolWindow(op);
  const WindowTap tap = MakeTap(window, index, op.operand(0)->type().layout);
  const Expr sum = Reduce(ReduceOp::kSum, tap.vars, ReadTap(tap, read, index, Zero));
  Expr count = 1;
  for (size_t d = 0; d < window.size(); ++d) {
    const Expr in_dim = CountExpr(op, window[d], d, index[d + 2]);
    count = count * (in_dim.AsInt() ? in_dim : Max(in_dim, 0));
  }
  if (!count.AsInt()) count = Max(count, 1);
  return sum / Cast(sum.type(), count);
}

// lp_pool

StatusOr<TensorType> InferLpPool(const Op& op) {
  KILN_RETURN_IF_ERROR(CheckFloat(op));
  KILN_RETURN_IF_ERROR(CheckRange(op, "p", op.Int("p"), 1, 1024));
  return InferPool(op);
}

Status EvaluateLpPool(const Op& op, std::span<const Array* const> in, Array& result) {
  const Window window = PoolWindow(op);
  const auto p = static_cast<double>(op.Int("p"));
  for (Index y(op.shape()); y.valid(); y.Next()) {
    double sum = 0;
    ForEachInWindow(op, window, y.values(),
                    [&](int64_t i) { sum += std::pow(std::abs(in[0]->floats[i]), p); });
    result.floats[y.linear()] = std::pow(sum, 1 / p);
  }
  return OkStatus();
}

Expr LpPoolElement(const Op& op, const Reader& read, const std::vector<Expr>& index) {
  const WindowTap tap = MakeTap(PoolWindow(op), index);
  const Expr x = ReadTap(tap, read, index, Zero);
  const int64_t p = op.Int("p");
  const auto power = [](const Expr& base, double exponent) {
    return Binary(loop::BinaryOp::kPow, base, loop::Const(base.type(), exponent));
  };
  const Expr magnitude = Unary(loop::UnaryOp::kAbs, x);
  if (p == 1) return Reduce(ReduceOp::kSum, tap.vars, magnitude);
  if (p == 2) return Unary(loop::UnaryOp::kSqrt, Reduce(ReduceOp::kSum, tap.vars, x * x));
  const auto exponent = static_cast<double>(p);
  return power(Reduce(ReduceOp::kSum, tap.vars, power(magnitude, exponent)), 1 / exponent);
}

// Gradients. What a window passes on goes back to where it read.

/// dx[p] = the sum of dy over the windows that read p.
Term SumUnpool(const Op& op, const Term& dy) {
  AttributeMap attributes = UnpoolAttributesOf(op);
  return dy.Make("sum_unpool", std::move(attributes));
}

StatusOr<Op*> MaxPoolGradient(Builder& b, Op& op, size_t, Op* dy) {
  Term y(b, &op), passed(b, dy);
  if (op.Bool("zero_padding")) {  // nothing goes back from where a zero of the padding is largest
    AttributeMap plain = op.attributes();
    plain.insert_or_assign("zero_padding", false);
    y = Term(b, op.operand(0)).Make("max_pool", std::move(plain));
    passed = Where(Equal(y, Term(b, &op)), passed, 0);
  }
  AttributeMap attributes = UnpoolAttributesOf(op);
  attributes.erase("input");
  const auto taps = b.Make("max_pool_taps", {op.operand(0), y.op()}, std::move(attributes));
  return b.Make("max_unpool", {passed.op(), taps}, UnpoolAttributesOf(op));
}

StatusOr<Op*> AvgPoolGradient(Builder& b, Op& op, size_t, Op* dy) {
  const Window window = PoolWindow(op);
  const Shape outputs(op.shape().begin() + 2, op.shape().end());
  std::vector<double> shares;
  std::vector<int64_t> y = {0, 0};
  for (Index p(outputs); p.valid(); p.Next()) {
    y.resize(2);
    y.insert(y.end(), p.values().begin(), p.values().end());
    const int64_t count = CountElements(op, window, y);
    shares.push_back(count == 0 ? 0 : 1.0 / static_cast<double>(count));
  }
  const bool uniform = std::equal(shares.begin() + 1, shares.end(), shares.begin());
  const auto share = uniform ? b.Scalar(dy->element(), shares[0])
                             : b.Constant(Tensor::FromDoubles(dy->element(), outputs, shares));
  return SumUnpool(op, Term(b, b.Mul(dy, share))).op();
}

// d/dx of (sum of |x|^p)^(1/p): |x|^(p-1) sign(x) y^(1-p), and 0 where all of the window is 0.
StatusOr<Op*> LpPoolGradient(Builder& b, Op& op, size_t k, Op* dy_op) {
  const GradientSite at{b, op, k, dy_op};
  const auto p = static_cast<double>(op.Int("p"));
  if (p == 1) return (at.x().Make("sign") * SumUnpool(op, at.dy())).op();
  const Term positive = Greater(at.y(), 0);
  const Term scale = Power(Where(positive, at.y(), 1), 1 - p);
  const Term back = SumUnpool(op, Where(positive, at.dy() * scale, 0));
  if (p == 2) return (at.x() * back).op();
  return (at.x().Make("sign") * Power(at.x().Make("abs"), p - 1) * back).op();
}

std::vector<AttributeDef> PoolAttributes() {
  std::vector<AttributeDef> attributes = {
      {"kernel", Attribute::Kind::kInts, {}, "the window's extents, >= 1"}};
  for (AttributeDef& attribute : WindowAttributes()) attributes.push_back(std::move(attribute));
  return attributes;
}

}  // namespace

std::vector<OpDef> PoolOps() {
  std::vector<AttributeDef> max_attributes = PoolAttributes(), index_attributes = PoolAttributes(),
                            avg_attributes = PoolAttributes(), lp_attributes = PoolAttributes();
  max_attributes.push_back(
      {"zero_padding", Attribute::Kind::kBool, Attribute(false), "padding takes part as zeros"});
  index_attributes.push_back({"storage_order", Attribute::Kind::kInt, Attribute(0),
                              "0: row-major positions, 1: column-major ones"});
  avg_attributes.push_back({"count_include_pad", Attribute::Kind::kBool, Attribute(false),
                            "padding counts in the divisor"});
  avg_attributes.push_back({"ceil_pads_high", Attribute::Kind::kInts,
                            Attribute(std::vector<int64_t>{}),
                            "the part of pads_high that only rounds the extent up and never "
                            "counts; empty: none"});
  lp_attributes.push_back({"p", Attribute::Kind::kInt, Attribute(2), "the norm, 1 to 1024"});
  std::vector<OpDef> ops;
  ops.push_back({.name = "max_pool",
                 .doc = "The largest element of each window over x [N, C, spatial...]; NaN if any "
                        "is NaN. Padding never wins, unless it counts as zeros; a window wholly in "
                        "padding otherwise gives the type's lowest value. The extent is floor((in "
                        "+ pad_low + pad_high - "
                        "dilation*(kernel-1) - 1) / stride) + 1.",
                 .operands = {{"x"}},
                 .attributes = std::move(max_attributes),
                 .infer = InferMaxPool,
                 .evaluate = EvaluateMaxPool,
                 .element = MaxPoolElement,
                 .zeros_read =
                     [](const Op& op) {
                       return op.Bool("zero_padding") ? WindowPadding(op)
                                                      : std::vector<Layout::Padding>{};
                     },
                 .gradient = MaxPoolGradient});
  ops.push_back({.name = "max_pool_indices",
                 .doc = "Where max_pool finds its results: the flat index into the whole of x, the "
                        "first of equals in row-major order; with storage_order 1 the position "
                        "within a channel is counted column-major. -1 for a window wholly in "
                        "padding.",
                 .operands = {{"x"}},
                 .attributes = std::move(index_attributes),
                 .infer = InferMaxPoolIndices,
                 .evaluate = EvaluateMaxPoolIndices,
                 .nest = MaxPoolIndicesNest,
                 .no_gradient = "its result is a position"});
  ops.push_back({.name = "avg_pool",
                 .doc = "The mean of each window over x [N, C, spatial...]: the sum of the "
                        "elements in the input, divided by how many there are, or with "
                        "count_include_pad by how many there are in input and padding. A window "
                        "that counts nothing gives 0. Extents as in max_pool.",
                 .operands = {{"x"}},
                 .attributes = std::move(avg_attributes),
                 .infer = InferAvgPool,
                 .evaluate = EvaluateAvgPool,
                 .element = AvgPoolElement,
                 .zeros_read = WindowPadding,
                 .gradient = AvgPoolGradient});
  ops.push_back({.name = "lp_pool",
                 .doc =
                     "The p-norm of each window over x [N, C, spatial...]: (sum of |x|^p)^(1/p). "
                     "Extents as in max_pool.",
                 .operands = {{"x"}},
                 .attributes = std::move(lp_attributes),
                 .infer = InferLpPool,
                 .evaluate = EvaluateLpPool,
                 .element = LpPoolElement,
                 .gradient = LpPoolGradient});
  return ops;
}

}  // namespace kiln
