#include "ir/ops/winograd.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <limits>
#include <numeric>

#include "ir/ops/op_table.h"
#include "ir/ops/shape_util.h"
#include "ir/ops/window.h"
#include "ir/support/bytes.h"
#include "ir/support/parallel.h"

namespace kiln {

using loop::Expr;
using loop::Stmt;
using loop::Var;

namespace {

constexpr int64_t kMaxSpan = 6;
constexpr int64_t kMaxTile = 4;
constexpr int64_t kMaxKernel = 5;

double Times(double factor, double value) { return factor * value; }
Expr Times(double factor, const Expr& value) { return loop::Const(value.type(), factor) * value; }

// The points +-a and +-b of a span of 6. Their squares and products are exact in binary, and the
// largest error is about a third of what the usual 1 and 2 give: the powers in A^T stay small.
constexpr double kA = 0.75, kB = 1.5;
constexpr double kA2 = kA * kA, kB2 = kB * kB;

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

/// The geometry of an op that `infer` has accepted.
struct Tiling {
  explicit Tiling(const Op& op)
      : span(op.operand(1)->shape()[0]),
        m(op.Int("tile")),
        kernel(span - m + 1),
        groups(op.Int("groups")),
        images(op.shape()[0]),
        inputs(op.operand(0)->shape()[1]),
        outputs(op.shape()[1]),
        height(op.shape()[2]),
        width(op.shape()[3]),
        rows((height + m - 1) / m),
        columns((width + m - 1) / m),
        pads_low(op.Ints("pads_low")) {}

  int64_t tiles() const { return images * rows * columns; }

