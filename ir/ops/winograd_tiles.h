// The arithmetic of Winograd's form (winograd.h) on one line of a tile, for numbers and expressions
// alike, its adjoint, and the geometry of its tiles. Shared by the reference evaluation and the
// stages.
#pragma once

#include <array>
#include <utility>
#include <vector>

#include "ir/graph/op_def.h"
#include "ir/loop/expr.h"
#include "ir/ops/winograd.h"

namespace kiln::winograd {

inline constexpr int64_t kMaxSpan = 6;
inline constexpr int64_t kMaxTile = 4;
inline constexpr int64_t kMaxKernel = 5;

inline double Times(double factor, double value) { return factor * value; }
inline loop::Expr Times(double factor, const loop::Expr& value) {
  return loop::Const(value.type(), factor) * value;
}

// The points +-a and +-b of a span of 6. Their squares and products are exact in binary, and the
// largest error is about a third of what the usual 1 and 2 give: the powers in A^T stay small.
inline constexpr double kA = 0.75, kB = 1.5;
inline constexpr double kA2 = kA * kA, kB2 = kB * kB;

/// B^T d, one column of it: row p holds the coefficients of the product of x - q over the other
/// points q.
template <typename T>
std::array<T, kMaxSpan> TransformInput(int64_t span, const std::array<T, kMaxSpan>& d) {
  if (span == 4) return {d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]};
  const T even_a = d[4] - Times(kB2, d[2]), odd_a = Times(kA, d[3] - Times(kB2, d[1]));
  const T even_b = d[4] - Times(kA2, d[2]), odd_b = Times(kB, d[3] - Times(kA2, d[1]));
  return {Times(kA2 * kB2, d[0]) - Times(kA2 + kB2, d[2]) + d[4],
          even_a + odd_a,
          even_a - odd_a,
          even_b + odd_b,
          even_b - odd_b,
          Times(kA2 * kB2, d[1]) - Times(kA2 + kB2, d[3]) + d[5]};
}

/// A^T p, one column of it: rows hold the powers of the points.
template <typename T>
std::array<T, kMaxTile> TransformOutput(int64_t span, int64_t m, const std::array<T, kMaxSpan>& p) {
  const T even_a = p[1] + p[2], odd_a = p[1] - p[2];
  if (span == 4) return {p[0] + even_a, odd_a - p[3]};
  const T even_b = p[3] + p[4], odd_b = p[3] - p[4];
  const T first = p[0] + even_a + even_b, second = Times(kA, odd_a) + Times(kB, odd_b);
  if (m == 2) return {first, second + p[5]};
  return {first, second, Times(kA2, even_a) + Times(kB2, even_b),
          Times(kA2 * kA, odd_a) + Times(kB2 * kB, odd_b) + p[5]};
}

/// G g, one column of it, for a kernel of `r` elements: row p holds the powers of p over the
/// product of p - q.
template <typename T>
std::array<T, kMaxSpan> TransformWeights(int64_t span, int64_t r,
                                         const std::array<T, kMaxKernel>& g) {
  const T& last = g[static_cast<size_t>(r - 1)];
  if (span == 4) {
    const T even = g[0] + g[2];
    return {g[0], Times(0.5, even + g[1]), Times(0.5, even - g[1]), last};
  }
  const auto even = [&](double square) {
    const T sum = g[0] + Times(square, g[2]);
    return r == 5 ? sum + Times(square * square, g[4]) : sum;
  };
  const auto odd = [&](double point) {
    const T sum = Times(point, g[1]);
    return r == 5 ? sum + Times(point * point * point, g[3]) : sum;
  };
  const double scale_a = 1 / (2 * kA2 * (kA2 - kB2)), scale_b = 1 / (2 * kB2 * (kB2 - kA2));
  return {Times(1 / (kA2 * kB2), g[0]),        Times(scale_a, even(kA2) + odd(kA)),
          Times(scale_a, even(kA2) - odd(kA)), Times(scale_b, even(kB2) + odd(kB)),
          Times(scale_b, even(kB2) - odd(kB)), last};
}

