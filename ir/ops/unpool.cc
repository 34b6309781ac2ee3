// Unpooling: a value for each window goes back to the positions that the window read. Written from
// the side of the input, each position gathering from the windows that read it: no two writers
// meet, and the order of the sum is fixed.
#include "ir/ops/unpool.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "ir/ops/op_table.h"
#include "ir/ops/shape_util.h"
#include "ir/ops/window.h"

namespace kiln {

using loop::Expr;
using loop::Reduce;
using loop::ReduceOp;

AttributeMap UnpoolAttributesOf(const Op& op) {
  AttributeMap attributes;
  for (const char* const name : {"kernel", "strides", "dilations", "pads_low", "pads_high"}) {
    attributes.emplace(name, op.attribute(name));
  }
  const Shape& x = op.operand(0)->shape();
  attributes.emplace("input", std::vector<int64_t>(x.begin() + 2, x.end()));
  return attributes;
}

namespace {

/// How many values of each channel a window has for the positions that it goes back to: one for
/// each element of the kernel in a fold, else one for all.
int64_t ValuesOf(const Op& op) { return op.Is("fold") ? ElementCount(op.Ints("kernel")) : 1; }

/// The input that is gone back to: [N, C, input...].
Shape InputShape(const Op& op) {
  const Shape& y = op.operand(0)->shape();
  Shape x = {y[0], y[1] / ValuesOf(op)};
  x.insert(x.end(), op.Ints("input").begin(), op.Ints("input").end());
  return x;
}

Window UnpoolWindow(const Op& op) {
  return *LimitWindow(op, MakeWindow(op, op.Ints("kernel"), InputShape(op)),
                      op.operand(0)->shape());
}

StatusOr<TensorType> InferUnpool(const Op& op) {
  const TensorType& y = op.operand(0)->type();
  if (y.rank() < 3 || y.rank() > 5) return OpError(op, "there must be 1 to 3 spatial dimensions");
  KILN_RETURN_IF_ERROR(
      CheckLength(op, "input", op.Ints("input").size(), static_cast<size_t>(y.rank() - 2)));
  const Shape x = InputShape(op);
  KILN_RETURN_IF_ERROR(CheckShape(op, y.element, x));
  KILN_RETURN_IF_ERROR(CheckWindow(op, op.Ints("kernel"), x));
  KILN_RETURN_IF_ERROR(LimitWindow(op, MakeWindow(op, op.Ints("kernel"), x), y.shape).status());
  const TensorType type{y.element, x, y.layout};
  KILN_RETURN_IF_ERROR(CheckType(op, type));
  return type;
}

/// Calls visit(offset in y, number of the tap) for each window that reads position `x`.
template <typename Visitor>
void ForEachWindow(const Op& op, const Window& window, const std::vector<int64_t>& x,
                   const Visitor& visit) {
  std::vector<int64_t> y = x;
  for (Index k(op.Ints("kernel")); k.valid(); k.Next()) {
    bool reads = true;
    for (size_t d = 0; reads && d < window.size(); ++d) {
      const auto position = OutputPosition(window[d], x[d + 2], k[d]);
      reads = position.has_value();
      if (reads) y[d + 2] = *position;
    }
    if (reads) visit(Offset(op.operand(0)->shape(), y), k.linear());
  }
}

/// What holds the numbers of so many taps, and one more: a byte, where it can.
ElementType TapType(int64_t taps) {
  return taps <= std::numeric_limits<int8_t>::max() ? ElementType::kI8 : ElementType::kI32;
}

/// The number of a tap in row-major order.
Expr TapNumber(const Window& window, const WindowTap& tap) {
  Expr number = 0;
  for (size_t d = 0; d < window.size(); ++d) {
    number = number * window[d].kernel + tap.kernel_index[d];
  }
  return number;
}

std::vector<Expr> At(const std::vector<Expr>& index, const WindowTap& tap) {
  std::vector<Expr> at = {index[0], index[1]};
  at.insert(at.end(), tap.input_index.begin(), tap.input_index.end());
  return at;
}

// sum_unpool

StatusOr<TensorType> InferSumUnpool(const Op& op) {
  KILN_RETURN_IF_ERROR(CheckFloat(op));
  return InferUnpool(op);
}

Status EvaluateSumUnpool(const Op& op, std::span<const Array* const> in, Array& result) {
  const Window window = UnpoolWindow(op);
  for (Index x(op.shape()); x.valid(); x.Next()) {
    ForEachWindow(op, window, x.values(),
                  [&](int64_t y, int64_t) { result.floats[x.linear()] += in[0]->floats[y]; });
  }
  return OkStatus();
}

Expr SumUnpoolElement(const Op& op, const Reader& read, const std::vector<Expr>& index) {
  const WindowTap tap = MakeTransposedTap(UnpoolWindow(op), index);
  const Expr value = read(0, At(index, tap));
  return Reduce(ReduceOp::kSum, tap.vars,
                Guard(tap.in_bounds, value, loop::Const(value.type(), 0)));
}

// fold

StatusOr<TensorType> InferFold(const Op& op) {
  KILN_RETURN_IF_ERROR(CheckFloat(op));
  const TensorType& y = op.operand(0)->type();
  KILN_RETURN_IF_ERROR(CheckLength(op, "kernel", op.Ints("kernel").size(),
                                   static_cast<size_t>(std::max(y.rank() - 2, 1))));
  int64_t taps = 1;
  for (const int64_t extent : op.Ints("kernel")) {
    KILN_RETURN_IF_ERROR(CheckRange(op, "kernel", extent, 1, 1 << 30));
    KILN_ASSIGN_OR_RETURN(taps, CheckedMul(op, taps, extent));
  }
  if (y.rank() < 3 || y.shape[1] % taps != 0) {
    return OpError(op, "the channels of y must be a multiple of the kernel's ", taps, " elements");
  }
  KILN_ASSIGN_OR_RETURN(TensorType type, InferUnpool(op));
  type.layout = {};
  return type;
}

Status EvaluateFold(const Op& op, std::span<const Array* const> in, Array& result) {
  const Window window = UnpoolWindow(op);
  const Shape& y = op.operand(0)->shape();
  const int64_t channels = op.shape()[1], positions = ElementCount(y) / (y[0] * y[1]);
  for (Index x(op.shape()); x.valid(); x.Next()) {
    // The offset that a window is visited with is that of channel x[1] of y.
    ForEachWindow(op, window, x.values(), [&](int64_t offset, int64_t tap) {
      result.floats[x.linear()] += in[0]->floats[offset + tap * channels * positions];
    });
  }
  return OkStatus();
}

Expr FoldElement(const Op& op, const Reader& read, const std::vector<Expr>& index) {
  const Window window = UnpoolWindow(op);
  const WindowTap tap = MakeTransposedTap(window, index);
  std::vector<Expr> at = At(index, tap);
  at[1] = TapNumber(window, tap) * op.shape()[1] + index[1];
  const Expr value = read(0, at);
  return Reduce(ReduceOp::kSum, tap.vars,
                Guard(tap.in_bounds, value, loop::Const(value.type(), 0)));
}

// max_pool_taps

StatusOr<TensorType> InferTaps(const Op& op) {
  KILN_RETURN_IF_ERROR(CheckNumeric(op));
  KILN_RETURN_IF_ERROR(CheckSameElement(op));
  KILN_RETURN_IF_ERROR(CheckWindow(op, op.Ints("kernel")));
  const TensorType &x = op.operand(0)->type(), &y = op.operand(1)->type();
  const Window window = MakeWindow(op, op.Ints("kernel"));
  if (y.shape != WindowShape(x.shape[0], x.shape[1], window)) {
    return OpError(op, "y must have the shape of the pool's result");
  }
  int64_t taps = 1;
  for (const WindowDim& dim : window) {
    KILN_ASSIGN_OR_RETURN(taps, CheckedMul(op, taps, dim.kernel));
    KILN_RETURN_IF_ERROR(CheckRange(op, "the number of taps", taps, 1, 1 << 30));
  }
  return TensorType{TapType(taps), y.shape, x.layout == y.layout ? y.layout : Layout{}};
}

Status EvaluateTaps(const Op& op, std::span<const Array* const> in, Array& result) {
  const Window window = MakeWindow(op, op.Ints("kernel"));
  const Array& x = *in[0];
  for (Index y(op.shape()); y.valid(); y.Next()) {
    int64_t& tap = result.ints[y.linear()];
    tap = ElementCount(op.Ints("kernel"));
    std::vector<int64_t> at = y.values();
    for (Index k(op.Ints("kernel")); k.valid() && k.linear() < tap; k.Next()) {
      bool inside = true;
      for (size_t d = 0; d < window.size(); ++d) {
        at[d + 2] = window[d].InputPosition(y[d + 2], k[d]);
        inside = inside && at[d + 2] >= 0 && at[d + 2] < window[d].input;
      }
      if (!inside) continue;
      const int64_t i = Offset(x.shape, at);
      const bool found = x.is_float()
                             ? x.floats[i] == in[1]->floats[y.linear()] || std::isnan(x.floats[i])
                             : x.ints[i] == in[1]->ints[y.linear()];
      if (found) tap = k.linear();
    }
  }
  return OkStatus();
}

Expr TapsElement(const Op& op, const Reader& read, const std::vector<Expr>& index) {
  const Window window = MakeWindow(op, op.Ints("kernel"));
  const WindowTap tap = MakeTap(window, index);
  const Expr x = read(0, At(index, tap));
  Expr found = Eq(x, read(1, index));
  if (IsFloat(x.type())) found = Or(found, Unary(loop::UnaryOp::kIsNan, x));
  const Expr none = loop::ConstInt(op.element(), ElementCount(op.Ints("kernel")));
  const Expr number = Select(found, Cast(op.element(), TapNumber(window, tap)), none);
  return Reduce(ReduceOp::kMin, tap.vars, Guard(tap.in_bounds, number, none));
}

// max_unpool

StatusOr<TensorType> InferMaxUnpool(const Op& op) {
  KILN_RETURN_IF_ERROR(CheckFloat(op));
  const TensorType& taps = op.operand(1)->type();
  if (taps.shape != op.operand(0)->shape()) {
    return OpError(op, "taps must have the shape of the values");
  }
  KILN_ASSIGN_OR_RETURN(const TensorType type, InferUnpool(op));
  const ElementType expected = TapType(ElementCount(op.Ints("kernel")));
  if (taps.element != expected) return OpError(op, "taps must be ", Name(expected));
  return type;
}

Status EvaluateMaxUnpool(const Op& op, std::span<const Array* const> in, Array& result) {
  const Window window = UnpoolWindow(op);
  for (Index x(op.shape()); x.valid(); x.Next()) {
    ForEachWindow(op, window, x.values(), [&](int64_t y, int64_t tap) {
      if (in[1]->ints[y] == tap) result.floats[x.linear()] += in[0]->floats[y];
    });
  }
  return OkStatus();
}

Expr MaxUnpoolElement(const Op& op, const Reader& read, const std::vector<Expr>& index) {
  const Window window = UnpoolWindow(op);
  const WindowTap tap = MakeTransposedTap(window, index);
  const std::vector<Expr> at = At(index, tap);
  const Expr value = read(0, at), zero = loop::Const(value.type(), 0);
  const Expr number = Cast(op.operand(1)->element(), TapNumber(window, tap));
  const Expr chosen = Select(Eq(read(1, at), number), value, zero);
  return Reduce(ReduceOp::kSum, tap.vars, Guard(tap.in_bounds, chosen, zero));
}

constexpr char kIsGradient[] = "it is itself part of a gradient, and not differentiated again";

}  // namespace

std::vector<OpDef> UnpoolOps() {
  using Kind = Attribute::Kind;
  std::vector<AttributeDef> taps_attributes = {
      {"kernel", Kind::kInts, {}, "the window's extents, >= 1"}};
  for (AttributeDef& attribute : WindowAttributes()) {
    taps_attributes.push_back(std::move(attribute));
  }
  std::vector<AttributeDef> attributes = taps_attributes;
  attributes.push_back({"input", Kind::kInts, {}, "the spatial extents of the pool's input"});
  std::vector<OpDef> ops;
  ops.push_back({.name = "sum_unpool",
                 .doc = "dx[p] = the sum of dy [N, C, spatial...] over the windows that read "
                        "position p of the input: the gradient of summing each window.",
                 .operands = {{"dy"}},
                 .attributes = attributes,
                 .infer = InferSumUnpool,
                 .evaluate = EvaluateSumUnpool,
                 .element = SumUnpoolElement,
                 .no_gradient = kIsGradient});
  ops.push_back({.name = "fold",
                 .doc = "dx[c,p] = the sum of y[tap*C + c, window] over the windows that read "
                        "position p of the input, as their element number `tap` of the kernel in "
                        "row-major order: a transposed convolution whose products are in y "
                        "[N, taps*C, spatial...] already (col2im).",
                 .operands = {{"y"}},
                 .attributes = attributes,
                 .infer = InferFold,
                 .evaluate = EvaluateFold,
                 .element = FoldElement,
                 .no_gradient = "convolutions take this form after they have been differentiated"});
  ops.push_back({.name = "max_pool_taps",
                 .doc = "Which element of its window each y = max_pool(x) is: its row-major "
                        "number in the kernel, the first of equals; the number of all elements for "
                        "a window wholly in padding. A NaN counts as equal. The numbers are i8, "
                        "where the kernel has more than 127 elements i32.",
                 .operands = {{"x"}, {"y"}},
                 .attributes = std::move(taps_attributes),
                 .infer = InferTaps,
                 .evaluate = EvaluateTaps,
                 .element = TapsElement,
                 .no_gradient = "its result is a position"});
  ops.push_back({.name = "max_unpool",
                 .doc = "dx[p] = the sum of dy [N, C, spatial...] over the windows whose largest "
                        "element, by `taps` of max_pool_taps, is at position p of the input: the "
                        "gradient of max_pool.",
                 .operands = {{"dy"}, {"taps"}},
                 .attributes = std::move(attributes),
                 .infer = InferMaxUnpool,
                 .evaluate = EvaluateMaxUnpool,
                 .element = MaxUnpoolElement,
                 .no_gradient = kIsGradient});
  return ops;
}

}  // namespace kiln