  int64_t span, m, kernel, groups;
  int64_t images, inputs, outputs, height, width;
  int64_t rows, columns;  ///< tiles of an image
  std::vector<int64_t> pads_low;
};

/// The zeros around x that its tiles reach into.
std::vector<Layout::Padding> ZerosRead(const Op& op) {
  const Tiling t(op);
  const int64_t needed[] = {t.rows * t.m + t.span - t.m, t.columns * t.m + t.span - t.m};
  std::vector<Layout::Padding> padding;
  for (int d = 0; d < 2; ++d) {
    const int64_t high = needed[d] - t.pads_low[d] - op.operand(0)->shape()[d + 2];
    padding.push_back({d + 2, t.pads_low[d], std::max<int64_t>(high, 0)});
  }
  return padding;
}

/// Whether tiles of m x m results can be computed with a kernel of r x r.
bool IsSupported(int64_t m, int64_t r) {
  return (r == 3 && (m == 2 || m == 4)) || (r == 5 && m == 2);
}

StatusOr<TensorType> InferWinograd(const Op& op) {
  const TensorType &x = op.operand(0)->type(), &u = op.operand(1)->type();
  if (x.element != ElementType::kF32 || u.element != ElementType::kF32) {
    return OpError(op, "operands must be f32");
  }
  if (x.rank() != 4 || u.rank() != 4) return OpError(op, "operands must have rank 4");
  const int64_t span = u.shape[0], m = op.Int("tile"), groups = op.Int("groups");
  if (u.shape[1] != span || span > kMaxSpan || m < 1 || m > span || !IsSupported(m, span - m + 1)) {
    return OpError(op, "tile=", m, " and weights ", u.ToString(),
                   " must be of a 3x3 kernel and 2 or 4, or of a 5x5 kernel and 2");
  }
  KILN_RETURN_IF_ERROR(CheckRange(op, "groups", groups, 1, std::numeric_limits<int32_t>::max()));
  if (x.shape[1] % groups != 0 || x.shape[1] / groups != u.shape[2] || u.shape[2] == 0 ||
      u.shape[3] == 0 || u.shape[3] % groups != 0) {
    return OpError(op, "input of ", x.shape[1], " channels in groups=", groups,
                   " does not fit weights ", u.ToString());
  }
  const std::vector<int64_t>& extents = op.Ints("extents");
  const std::vector<int64_t>& pads_low = op.Ints("pads_low");
  KILN_RETURN_IF_ERROR(CheckLength(op, "extents", extents.size(), 2));
  KILN_RETURN_IF_ERROR(CheckLength(op, "pads_low", pads_low.size(), 2));
  Shape shape = {x.shape[0], u.shape[3]};
  for (size_t d = 0; d < 2; ++d) {
    KILN_RETURN_IF_ERROR(CheckRange(op, "pads_low", pads_low[d], 0, span - m));
    KILN_RETURN_IF_ERROR(CheckRange(op, "extents", extents[d], 1, x.shape[d + 2] + pads_low[d]));
    shape.push_back(extents[d]);
  }
  return TensorType{ElementType::kF32, std::move(shape)};
}

TensorType WinogradWeightsType(const Shape& w, int64_t m, bool transposed) {
  const int64_t span = WinogradSpan(m, w[2]);
  return {ElementType::kF32, {span, span, w[transposed ? 0 : 1], w[transposed ? 1 : 0]}};
}

StatusOr<TensorType> InferWeights(const Op& op) {
  const TensorType& w = op.operand(0)->type();
  if (w.element != ElementType::kF32 || w.rank() != 4 || w.shape[2] != w.shape[3]) {
    return OpError(op, "weights must be f32 [_,_,3,3] or [_,_,5,5], found ", w.ToString());
  }
  const int64_t m = op.Int("tile"), r = w.shape[2];
  if (!IsSupported(m, r)) {
    return OpError(op, "tile must be 2 or 4 for a 3x3 kernel and 2 for a 5x5 kernel, found ", m,
                   " for ", w.ToString());
  }
  return WinogradWeightsType(w.shape, m, op.Bool("transposed"));
}

Status EvaluateWeights(const Op& op, std::span<const Array* const> in, Array& result) {
  KILN_ASSIGN_OR_RETURN(const Tensor u,
                        WinogradWeights(in[0]->ToTensor(), op.Int("tile"), op.Bool("transposed")));
  result = Array::FromTensor(u);
  return OkStatus();
}

/// G w G^T of one pair of channels; `g(i, j)` is w's element. Calls `put(i, j, u)`.
template <typename T, typename Get, typename Put>
void TransformKernel(int64_t m, int64_t r, const Get& get, const Put& put) {
  const int64_t span = WinogradSpan(m, r);
  std::array<std::array<T, kMaxSpan>, kMaxKernel> half{};
  std::array<T, kMaxKernel> column{};
  for (int64_t j = 0; j < r; ++j) {
    for (int64_t i = 0; i < r; ++i) column[i] = get(i, j);
    half[j] = TransformWeights(span, r, column);
  }
  for (int64_t i = 0; i < span; ++i) {
    for (int64_t j = 0; j < r; ++j) column[j] = half[j][i];
    const auto line = TransformWeights(span, r, column);
    for (int64_t j = 0; j < span; ++j) put(i, j, line[j]);
  }
}

/// V = B^T d B of one tile and channel; `d(i, j)` is its element.
template <typename Get>
void InputTile(const Tiling& t, const Get& d,
               std::array<std::array<double, kMaxSpan>, kMaxSpan>& v) {
  std::array<std::array<double, kMaxSpan>, kMaxSpan> half{};
  for (int64_t j = 0; j < t.span; ++j) {
    std::array<double, kMaxSpan> column{};
    for (int64_t i = 0; i < t.span; ++i) column[i] = d(i, j);
    column = TransformInput(t.span, column);
    for (int64_t i = 0; i < t.span; ++i) half[i][j] = column[i];
  }
  for (int64_t i = 0; i < t.span; ++i) v[i] = TransformInput(t.span, half[i]);
}

/// y = A^T p A of one tile.
void OutputTile(const Tiling& t, const std::array<std::array<double, kMaxSpan>, kMaxSpan>& p,
                std::array<std::array<double, kMaxTile>, kMaxTile>& y) {
  std::array<std::array<double, kMaxSpan>, kMaxTile> half{};
  for (int64_t j = 0; j < t.span; ++j) {
    std::array<double, kMaxSpan> column{};
    for (int64_t i = 0; i < t.span; ++i) column[i] = p[i][j];
    const std::array<double, kMaxTile> transformed = TransformOutput(t.span, t.m, column);
    for (int64_t i = 0; i < t.m; ++i) half[i][j] = transformed[i];
  }
  for (int64_t i = 0; i < t.m; ++i) y[i] = TransformOutput(t.span, t.m, half[i]);
}

Status EvaluateWinograd(const Op& op, std::span<const Array* const> in, Array& result) {
  const Tiling t(op);
  const Shape& x_shape = op.operand(0)->shape();
  const std::vector<double>&x = in[0]->floats, &u = in[1]->floats;
  std::array<std::array<double, kMaxSpan>, kMaxSpan> v{}, products{};
  std::array<std::array<double, kMaxTile>, kMaxTile> y{};
  for (Index at({t.images, t.outputs, t.rows, t.columns}); at.valid(); at.Next()) {
    for (auto& row : products) row.fill(0);
    const int64_t group_inputs = t.inputs / t.groups;
    const int64_t first = at[1] / (t.outputs / t.groups) * group_inputs;
    for (int64_t c = 0; c < group_inputs; ++c) {
      const auto element = [&](int64_t i, int64_t j) {
        const int64_t row = at[2] * t.m + i - t.pads_low[0];
        const int64_t column = at[3] * t.m + j - t.pads_low[1];
        const bool inside = row >= 0 && row < x_shape[2] && column >= 0 && column < x_shape[3];
        return inside ? x[Offset(x_shape, {at[0], first + c, row, column})] : 0;
      };
      InputTile(t, element, v);
      for (int64_t i = 0; i < t.span; ++i) {
        for (int64_t j = 0; j < t.span; ++j) {
          products[i][j] += v[i][j] * u[Offset(op.operand(1)->shape(), {i, j, c, at[1]})];
        }
      }
    }
    OutputTile(t, products, y);
    for (int64_t i = 0; i < std::min(t.m, t.height - at[2] * t.m); ++i) {
      for (int64_t j = 0; j < std::min(t.m, t.width - at[3] * t.m); ++j) {
        result.floats[Offset(op.shape(), {at[0], at[1], at[2] * t.m + i, at[3] * t.m + j})] =
            y[i][j];
      }
    }
  }
  return OkStatus();
}

/// The stages: V = B^T x B for all tiles, P = V U for every place in a tile, y = A^T P A.
///
/// V lies as [place][channel block][tile][channel in block], P likewise: each place is a product of
/// a tiles-by-C and a C-by-O matrix whose loads and stores are whole vectors of channels. A few
/// rows of padding keep the places of one tile apart in the cache's sets.
class WinogradStages {
 public:
  WinogradStages(const Op& op, const StageContext& context)
      : t_(op),
        x_(op.operand(0)->type()),
        zeros_(ZerosRead(op)),
        context_(context),
        in_block_(std::gcd(context.ChannelBlock(0), t_.inputs / t_.groups)),
        out_block_(std::gcd(context.ChannelBlock(-1), t_.outputs / t_.groups)),
        v_(Scratch("v", t_.inputs, in_block_)),
        p_(Scratch("p", t_.outputs, out_block_)) {}