/// A y, one column of it: the adjoint of TransformOutput.
template <typename T>
std::array<T, kMaxSpan> SpreadOutput(int64_t span, int64_t m, const std::array<T, kMaxTile>& y) {
  if (span == 4) return {y[0], y[0] + y[1], y[0] - y[1], Times(-1, y[1])};
  if (m == 2) {
    const T a = Times(kA, y[1]), b = Times(kB, y[1]);
    return {y[0], y[0] + a, y[0] - a, y[0] + b, y[0] - b, y[1]};
  }
  const auto at = [&](double point) {
    const double square = point * point;
    return std::pair(y[0] + Times(square, y[2]), Times(point, y[1]) + Times(square * point, y[3]));
  };
  const auto [even_a, odd_a] = at(kA);
  const auto [even_b, odd_b] = at(kB);
  return {y[0], even_a + odd_a, even_a - odd_a, even_b + odd_b, even_b - odd_b, y[3]};
}

/// G^T u, one column of it, for a kernel of 3 elements: the adjoint of TransformWeights.
template <typename T>
std::array<T, kMaxKernel> GatherWeights(int64_t span, const std::array<T, kMaxSpan>& u) {
  if (span == 4) {
    const T half = Times(0.5, u[1] + u[2]);
    return {u[0] + half, Times(0.5, u[1] - u[2]), half + u[3]};
  }
  const double scale_a = 1 / (2 * kA2 * (kA2 - kB2)), scale_b = 1 / (2 * kB2 * (kB2 - kA2));
  const T even_a = Times(scale_a, u[1] + u[2]), odd_a = Times(scale_a * kA, u[1] - u[2]);
  const T even_b = Times(scale_b, u[3] + u[4]), odd_b = Times(scale_b * kB, u[3] - u[4]);
  return {Times(1 / (kA2 * kB2), u[0]) + even_a + even_b, odd_a + odd_b,
          Times(kA2, even_a) + Times(kB2, even_b) + u[5]};
}

/// The geometry of an op that `infer` has accepted: what it cuts into tiles of m x m, results of a
/// convolution or their gradient, and the image x that it reads in tiles of span x span.
struct Tiling {
  /// `cut`: the shape of what is cut, [N, O, height, width]. x is operand 0 of `op`.
  Tiling(const Op& op, const Shape& cut, int64_t kernel, int64_t groups)
      : m(op.Int("tile")),
        kernel(kernel),
        span(WinogradSpan(m, kernel)),
        groups(groups),
        images(cut[0]),
        inputs(op.operand(0)->shape()[1]),
        outputs(cut[1]),
        height(cut[2]),
        width(cut[3]),
        rows((height + m - 1) / m),
        columns((width + m - 1) / m),
        pads_low(op.Ints("pads_low")) {}
  static Tiling OfConvolution(const Op& op) {
    const int64_t kernel = op.operand(1)->shape()[0] - op.Int("tile") + 1;
    return Tiling(op, op.shape(), kernel, op.Int("groups"));
  }

  int64_t tiles() const { return images * rows * columns; }

  int64_t m, kernel, span, groups;
  int64_t images, inputs, outputs, height, width;
  int64_t rows, columns;  ///< tiles of an image
  std::vector<int64_t> pads_low;
};

/// The zeros around `x` that tiles reach into.
std::vector<Layout::Padding> ZerosAround(const Shape& x, const Tiling& tiling);

/// Operand 0, of type `x`, at a logical index that may lie in `zeros` around it.
loop::Expr ReadImage(const StageContext& context, const TensorType& x,
                     const std::vector<Layout::Padding>& zeros,
                     const std::vector<loop::Expr>& index);

}  // namespace kiln::winograd
