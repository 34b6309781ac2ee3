// Convolution and its transpose over 1 to 3 spatial dimensions, with groups.
//
// Both are sums of products whose summand is exactly input * weight, with the input guarded only
// where padding can be read: the form that the contraction engine recognises.
#include <algorithm>
#include <limits>

#include "ir/ops/conv_gradient.h"
#include "ir/ops/op_table.h"
#include "ir/ops/shape_util.h"
#include "ir/ops/window.h"

namespace kiln {

using loop::Binary;
using loop::BinaryOp;
using loop::Expr;
using loop::Reduce;
using loop::ReduceOp;
using loop::Var;

namespace {

void MultiplyAdd(double& sum, double a, double b) { sum += a * b; }
void MultiplyAdd(int64_t& sum, int64_t a, int64_t b) {
  sum = static_cast<int64_t>(static_cast<uint64_t>(sum) +
                             static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
}

void WrapInts(Array& array) {
  for (int64_t& value : array.ints) value = WrapInt(array.element, value);
}

Shape Kernel(const Op& op) {
  const Shape& w = op.operand(1)->shape();
  return {w.begin() + 2, w.end()};
}

// The channels of one group. Requires that infer has passed.
struct Group {
  int64_t inputs;
  int64_t outputs;
};

Group ConvGroup(const Op& op) {
  const Shape& w = op.operand(1)->shape();
  return {w[1], w[0] / op.Int("groups")};
}

Group TransposeGroup(const Op& op) {
  const Shape& w = op.operand(1)->shape();
  return {w[0] / op.Int("groups"), w[1]};
}

/// The input channel that output channel `o` reads at step `ic` of its group.
Expr InputChannel(int64_t groups, const Group& group, const Expr& o, const Expr& ic) {
  if (groups == 1) return ic;
  return FloorDiv(o, group.outputs) * group.inputs + ic;
}

/// The reduction variable over the input channels of a group; 0 when there is only one.
Expr ChannelVar(int64_t extent, std::vector<Var>& vars) {
  if (extent == 1) return 0;
  vars.push_back(loop::MakeVar("ic", extent));
  return vars.back();
}

Status CheckConvOperands(const Op& op) {
  KILN_RETURN_IF_ERROR(CheckSameElement(op));
  KILN_RETURN_IF_ERROR(CheckNumeric(op));
  const Shape &x = op.operand(0)->shape(), &w = op.operand(1)->shape();
  if (x.size() != w.size() || x.size() < 3) {
    return OpError(op, "input and weights must have the same rank of at least 3");
  }
  const int64_t groups = op.Int("groups");
  KILN_RETURN_IF_ERROR(CheckRange(op, "groups", groups, 1, std::numeric_limits<int32_t>::max()));
  if (x[1] == 0 || w[0] == 0 || w[1] == 0) return OpError(op, "there must be channels");
  return OkStatus();
}

StatusOr<TensorType> InferConv(const Op& op) {
  KILN_RETURN_IF_ERROR(CheckConvOperands(op));
  KILN_RETURN_IF_ERROR(CheckWindow(op, Kernel(op)));
  const Shape &x = op.operand(0)->shape(), &w = op.operand(1)->shape();
  const int64_t groups = op.Int("groups");
  if (w[0] % groups != 0) {
    return OpError(op, "the ", w[0], " output channels must divide into groups=", groups);
  }
  if (x[1] % groups != 0 || x[1] / groups != w[1]) {
    return OpError(op, "weights of ", w[1], " channels in groups=", groups, " need ", groups,
                   " times as many input channels, found ", x[1]);
  }
  return TensorType{op.operand(0)->element(), WindowShape(x[0], w[0], MakeWindow(op, Kernel(op)))};
}

/// A kernel position that lies in the input, as offsets within one channel.
struct Tap {
  int64_t x;
  int64_t w;
};

/// The taps of the window at output position `y`.
void FindTaps(const Window& window, const std::vector<int64_t>& y, const Shape& kernel,
              std::vector<Tap>& taps) {
  taps.clear();
  for (Index k(kernel); k.valid(); k.Next()) {
    int64_t offset = 0;
    bool inside = true;
    for (size_t d = 0; inside && d < window.size(); ++d) {
      const int64_t position = window[d].InputPosition(y[d + 2], k[d]);
      inside = position >= 0 && position < window[d].input;
      offset = offset * window[d].input + position;
    }
    if (inside) taps.push_back({offset, k.linear()});
  }
}

template <typename T>
void Convolve(const Op& op, const std::vector<T>& x, const std::vector<T>& w,
              std::vector<T>& result) {
  const Group group = ConvGroup(op);
  const Shape kernel = Kernel(op);
  const Window window = MakeWindow(op, kernel);
  const Shape& x_shape = op.operand(0)->shape();
  const int64_t x_channel = ElementCount({x_shape.begin() + 2, x_shape.end()});
  const int64_t w_channel = ElementCount(kernel);
  std::vector<Tap> taps;
  for (Index y(op.shape()); y.valid(); y.Next()) {
    FindTaps(window, y.values(), kernel, taps);
    const int64_t first = y[0] * x_shape[1] + y[1] / group.outputs * group.inputs;
    for (int64_t c = 0; c < group.inputs; ++c) {
      const T* const xs = x.data() + (first + c) * x_channel;
      const T* const ws = w.data() + (y[1] * group.inputs + c) * w_channel;
      for (const Tap& tap : taps) MultiplyAdd(result[y.linear()], xs[tap.x], ws[tap.w]);
    }
  }
}

Status EvaluateConv(const Op& op, std::span<const Array* const> in, Array& result) {
  if (result.is_float()) {
    Convolve(op, in[0]->floats, in[1]->floats, result.floats);
  } else {
    Convolve(op, in[0]->ints, in[1]->ints, result.ints);
    WrapInts(result);
  }
  return OkStatus();
}

Expr ConvElement(const Op& op, const Reader& read, const std::vector<Expr>& index) {
  const Group group = ConvGroup(op);
  WindowTap tap = MakeTap(MakeWindow(op, Kernel(op)), index, op.operand(0)->type().layout);
  std::vector<Var> vars;
  const Expr ic = ChannelVar(group.inputs, vars);
  vars.insert(vars.end(), tap.vars.begin(), tap.vars.end());

  std::vector<Expr> x_index = {index[0], InputChannel(op.Int("groups"), group, index[1], ic)};
  std::vector<Expr> w_index = {index[1], ic};
  x_index.insert(x_index.end(), tap.input_index.begin(), tap.input_index.end());
  w_index.insert(w_index.end(), tap.kernel_index.begin(), tap.kernel_index.end());
  const Expr zero = loop::ConstInt(ComputeType(op.element()), 0);
  const Expr x = Guard(tap.in_bounds, read(0, x_index), zero);
  return Reduce(ReduceOp::kSum, vars, Binary(BinaryOp::kMul, x, read(1, w_index)));
}

// conv_transpose: the window slides over the *result*; input position p and kernel position k meet
// result position p*stride + k*dilation - pad_low.

StatusOr<int64_t> TransposedExtent(const Op& op, size_t d) {
  const int64_t input = op.operand(0)->shape()[d + 2], kernel = op.operand(1)->shape()[d + 2];
  if (input < 1 || kernel < 1) {
    return OpError(op, "the spatial extents of input and kernel must be at least 1");
  }
  KILN_ASSIGN_OR_RETURN(const int64_t steps, CheckedMul(op, input - 1, op.Ints("strides")[d]));
  KILN_ASSIGN_OR_RETURN(const int64_t reach, CheckedMul(op, kernel - 1, op.Ints("dilations")[d]));
  KILN_ASSIGN_OR_RETURN(const int64_t full, CheckedAdd(op, steps, reach));
  KILN_ASSIGN_OR_RETURN(const int64_t grown,
                        CheckedAdd(op, full, 1 + op.Ints("output_padding")[d]));
  const int64_t extent = grown - op.Ints("pads_low")[d] - op.Ints("pads_high")[d];
  if (extent < 1) {
    return OpError(op, "the pads leave an extent of ", extent, " in spatial dimension ", d,
                   ", expected at least 1");
  }
  return extent;
}

StatusOr<TensorType> InferConvTranspose(const Op& op) {
  KILN_RETURN_IF_ERROR(CheckConvOperands(op));
  const Shape &x = op.operand(0)->shape(), &w = op.operand(1)->shape();
  if (x.size() > 5) return OpError(op, "there must be 1 to 3 spatial dimensions");
  const size_t spatial_rank = x.size() - 2;
  KILN_RETURN_IF_ERROR(CheckWindowAttributes(op, spatial_rank));
  const std::vector<int64_t>& output_padding = op.Ints("output_padding");
  KILN_RETURN_IF_ERROR(CheckLength(op, "output_padding", output_padding.size(), spatial_rank));
  for (const int64_t padding : output_padding) {
    KILN_RETURN_IF_ERROR(
        CheckRange(op, "output_padding", padding, 0, std::numeric_limits<int32_t>::max()));
  }
  const int64_t groups = op.Int("groups");
  if (x[1] != w[0] || x[1] % groups != 0) {
    return OpError(op, "input and weights must have the same number of channels, divisible by ",
                   "groups=", groups, ", found ", x[1], " and ", w[0]);
  }
  KILN_ASSIGN_OR_RETURN(const int64_t channels, CheckedMul(op, w[1], groups));
  Shape shape = {x[0], channels};
  for (size_t d = 0; d < spatial_rank; ++d) {
    KILN_ASSIGN_OR_RETURN(const int64_t extent, TransposedExtent(op, d));
    shape.push_back(extent);
  }
  return TensorType{op.operand(0)->element(), std::move(shape)};
}

// By scattering: every input element adds its products to the results that it reaches.
template <typename T>
void ConvolveTransposed(const Op& op, const std::vector<T>& x, const std::vector<T>& w,
                        std::vector<T>& result) {
  const Group group = TransposeGroup(op);
  const Shape kernel = Kernel(op);
  const size_t rank = kernel.size();
  const int64_t w_channel = ElementCount(kernel);
  for (Index p(op.operand(0)->shape()); p.valid(); p.Next()) {
    for (Index k(kernel); k.valid(); k.Next()) {
      std::vector<int64_t> y = {p[0], 0};
      bool inside = true;
      for (size_t d = 0; d < rank; ++d) {
        y.push_back(p[d + 2] * op.Ints("strides")[d] + k[d] * op.Ints("dilations")[d] -
                    op.Ints("pads_low")[d]);
        inside = inside && y.back() >= 0 && y.back() < op.shape()[d + 2];
      }
      if (!inside) continue;
      for (int64_t o = 0; o < group.outputs; ++o) {
        y[1] = p[1] / group.inputs * group.outputs + o;
        MultiplyAdd(result[Offset(op.shape(), y)], x[p.linear()],
                    w[(p[1] * group.outputs + o) * w_channel + k.linear()]);
      }
    }
  }
}

Status EvaluateConvTranspose(const Op& op, std::span<const Array* const> in, Array& result) {
  if (result.is_float()) {
    ConvolveTransposed(op, in[0]->floats, in[1]->floats, result.floats);
  } else {
    ConvolveTransposed(op, in[0]->ints, in[1]->ints, result.ints);
    WrapInts(result);
  }
  return OkStatus();
}

/// The window that slides over the result and whose outputs are the input.
Window TransposedWindow(const Op& op) {
  Window window = MakeWindow(op, Kernel(op), op.shape());
  for (size_t d = 0; d < window.size(); ++d) window[d].output = op.operand(0)->shape()[d + 2];
  return window;
}

/// Result y reads x at y - k*dilation + pad_low, for each k of the kernel; with other strides than
/// 1 a test is needed anyway.
std::vector<Layout::Padding> ZerosReadTransposed(const Op& op) {
  std::vector<Layout::Padding> padding;
  const std::vector<int64_t>& strides = op.Ints("strides");
  if (std::any_of(strides.begin(), strides.end(), [](int64_t s) { return s != 1; })) return padding;
  for (size_t d = 0; d < strides.size(); ++d) {
    const int64_t reach = op.Ints("dilations")[d] * (op.operand(1)->shape()[d + 2] - 1);
    const int64_t high = reach - op.Ints("pads_high")[d] + op.Ints("output_padding")[d];
    padding.push_back({static_cast<int>(d) + 2,
                       std::max<int64_t>(reach - op.Ints("pads_low")[d], 0),
                       std::max<int64_t>(high, 0)});
  }
  return padding;
}

Expr ConvTransposeElement(const Op& op, const Reader& read, const std::vector<Expr>& index) {
  const Group group = TransposeGroup(op);
  std::vector<Var> vars;
  const Expr channel =
      InputChannel(op.Int("groups"), group, index[1], ChannelVar(group.inputs, vars));
  const Expr o = op.Int("groups") == 1 ? index[1] : FloorMod(index[1], group.outputs);
  const WindowTap tap =
      MakeTransposedTap(TransposedWindow(op), index, op.operand(0)->type().layout);
  vars.insert(vars.end(), tap.vars.begin(), tap.vars.end());
  std::vector<Expr> x_index = {index[0], channel}, w_index = {channel, o};
  x_index.insert(x_index.end(), tap.input_index.begin(), tap.input_index.end());
  w_index.insert(w_index.end(), tap.kernel_index.begin(), tap.kernel_index.end());
  const Expr zero = loop::ConstInt(ComputeType(op.element()), 0);
  const Expr x = Guard(tap.in_bounds, read(0, x_index), zero);
  return Reduce(ReduceOp::kSum, vars, Binary(BinaryOp::kMul, x, read(1, w_index)));
}

// Gradients. With respect to the input, conv is conv_transpose by the same weights and the other
// way round; with respect to the weights both are conv_weight_gradient, where conv_transpose has
// its input and dy change places.

StatusOr<Op*> WeightGradient(Builder& b, const Op& op, Op* x, Op* dy) {
  AttributeMap attributes = op.attributes();
  attributes.erase("output_padding");
  attributes.emplace("kernel", Kernel(op));
  return b.Make("conv_weight_gradient", {x, dy}, std::move(attributes));
}

StatusOr<Op*> ConvGradient(Builder& b, Op& op, size_t k, Op* dy) {
  if (k == 1) return WeightGradient(b, op, op.operand(0), dy);
  return ConvInputGradient(b, op, MakeWindow(op, Kernel(op)), dy, op.operand(1));
}

StatusOr<Op*> ConvTransposeGradient(Builder& b, Op& op, size_t k, Op* dy) {
  if (k == 1) return WeightGradient(b, op, dy, op.operand(0));
  return ConvOfFirst(b, op, dy, op.operand(1), op.operand(0)->shape());
}

std::vector<AttributeDef> ConvAttributes() {
  std::vector<AttributeDef> attributes = WindowAttributes();
  attributes.push_back({"groups", Attribute::Kind::kInt, Attribute(1),
                        "channels are split into this many groups that do not mix, >= 1"});
  return attributes;
}

}  // namespace

StatusOr<Op*> ConvInputGradient(Builder& b, const Op& op, const Window& window, Op* dy, Op* w) {
  AttributeMap attributes = WindowAttributesOf(op);
  std::vector<int64_t> padding;  // the part of the input that no window has reached
  for (const WindowDim& dim : window) {
    padding.push_back(dim.input - dim.highest() - 1 + dim.pad_high);
  }
  attributes.emplace("output_padding", std::move(padding));
  return b.Make("conv_transpose", {dy, w}, std::move(attributes));
}

StatusOr<Op*> ConvOfFirst(Builder& b, const Op& op, Op* x, Op* w, const Shape& y) {
  KILN_ASSIGN_OR_RETURN(Op* const conv, b.Make("conv", {x, w}, WindowAttributesOf(op)));
  if (conv->shape() == y) return conv;
  return b.Make("slice", {conv},
                {{"starts", std::vector<int64_t>(y.size(), 0)},
                 {"sizes", y},
                 {"strides", std::vector<int64_t>(y.size(), 1)}});
}

std::vector<OpDef> ConvOps() {
  std::vector<AttributeDef> transpose_attributes = ConvAttributes();
  transpose_attributes.push_back({"output_padding",
                                  Attribute::Kind::kInts,
                                  {},
                                  "extra extent at the high end of each dimension, >= 0"});
  std::vector<OpDef> ops;
  ops.push_back({.name = "conv",
                 .doc = "Convolution (cross-correlation) of x [N, C, spatial...] with w [O, "
                        "C/groups, kernel...], zero-padded, 1 to 3 spatial dimensions: "
                        "y[n,o,p] = sum over c,k of x[n, g*(C/groups)+c, "
                        "p*stride + k*dilation - pad_low] * w[o,c,k], with g = o / (O/groups). "
                        "The extent of y is floor((in + pad_low + pad_high - dilation*(kernel-1) "
                        "- 1) / stride) + 1.",
                 .operands = {{"x"}, {"w"}},
                 .attributes = ConvAttributes(),
                 .traits = kContraction,
                 .infer = InferConv,
                 .evaluate = EvaluateConv,
                 .element = ConvElement,
                 .zeros_read = WindowPadding,
                 .gradient = ConvGradient});
  ops.push_back({.name = "conv_transpose",
                 .doc = "Transposed convolution of x [N, C, spatial...] with w [C, O/groups, "
                        "kernel...]: the sum of x[n,c,p] * w[c,o,k] goes to y[n, g*(O/groups)+o, "
                        "p*stride + k*dilation - pad_low] where that lies in y, with g = c / "
                        "(C/groups). The extent of y is (in-1)*stride + dilation*(kernel-1) + 1 + "
                        "output_padding - pad_low - pad_high.",
                 .operands = {{"x"}, {"w"}},
                 .attributes = std::move(transpose_attributes),
                 .traits = kContraction,
                 .infer = InferConvTranspose,
                 .evaluate = EvaluateConvTranspose,
                 .element = ConvTransposeElement,
                 .zeros_read = ZerosReadTransposed,
                 .gradient = ConvTransposeGradient});
  return ops;
}

}  // namespace kiln