  Stages Build() const {
    Stages stages;
    stages.scratch = {v_, p_};
    stages.body = loop::Block({TransformInputs(), Multiply(), TransformOutputs()});
    stages.flops = 2.0 * static_cast<double>(t_.images * t_.outputs * t_.height * t_.width) *
                   static_cast<double>(t_.inputs / t_.groups * t_.kernel * t_.kernel);
    return stages;
  }

 private:
  using Line = std::array<Expr, kMaxSpan>;

  loop::Buffer Scratch(const char* name, int64_t channels, int64_t block) const {
    const int64_t rows = channels / block * t_.tiles();
    return loop::MakeBuffer(name, ElementType::kF32,
                            {t_.span * t_.span, rows + 1 - rows % 2, block});
  }

  Expr Place(int64_t i, int64_t j) const { return i * t_.span + j; }

  /// `body` for every image, channel block, tile row and tile column. The first three are one
  /// parallel loop: a tile row reads what its neighbour above has read.
  template <typename Body>
  Stmt ForEachTile(int64_t blocks, const Body& body) const {
    const Var piece = loop::MakeVar("piece", t_.images * blocks * t_.rows);
    const Var column = loop::MakeVar("column", t_.columns);
    const Expr row = loop::FloorMod(piece, t_.rows);
    const Expr block = loop::FloorMod(loop::FloorDiv(piece, t_.rows), blocks);
    const Expr image = loop::FloorDiv(piece, t_.rows * blocks);
    return loop::For(piece, loop::LoopKind::kParallel,
                     loop::For(column, body(image, block, row, Expr(column))));
  }

