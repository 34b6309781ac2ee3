#include "ir/ops/winograd_tiles.h"

#include <algorithm>

#include "ir/ops/window.h"

namespace kiln::winograd {

using loop::Expr;

std::vector<Layout::Padding> ZerosAround(const Shape& x, const Tiling& t) {
  const int64_t needed[] = {t.rows * t.m + t.span - t.m, t.columns * t.m + t.span - t.m};
  std::vector<Layout::Padding> padding;
  for (int d = 0; d < 2; ++d) {
    const int64_t high = needed[d] - t.pads_low[d] - x[d + 2];
    padding.push_back({d + 2, t.pads_low[d], std::max<int64_t>(high, 0)});
  }
  return padding;
}

Expr ReadImage(const StageContext& context, const TensorType& x,
               const std::vector<Layout::Padding>& zeros, const std::vector<Expr>& index) {
  Expr inside;
  for (const Layout::Padding& read : zeros) {
    const Layout::Padding there = x.layout.PaddingOf(read.dim);
    const Expr& position = index[static_cast<size_t>(read.dim)];
    if (read.low > there.low) inside = AndAlso(inside, Ge(position, 0));
    if (read.high > there.high) inside = AndAlso(inside, Lt(position, x.shape[read.dim]));
  }
  return Guard(inside, context.read(0, index), loop::Const(ElementType::kF32, 0));
}

}  // namespace kiln::winograd
