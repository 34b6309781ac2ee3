// Sliding windows over the spatial dimensions of a tensor [N, C, spatial...]: the geometry that
// convolution and pooling share.
//
// At output position y and kernel position k a window reads the input at
// y*stride + k*dilation - pad_low; positions outside [0, input) are padding.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ir/graph/op_def.h"

namespace kiln {

/// One spatial dimension.
struct WindowDim {
  int64_t input;
  int64_t kernel;
  int64_t stride;
  int64_t dilation;
  int64_t pad_low;
  int64_t pad_high;
  int64_t output;  ///< floor((input + pad_low + pad_high - span) / stride) + 1

  /// What one window covers: dilation*(kernel-1) + 1.
  int64_t span() const { return dilation * (kernel - 1) + 1; }
  int64_t InputPosition(int64_t y, int64_t k) const { return y * stride + k * dilation - pad_low; }
  /// The smallest and the largest position that any window reads; requires output > 0.
  int64_t lowest() const { return -pad_low; }
  int64_t highest() const { return InputPosition(output - 1, kernel - 1); }
  /// The kernel positions [begin, end) that lie in the input at output position y.
  int64_t TapBegin(int64_t y) const;
  int64_t TapEnd(int64_t y) const;
};
using Window = std::vector<WindowDim>;

/// The attributes strides, dilations, pads_low and pads_high, as every windowed op has them.
std::vector<AttributeDef> WindowAttributes();

/// Checks those attributes of `op` against `spatial_rank` values each and against overflow.
Status CheckWindowAttributes(const Op& op, size_t spatial_rank);
/// Checks all of a window whose kernel has the extents `kernel` over an input of shape `x`: 1 to 3
/// spatial dimensions, the attributes, kernel extents of at least 1, a kernel that fits the padded
/// input.
Status CheckWindow(const Op& op, const Shape& kernel, const Shape& x);
/// The same over operand 0.
Status CheckWindow(const Op& op, const Shape& kernel);
/// The window of an op that has passed CheckWindow.
Window MakeWindow(const Op& op, const Shape& kernel, const Shape& x);
Window MakeWindow(const Op& op, const Shape& kernel);
/// The same with only the first y[d + 2] positions of each spatial dimension; an error when there
/// are fewer than that.
StatusOr<Window> LimitWindow(const Op& op, Window window, const Shape& y);
/// [n, channels, output...].
Shape WindowShape(int64_t n, int64_t channels, const Window& window);

/// What the windows of an op read around the image: its padding.
std::vector<Layout::Padding> WindowPadding(const Op& op);

/// One step of a window in expressions.
struct WindowTap {
  std::vector<loop::Var> vars;           ///< the kernel dimensions of extent other than 1
  std::vector<loop::Expr> kernel_index;  ///< by spatial dimension: a variable, or 0
  std::vector<loop::Expr> input_index;   ///< by spatial dimension
  loop::Expr in_bounds;                  ///< undefined when every tap lies in the input
};
/// The window at `index`, a full index [n, c, y...] of the result. With `zeros`, the layout of the
/// input, positions in its padding count as in bounds: they read as 0.
WindowTap MakeTap(const Window& window, const std::vector<loop::Expr>& index,
                  const Layout& zeros = {});
/// What reads the input position `index`, a full index [n, c, x...]: input_index holds the output
/// positions, in_bounds whether there are such. `zeros` is the layout of what holds the outputs.
WindowTap MakeTransposedTap(const Window& window, const std::vector<loop::Expr>& index,
                            const Layout& zeros = {});
/// The output position at which kernel position `k` meets input position `x` in one dimension;
/// nullopt where there is none.
std::optional<int64_t> OutputPosition(const WindowDim& dim, int64_t x, int64_t k);
/// `value` where `in_bounds` holds (or is undefined), `otherwise` elsewhere.
loop::Expr Guard(const loop::Expr& in_bounds, loop::Expr value, loop::Expr otherwise);
/// `a && b`, where either may be undefined, which stands for true.
loop::Expr AndAlso(const loop::Expr& a, const loop::Expr& b);

}  // namespace kiln