  /// The row of `v_` and `p_` that belongs to a tile.
  Expr TileRow(const Expr& image, const Expr& block, const Expr& row, const Expr& column) const {
    return block * t_.tiles() + image * (t_.rows * t_.columns) + row * t_.columns + column;
  }

  template <typename Store>
  static Stmt ForEachLane(int64_t block, const Store& store) {
    const Var lane = loop::MakeVar("lane", block);
    return loop::For(lane, store(Expr(lane)));
  }

  Stmt TransformInputs() const {
    return ForEachTile(t_.inputs / in_block_, [&](const Expr& image, const Expr& block,
                                                  const Expr& row, const Expr& column) {
      const loop::Buffer half =
          loop::MakeBuffer("half", ElementType::kF32, {t_.span, t_.span, in_block_});
      std::vector<Stmt> body;
      const auto store_line = [&](const auto& store, const auto& load) {
        for (int64_t i = 0; i < t_.span; ++i) {
          body.push_back(ForEachLane(in_block_, [&](const Expr& lane) {
            Line line;
            for (int64_t k = 0; k < t_.span; ++k) line[k] = load(k, lane);
            return store(i, lane, TransformInput(t_.span, line)[i]);
          }));
        }
      };
      for (int64_t j = 0; j < t_.span; ++j) {
        store_line([&](int64_t i, const Expr& lane,
                       const Expr& value) { return loop::Store(half, {i, j, lane}, value); },
                   [&](int64_t k, const Expr& lane) {
                     return ReadInput(image, block * in_block_ + lane,
                                      row * t_.m + k - t_.pads_low[0],
                                      column * t_.m + j - t_.pads_low[1]);
                   });
      }
      for (int64_t i = 0; i < t_.span; ++i) {
        store_line(
            [&](int64_t j, const Expr& lane, const Expr& value) {
              return loop::Store(v_, {Place(i, j), TileRow(image, block, row, column), lane},
                                 value);
            },
            [&](int64_t k, const Expr& lane) { return loop::Load(half, {i, k, lane}); });
      }
      return loop::Alloc(half, loop::Block(std::move(body)));
    });
  }

  /// x at a position that may lie in the zeros around it.
  Expr ReadInput(const Expr& image, const Expr& channel, const Expr& row,
                 const Expr& column) const {
    Expr inside;
    const auto require = [&](const Expr& position, const Layout::Padding& read) {
      const Layout::Padding there = x_.layout.PaddingOf(read.dim);
      if (read.low > there.low) inside = AndAlso(inside, Ge(position, 0));
      if (read.high > there.high) inside = AndAlso(inside, Lt(position, x_.shape[read.dim]));
    };
    require(row, zeros_[0]);
    require(column, zeros_[1]);
    return Guard(inside, context_.read(0, {image, channel, row, column}),
                 loop::Const(ElementType::kF32, 0));
  }

