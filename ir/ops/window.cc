#include "ir/ops/window.h"

#include <algorithm>
#include <limits>

#include "ir/ops/shape_util.h"

namespace kiln {

using loop::Expr;

namespace {

// Small enough that a product of two and a sum with any extent fit in int64.
constexpr int64_t kMaxStep = std::numeric_limits<int32_t>::max();

Status CheckSteps(const Op& op, std::string_view name, size_t rank, int64_t minimum) {
  const std::vector<int64_t>& values = op.Ints(name);
  KILN_RETURN_IF_ERROR(CheckLength(op, name, values.size(), rank));
  for (const int64_t value : values) {
    KILN_RETURN_IF_ERROR(CheckRange(op, name, value, minimum, kMaxStep));
  }
  return OkStatus();
}

int64_t CeilDiv(int64_t a, int64_t b) { return a > 0 ? (a + b - 1) / b : -(-a / b); }

}  // namespace

int64_t WindowDim::TapBegin(int64_t y) const {
  return std::clamp<int64_t>(CeilDiv(pad_low - y * stride, dilation), 0, kernel);
}

int64_t WindowDim::TapEnd(int64_t y) const {
  return std::clamp<int64_t>(CeilDiv(input + pad_low - y * stride, dilation), 0, kernel);
}

std::vector<AttributeDef> WindowAttributes() {
  using Kind = Attribute::Kind;
  return {{"strides", Kind::kInts, {}, "step between windows, one per spatial dimension, >= 1"},
          {"dilations", Kind::kInts, {}, "step between the elements of a window, >= 1"},
          {"pads_low", Kind::kInts, {}, "padding before the first element, >= 0"},
          {"pads_high", Kind::kInts, {}, "padding after the last element, >= 0"}};
}

Status CheckWindowAttributes(const Op& op, size_t spatial_rank) {
  KILN_RETURN_IF_ERROR(CheckSteps(op, "strides", spatial_rank, 1));
  KILN_RETURN_IF_ERROR(CheckSteps(op, "dilations", spatial_rank, 1));
  KILN_RETURN_IF_ERROR(CheckSteps(op, "pads_low", spatial_rank, 0));
  return CheckSteps(op, "pads_high", spatial_rank, 0);
}

Status CheckWindow(const Op& op, const Shape& kernel) {
  return CheckWindow(op, kernel, op.operand(0)->shape());
}

Status CheckWindow(const Op& op, const Shape& kernel, const Shape& x) {
  if (x.size() < 3 || x.size() > 5) {
    return OpError(op, "the input must have 1 to 3 spatial dimensions after batch and channels");
  }
  const size_t spatial_rank = x.size() - 2;
  KILN_RETURN_IF_ERROR(CheckLength(op, "the kernel", kernel.size(), spatial_rank));
  KILN_RETURN_IF_ERROR(CheckWindowAttributes(op, spatial_rank));
  for (size_t d = 0; d < spatial_rank; ++d) {
    KILN_RETURN_IF_ERROR(CheckRange(op, "the kernel's extent", kernel[d], 1, kMaxStep));
    const int64_t padded = x[d + 2] + op.Ints("pads_low")[d] + op.Ints("pads_high")[d];
    const int64_t span = op.Ints("dilations")[d] * (kernel[d] - 1) + 1;
    if (span > padded) {
      return OpError(op, "the window must fit the padded input, found ", span, " over ", padded,
                     " in spatial dimension ", d);
    }
  }
  return OkStatus();
}

Window MakeWindow(const Op& op, const Shape& kernel) {
  return MakeWindow(op, kernel, op.operand(0)->shape());
}

Window MakeWindow(const Op& op, const Shape& kernel, const Shape& x) {
  Window window;
  for (size_t d = 0; d < kernel.size(); ++d) {
    WindowDim dim{.input = x[d + 2],
                  .kernel = kernel[d],
                  .stride = op.Ints("strides")[d],
                  .dilation = op.Ints("dilations")[d],
                  .pad_low = op.Ints("pads_low")[d],
                  .pad_high = op.Ints("pads_high")[d]};
    dim.output = (dim.input + dim.pad_low + dim.pad_high - dim.span()) / dim.stride + 1;
    window.push_back(dim);
  }
  return window;
}

StatusOr<Window> LimitWindow(const Op& op, Window window, const Shape& y) {
  for (size_t d = 0; d < window.size(); ++d) {
    KILN_RETURN_IF_ERROR(CheckRange(op, "the number of windows", y[d + 2], 1, window[d].output));
    window[d].output = y[d + 2];
  }
  return window;
}

Shape WindowShape(int64_t n, int64_t channels, const Window& window) {
  Shape shape = {n, channels};
  for (const WindowDim& dim : window) shape.push_back(dim.output);
  return shape;
}

std::vector<Layout::Padding> WindowPadding(const Op& op) {
  std::vector<Layout::Padding> padding;
  for (size_t d = 0; d < op.Ints("pads_low").size(); ++d) {
    padding.push_back({static_cast<int>(d) + 2, op.Ints("pads_low")[d], op.Ints("pads_high")[d]});
  }
  return padding;
}

WindowTap MakeTap(const Window& window, const std::vector<Expr>& index, const Layout& zeros) {
  WindowTap tap;
  for (size_t d = 0; d < window.size(); ++d) {
    const WindowDim& dim = window[d];
    Expr k = 0;
    if (dim.kernel != 1) {
      tap.vars.push_back(loop::MakeVar(StrCat("k", d), dim.kernel));
      k = tap.vars.back();
    }
    const Expr position = index[d + 2] * dim.stride + k * dim.dilation - dim.pad_low;
    tap.kernel_index.push_back(k);
    tap.input_index.push_back(position);
    const Layout::Padding around = zeros.PaddingOf(static_cast<int>(d) + 2);
    if (dim.lowest() < -around.low) tap.in_bounds = AndAlso(tap.in_bounds, Ge(position, 0));
    if (dim.highest() >= dim.input + around.high) {
      tap.in_bounds = AndAlso(tap.in_bounds, Lt(position, dim.input));
    }
  }
  return tap;
}

WindowTap MakeTransposedTap(const Window& window, const std::vector<Expr>& index,
                            const Layout& zeros) {
  WindowTap tap;
  for (size_t d = 0; d < window.size(); ++d) {
    const WindowDim& dim = window[d];
    Expr k = 0;
    if (dim.kernel != 1) {
      tap.vars.push_back(loop::MakeVar(StrCat("k", d), dim.kernel));
      k = tap.vars.back();
    }
    const Expr scaled = index[d + 2] - k * dim.dilation + dim.pad_low;
    const Expr position = FloorDiv(scaled, dim.stride);
    const auto require = [&](const Expr& c) { tap.in_bounds = AndAlso(tap.in_bounds, c); };
    if (dim.stride > 1) require(Eq(FloorMod(scaled, dim.stride), 0));
    const Layout::Padding around = zeros.PaddingOf(static_cast<int>(d) + 2);
    const int64_t lowest = dim.pad_low - (dim.kernel - 1) * dim.dilation;
    const int64_t highest = (dim.input - 1 + dim.pad_low) / dim.stride;
    if (lowest < -around.low * dim.stride) require(Ge(position, 0));
    if (highest >= dim.output + around.high) require(Lt(position, dim.output));
    tap.kernel_index.push_back(k);
    tap.input_index.push_back(position);
  }
  return tap;
}

std::optional<int64_t> OutputPosition(const WindowDim& dim, int64_t x, int64_t k) {
  const int64_t scaled = x + dim.pad_low - k * dim.dilation;
  if (scaled < 0 || scaled % dim.stride != 0 || scaled / dim.stride >= dim.output) return {};
  return scaled / dim.stride;
}

Expr Guard(const Expr& in_bounds, Expr value, Expr otherwise) {
  return in_bounds.defined() ? Select(in_bounds, std::move(value), std::move(otherwise)) : value;
}

Expr AndAlso(const Expr& a, const Expr& b) {
  if (!a.defined() || !b.defined()) return a.defined() ? a : b;
  return And(a, b);
}

}  // namespace kiln