  Stmt Multiply() const {
    const Var i = loop::MakeVar("i", t_.span), j = loop::MakeVar("j", t_.span);
    const Var group = loop::MakeVar("group", t_.groups);
    const Var block = loop::MakeVar("block", t_.outputs / t_.groups / out_block_);
    const Var tile = loop::MakeVar("tile", t_.tiles()), lane = loop::MakeVar("lane", out_block_);
    const Var co = loop::MakeVar("co", t_.inputs / t_.groups / in_block_);
    const Var ci = loop::MakeVar("ci", in_block_);
    const Expr place = Expr(i) * t_.span + Expr(j);
    const Expr in_block = Expr(group) * co->extent + Expr(co);
    const Expr out_block = Expr(group) * block->extent + Expr(block);
    const Expr v = loop::Load(v_, {place, in_block * t_.tiles() + Expr(tile), ci});
    const Expr u = context_.read(
        1, {i, j, Expr(co) * in_block_ + Expr(ci), out_block * out_block_ + Expr(lane)});
    Stmt stmt = loop::Store(p_, {place, out_block * t_.tiles() + Expr(tile), lane},
                            loop::Reduce(loop::ReduceOp::kSum, {co, ci}, v * u));
    for (const Var& var : {lane, tile, block, group, j, i}) stmt = loop::For(var, stmt);
    return stmt;
  }

  Stmt TransformOutputs() const {
    return ForEachTile(t_.outputs / out_block_, [&](const Expr& image, const Expr& block,
                                                    const Expr& row, const Expr& column) {
      const loop::Buffer half =
          loop::MakeBuffer("half", ElementType::kF32, {t_.m, t_.span, out_block_});
      std::vector<Stmt> body;
      for (int64_t j = 0; j < t_.span; ++j) {
        for (int64_t i = 0; i < t_.m; ++i) {
          body.push_back(ForEachLane(out_block_, [&](const Expr& lane) {
            Line line;
            for (int64_t k = 0; k < t_.span; ++k) {
              line[k] = loop::Load(p_, {Place(k, j), TileRow(image, block, row, column), lane});
            }
            return loop::Store(half, {i, j, lane}, TransformOutput(t_.span, t_.m, line)[i]);
          }));
        }
      }
      for (int64_t i = 0; i < t_.m; ++i) {
        for (int64_t j = 0; j < t_.m; ++j) {
          body.push_back(ForEachLane(out_block_, [&](const Expr& lane) {
            Line line;
            for (int64_t k = 0; k < t_.span; ++k) line[k] = loop::Load(half, {i, k, lane});
            const Expr y = row * t_.m + i, x = column * t_.m + j;
            return context_.store({image, block * out_block_ + lane, y, x},
                                  TransformOutput(t_.span, t_.m, line)[j], Inside(y, x));
          }));
        }
      }
      return loop::Alloc(half, loop::Block(std::move(body)));
    });
  }

  /// Whether a place in a tile belongs to the result; undefined when all do.
  Expr Inside(const Expr& y, const Expr& x) const {
    Expr inside;
    const auto require = [&](const Expr& position, int64_t extent) {
      if (extent % t_.m == 0) return;
      const Expr below = loop::Lt(position, extent);
      inside = inside.defined() ? loop::And(inside, below) : below;
    };
    require(y, t_.height);
    require(x, t_.width);
    return inside;
  }

  const Tiling t_;
  const TensorType x_;
  const std::vector<Layout::Padding> zeros_;
  const StageContext& context_;
  const int64_t in_block_, out_block_;
  const loop::Buffer v_, p_;
};

}  // namespace

namespace {

/// Values of several output channels, computed together: what the compiler makes vectors of.
struct Lanes {
  static constexpr int64_t kCount = 16;  // a cache line of results
  std::array<double, kCount> values{};

  friend Lanes operator+(const Lanes& a, const Lanes& b) { return Map(a, b, std::plus<>()); }
  friend Lanes operator-(const Lanes& a, const Lanes& b) { return Map(a, b, std::minus<>()); }
  friend Lanes Times(double factor, const Lanes& value) {
    return Map(value, value, [factor](double v, double) { return factor * v; });
  }

 private:
  template <typename F>
  static Lanes Map(const Lanes& a, const Lanes& b, const F& f) {
    Lanes result;
    for (size_t i = 0; i < kCount; ++i) result.values[i] = f(a.values[i], b.values[i]);
    return result;
  }
};

/// u = G w G^T for every pair of channels, the outputs of a block side by side.
class WeightStages {
 public:
  WeightStages(const Op& op, const StageContext& context)
      : context_(context),
        transposed_(op.Bool("transposed")),
        r_(op.operand(0)->shape()[2]),
        span_(op.shape()[0]),
        inputs_(op.shape()[2]),
        outputs_(op.shape()[3]),
        block_(std::gcd(outputs_, int64_t{16})) {}

  Stages Build() const {
    const Var block = loop::MakeVar("block", outputs_ / block_), c = loop::MakeVar("c", inputs_);
    const loop::Buffer g = Local("g", r_, r_), half = Local("half", span_, r_);
    std::vector<Stmt> body;
    for (int64_t i = 0; i < r_; ++i) {
      for (int64_t j = 0; j < r_; ++j) {
        body.push_back(ForEachLane([&](const Expr& lane) {
          return loop::Store(g, {i, j, lane}, Weight(Expr(block) * block_ + lane, c, i, j));
        }));
      }
    }
    for (int64_t j = 0; j < r_; ++j) {
      for (int64_t i = 0; i < span_; ++i) {
        body.push_back(ForEachLane([&](const Expr& lane) {
          const auto column = [&](int64_t k) { return loop::Load(g, {k, j, lane}); };
          return loop::Store(half, {i, j, lane}, Transform(column)[i]);
        }));
      }
    }
    for (int64_t i = 0; i < span_; ++i) {
      for (int64_t j = 0; j < span_; ++j) {
        body.push_back(ForEachLane([&](const Expr& lane) {
          const auto line = [&](int64_t k) { return loop::Load(half, {i, k, lane}); };
          return context_.store({i, j, c, Expr(block) * block_ + lane}, Transform(line)[j], {});
        }));
      }
    }
    const Stmt pair = loop::Alloc(g, loop::Alloc(half, loop::Block(std::move(body))));
    Stages stages;
    stages.body = loop::Block({loop::For(block, loop::LoopKind::kParallel, loop::For(c, pair))});
    return stages;
  }

 private:
  loop::Buffer Local(const char* name, int64_t rows, int64_t columns) const {
    return loop::MakeBuffer(name, ElementType::kF32, {rows, columns, block_});
  }

  template <typename Store>
  Stmt ForEachLane(const Store& store) const {
    const Var lane = loop::MakeVar("lane", block_);
    return loop::For(lane, store(Expr(lane)));
  }

  template <typename Get>
  std::array<Expr, kMaxSpan> Transform(const Get& get) const {
    std::array<Expr, kMaxKernel> g;
    for (int64_t k = 0; k < r_; ++k) g[k] = get(k);
    return TransformWeights(span_, r_, g);
  }

  Expr Weight(const Expr& o, const Expr& c, int64_t i, int64_t j) const {
    return transposed_ ? context_.read(0, {c, o, r_ - 1 - i, r_ - 1 - j})
                       : context_.read(0, {o, c, i, j});
  }

  const StageContext& context_;
  const bool transposed_;
  const int64_t r_, span_, inputs_, outputs_, block_;
};

/// Where the weights of a convolution, or of a transposed one, lie in a row-major tensor.
struct KernelReader {
  KernelReader(const Tensor& w, bool transposed)
      : data(w.bytes().data()), extent(w.shape()[2]), transposed(transposed) {
    const int64_t rows = w.shape()[1] * extent * extent;
    output_stride = transposed ? extent * extent : rows;
    input_stride = transposed ? rows : extent * extent;
  }

  float operator()(int64_t o, int64_t c, int64_t i, int64_t j) const {
    const int64_t place = i * extent + j;
    const int64_t at =
        o * output_stride + c * input_stride + (transposed ? extent * extent - 1 - place : place);
    float value;
    std::memcpy(&value, data + at * static_cast<int64_t>(sizeof(value)), sizeof(value));
    return value;
  }

  const char* data;  // not aligned
  int64_t extent;
  bool transposed;
  int64_t output_stride, input_stride;
};

}  // namespace

StatusOr<Tensor> WinogradWeights(const Tensor& w, int64_t m, bool transposed) {
  const Shape& shape = w.shape();
  if (shape.size() != 4 || shape[2] != shape[3] || !IsSupported(m, shape[2]) ||
      w.type().element != ElementType::kF32 || !w.type().layout.IsRowMajor() || !w.known()) {
    return InternalError("Winograd weights cannot be made of ", w.type().ToString());
  }
  const TensorType type = WinogradWeightsType(shape, m, transposed);
  const int64_t span = type.shape[0], inputs = type.shape[2], outputs = type.shape[3];
  const auto size = static_cast<size_t>(type.bytes());
  const std::shared_ptr<char> bytes = AllocateBytes(size);
  auto* const u = reinterpret_cast<float*>(bytes.get());
  const KernelReader read(w, transposed);
  const auto transform = [&](int64_t c, int64_t o) {
    const int64_t count = std::min(Lanes::kCount, outputs - o);
    TransformKernel<Lanes>(
        m, shape[2],
        [&](int64_t i, int64_t j) {
          Lanes g;
          for (int64_t lane = 0; lane < count; ++lane) g.values[lane] = read(o + lane, c, i, j);
          return g;
        },
        [&](int64_t i, int64_t j, const Lanes& value) {
          float* const to = u + ((i * span + j) * inputs + c) * outputs + o;
          for (int64_t k = 0; k < count; ++k) to[k] = static_cast<float>(value.values[k]);
        });
  };
  ParallelFor(inputs, type.bytes(), [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) {
      for (int64_t o = 0; o < outputs; o += Lanes::kCount) transform(c, o);
    }
  });
  return Tensor(type, bytes, {bytes.get(), size});
}

std::vector<OpDef> WinogradOps() {
  constexpr char kAfterwards[] = "convolutions take this form after they have been differentiated";
  std::vector<OpDef> ops;
  ops.push_back({.name = "winograd_weights",
                 .doc =
                     "The weights of winograd_conv: u[:,:,c,o] = G w[o,c] G^T, [s, s, C, O], from "
                     "those of a convolution, w [O, C, r, r]. With `transposed` from those of a "
                     "conv_transpose, w [C, O, r, r], whose kernels are turned by 180 degrees.",
                 .operands = {{"w"}},
                 .attributes = {{"tile", Attribute::Kind::kInt, {}, "m, 2 or 4"},
                                {"transposed", Attribute::Kind::kBool, Attribute(false),
                                 "w is that of a conv_transpose"}},
                 .infer = InferWeights,
                 .evaluate = EvaluateWeights,
                 .stages = [](const Op& op, const StageContext& context) -> StatusOr<Stages> {
                   return WeightStages(op, context).Build();
                 },
                 .no_gradient = kAfterwards});
  ops.push_back(
      {.name = "winograd_conv",
       .doc = "Convolution of stride 1 in Winograd's form: x [N, C, H, W] with transformed weights "
              "u [s, s, C/groups, O]. y = A^T [sum over c of u[:,:,c,o] * (B^T x B)] A for each "
              "tile of m x m results. Around x, pads_low before it and behind it as far as whole "
              "tiles reach, zeros are read. A NaN or infinity in x spreads over its tile.",
       .operands = {{"x"}, {"u"}},
       .attributes = {{"extents", Attribute::Kind::kInts, {}, "height and width of y, >= 1"},
                      {"pads_low", Attribute::Kind::kInts, Attribute(std::vector<int64_t>{0, 0}),
                       "padding above and left of x"},
                      {"tile", Attribute::Kind::kInt, {}, "m: 2, or 4 where s = 6"},
                      {"groups", Attribute::Kind::kInt, Attribute(1),
                       "channels are split into this many groups that do not mix, >= 1"}},
       .traits = kContraction,
       .infer = InferWinograd,
       .evaluate = EvaluateWinograd,
       .stages = [](const Op& op, const StageContext& context) -> StatusOr<Stages> {
         return WinogradStages(op, context).Build();
       },
       .zeros_read = ZerosRead,
       .no_gradient = kAfterwards});
  return ops;
}

}  // namespace kiln
