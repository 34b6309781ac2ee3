// The gradient of a 3x3 convolution with respect to its weights in Winograd's form: the adjoint of
// winograd_conv (winograd.h) in its weights.
//
//   dw = G^T [ sum over tiles of (B^T x B) * (A dy A^T) ] G
#include <algorithm>
#include <numeric>

#include "ir/ops/op_table.h"
#include "ir/ops/shape_util.h"
#include "ir/ops/window.h"
#include "ir/ops/winograd.h"
#include "ir/ops/winograd_tiles.h"

namespace kiln {

using loop::Expr;
using loop::Stmt;
using loop::Var;
using winograd::GatherWeights;
using winograd::kMaxSpan;
using winograd::kMaxTile;
using winograd::ReadImage;
using winograd::SpreadOutput;
using winograd::Tiling;
using winograd::TransformInput;
using winograd::ZerosAround;

namespace {

constexpr int64_t kKernel = 3;

Tiling TilingOf(const Op& op) { return Tiling(op, op.operand(1)->shape(), kKernel, /*groups=*/1); }

StatusOr<TensorType> InferGradient(const Op& op) {
  const TensorType &x = op.operand(0)->type(), &dy = op.operand(1)->type();
  if (x.element != ElementType::kF32 || dy.element != ElementType::kF32) {
    return OpError(op, "operands must be f32");
  }
  if (x.rank() != 4 || dy.rank() != 4 || x.shape[0] != dy.shape[0]) {
    return OpError(op, "operands must have rank 4 and the same batch");
  }
  if (x.shape[1] == 0 || dy.shape[1] == 0) return OpError(op, "there must be channels");
  if (op.Int("tile") != 2 && op.Int("tile") != 4) return OpError(op, "tile must be 2 or 4");
  const std::vector<int64_t>& pads_low = op.Ints("pads_low");
  KILN_RETURN_IF_ERROR(CheckLength(op, "pads_low", pads_low.size(), 2));
  for (size_t d = 0; d < 2; ++d) {
    KILN_RETURN_IF_ERROR(CheckRange(op, "pads_low", pads_low[d], 0, kKernel - 1));
    KILN_RETURN_IF_ERROR(
        CheckRange(op, "an extent of dy", dy.shape[d + 2], 1, x.shape[d + 2] + pads_low[d]));
  }
  Shape shape = {dy.shape[1], x.shape[1], kKernel, kKernel};
  KILN_RETURN_IF_ERROR(CheckShape(op, x.element, shape));
  return TensorType{ElementType::kF32, std::move(shape)};
}

using Square = std::array<std::array<double, kMaxSpan>, kMaxSpan>;

/// L d L^T, where `line` computes L times a line of d, which has `extent` elements.
template <typename Line, typename Element>
Square Transformed(int64_t span, int64_t extent, const Line& line, const Element& d) {
  Square half{}, result{};
  for (int64_t j = 0; j < extent; ++j) {
    const auto column = line([&](int64_t k) { return d(k, j); });
    for (int64_t i = 0; i < std::ssize(column); ++i) half[i][j] = column[i];
  }
  for (int64_t i = 0; i < span; ++i) {
    const auto row = line([&](int64_t k) { return half[i][k]; });
    for (int64_t j = 0; j < std::ssize(row); ++j) result[i][j] = row[j];
  }
  return result;
}

Status EvaluateGradient(const Op& op, std::span<const Array* const> in, Array& result) {
  const Tiling t = TilingOf(op);
  const auto element = [](const Array& from, int64_t n, int64_t c, int64_t y, int64_t x) {
    const bool inside = y >= 0 && y < from.shape[2] && x >= 0 && x < from.shape[3];
    return inside ? from.floats[Offset(from.shape, {n, c, y, x})] : 0.0;
  };
  const auto input = [&](const auto& d) {
    std::array<double, kMaxSpan> line{};
    for (int64_t k = 0; k < t.span; ++k) line[k] = d(k);
    return TransformInput(t.span, line);
  };
  const auto output = [&](const auto& d) {
    std::array<double, kMaxTile> line{};
    for (int64_t k = 0; k < t.m; ++k) line[k] = d(k);
    return SpreadOutput(t.span, t.m, line);
  };
  const auto weights = [&](const auto& d) {
    std::array<double, kMaxSpan> line{};
    for (int64_t k = 0; k < t.span; ++k) line[k] = d(k);
    return GatherWeights(t.span, line);
  };
  for (Index pair({t.outputs, t.inputs}); pair.valid(); pair.Next()) {
    Square products{};
    for (Index tile({t.images, t.rows, t.columns}); tile.valid(); tile.Next()) {
      const int64_t y = tile[1] * t.m, x = tile[2] * t.m;
      const Square v = Transformed(t.span, t.span, input, [&](int64_t i, int64_t j) {
        return element(*in[0], tile[0], pair[1], y + i - t.pads_low[0], x + j - t.pads_low[1]);
      });
      const Square m = Transformed(t.span, t.m, output, [&](int64_t i, int64_t j) {
        return element(*in[1], tile[0], pair[0], y + i, x + j);
      });
      for (int64_t i = 0; i < t.span; ++i) {
        for (int64_t j = 0; j < t.span; ++j) products[i][j] += v[i][j] * m[i][j];
      }
    }
    const Square dw =
        Transformed(kKernel, t.span, weights, [&](int64_t i, int64_t j) { return products[i][j]; });
    for (int64_t i = 0; i < kKernel; ++i) {
      for (int64_t j = 0; j < kKernel; ++j) {
        result.floats[Offset(op.shape(), {pair[0], pair[1], i, j})] = dw[i][j];
      }
    }
  }
  return OkStatus();
}

/// The stages: V = B^T x B and M = A dy A^T for all tiles, dU = V^T M for every place in a tile,
/// dw = G^T dU G.
///
/// V and M lie as [place][channel block][tile][channel in block]: each place is a product of a
/// C-by-tiles and a tiles-by-O matrix, both read in whole runs of blocks. A few rows of padding
/// keep the places of one tile apart in the cache's sets.
class GradientStages {
 public:
  GradientStages(const Op& op, const StageContext& context)
      : t_(TilingOf(op)),
        x_(op.operand(0)->type()),
        zeros_(ZerosAround(x_.shape, t_)),
        context_(context),
        in_block_(context.ChannelBlock(0)),
        out_block_(context.ChannelBlock(1)),
        v_(Scratch("v", t_.inputs, in_block_)),
        m_(Scratch("m", t_.outputs, out_block_)),
        du_(loop::MakeBuffer("du", ElementType::kF32,
                             {t_.span * t_.span, t_.outputs / out_block_, t_.inputs, out_block_})) {
  }

  Stages Build() const {
    Stages stages;
    stages.scratch = {v_, m_, du_};
    stages.body =
        loop::Block({TransformImages(), TransformGradients(), Multiply(), TransformProducts()});
    stages.flops = 2.0 * static_cast<double>(t_.images * t_.outputs * t_.height * t_.width) *
                   static_cast<double>(t_.inputs * kKernel * kKernel);
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

  template <typename Store>
  static Stmt ForEachLane(int64_t block, const Store& store) {
    const Var lane = loop::MakeVar("lane", block);
    return loop::For(lane, store(Expr(lane)));
  }

  /// `to` = L d L^T for every tile and block of `channels`, where `line` computes an element of L
  /// times a line of d, which has `extent` elements, and `read` reads d.
  template <typename Transform, typename Read>
  Stmt TransformTiles(const loop::Buffer& to, int64_t channels, int64_t width, int64_t extent,
                      const Transform& line, const Read& read) const {
    const int64_t blocks = channels / width;
    const Var piece = loop::MakeVar("piece", t_.images * blocks * t_.rows);
    const Var column = loop::MakeVar("column", t_.columns);
    const Expr row = loop::FloorMod(piece, t_.rows);
    const Expr block = loop::FloorMod(loop::FloorDiv(piece, t_.rows), blocks);
    const Expr image = loop::FloorDiv(piece, t_.rows * blocks);
    const Expr tile =
        block * t_.tiles() + image * (t_.rows * t_.columns) + row * t_.columns + Expr(column);
    const loop::Buffer half = loop::MakeBuffer("half", ElementType::kF32, {t_.span, extent, width});
    std::vector<Stmt> body;
    for (int64_t j = 0; j < extent; ++j) {
      for (int64_t i = 0; i < t_.span; ++i) {
        body.push_back(ForEachLane(width, [&](const Expr& lane) {
          const auto element = [&](int64_t k) {
            return read(image, block * width + lane, row * t_.m + k, Expr(column) * t_.m + j);
          };
          return loop::Store(half, {i, j, lane}, line(element)[i]);
        }));
      }
    }
    for (int64_t i = 0; i < t_.span; ++i) {
      for (int64_t j = 0; j < t_.span; ++j) {
        body.push_back(ForEachLane(width, [&](const Expr& lane) {
          const auto element = [&](int64_t k) { return loop::Load(half, {i, k, lane}); };
          return loop::Store(to, {Place(i, j), tile, lane}, line(element)[j]);
        }));
      }
    }
    return loop::For(piece, loop::LoopKind::kParallel,
                     loop::For(column, loop::Alloc(half, loop::Block(std::move(body)))));
  }

  Stmt TransformImages() const {
    const auto line = [&](const auto& element) {
      Line d;
      for (int64_t k = 0; k < t_.span; ++k) d[k] = element(k);
      return TransformInput(t_.span, d);
    };
    return TransformTiles(
        v_, t_.inputs, in_block_, t_.span, line,
        [&](const Expr& image, const Expr& channel, const Expr& row, const Expr& column) {
          return ReadImage(context_, x_, zeros_,
                           {image, channel, row - t_.pads_low[0], column - t_.pads_low[1]});
        });
  }

  Stmt TransformGradients() const {
    const auto line = [&](const auto& element) {
      std::array<Expr, kMaxTile> y;
      for (int64_t k = 0; k < t_.m; ++k) y[k] = element(k);
      return SpreadOutput(t_.span, t_.m, y);
    };
    return TransformTiles(
        m_, t_.outputs, out_block_, t_.m, line,
        [&](const Expr& image, const Expr& channel, const Expr& row, const Expr& column) {
          Expr inside;
          if (t_.height % t_.m != 0) inside = AndAlso(inside, Lt(row, t_.height));
          if (t_.width % t_.m != 0) inside = AndAlso(inside, Lt(column, t_.width));
          return Guard(inside, context_.read(1, {image, channel, row, column}),
                       loop::Const(ElementType::kF32, 0));
        });
  }

  Stmt Multiply() const {
    const Var place = loop::MakeVar("place", t_.span * t_.span);
    const Var in_block = loop::MakeVar("in_block", t_.inputs / in_block_);
    const Var out_block = loop::MakeVar("out_block", t_.outputs / out_block_);
    const Var c = loop::MakeVar("c", in_block_), lane = loop::MakeVar("lane", out_block_);
    const Var tile = loop::MakeVar("tile", t_.tiles());
    const Expr v = loop::Load(v_, {place, Expr(in_block) * t_.tiles() + Expr(tile), c});
    const Expr m = loop::Load(m_, {place, Expr(out_block) * t_.tiles() + Expr(tile), lane});
    Stmt stmt = loop::Store(du_, {place, out_block, Expr(in_block) * in_block_ + Expr(c), lane},
                            loop::Reduce(loop::ReduceOp::kSum, {tile}, v * m));
    for (const Var& var : {lane, c, in_block, out_block, place}) stmt = loop::For(var, stmt);
    return stmt;
  }

  Stmt TransformProducts() const {
    const Var piece = loop::MakeVar("piece", t_.outputs / out_block_ * t_.inputs);
    const Expr block = loop::FloorDiv(piece, t_.inputs), c = loop::FloorMod(piece, t_.inputs);
    const loop::Buffer half =
        loop::MakeBuffer("half", ElementType::kF32, {kKernel, t_.span, out_block_});
    const auto line = [&](const auto& element) {
      Line u;
      for (int64_t k = 0; k < t_.span; ++k) u[k] = element(k);
      return GatherWeights(t_.span, u);
    };
    std::vector<Stmt> body;
    for (int64_t j = 0; j < t_.span; ++j) {
      for (int64_t i = 0; i < kKernel; ++i) {
        body.push_back(ForEachLane(out_block_, [&](const Expr& lane) {
          const auto element = [&](int64_t k) {
            return loop::Load(du_, {Place(k, j), block, c, lane});
          };
          return loop::Store(half, {i, j, lane}, line(element)[i]);
        }));
      }
    }
    for (int64_t i = 0; i < kKernel; ++i) {
      for (int64_t j = 0; j < kKernel; ++j) {
        body.push_back(ForEachLane(out_block_, [&](const Expr& lane) {
          const auto element = [&](int64_t k) { return loop::Load(half, {i, k, lane}); };
          return context_.store({block * out_block_ + lane, c, i, j}, line(element)[j], {});
        }));
      }
    }
    return loop::For(piece, loop::LoopKind::kParallel,
                     loop::Alloc(half, loop::Block(std::move(body))));
  }

  const Tiling t_;
  const TensorType x_;
  const std::vector<Layout::Padding> zeros_;
  const StageContext& context_;
  const int64_t in_block_, out_block_;
  const loop::Buffer v_, m_, du_;
};

}  // namespace

std::vector<OpDef> WinogradGradientOps() {
  std::vector<OpDef> ops;
  ops.push_back(
      {.name = "winograd_weight_gradient",
       .doc = "conv_weight_gradient of a 3x3 convolution of stride 1 in Winograd's form, from x "
              "[N, C, H, W] and dy [N, O, h, w]: dw = G^T [sum over the tiles of m x m elements of "
              "dy of (B^T x B) * (A dy A^T)] G, [O, C, 3, 3]. Around x, pads_low before it and "
              "behind it as far as whole tiles reach, zeros are read. A NaN or infinity spreads "
              "over its tile.",
       .operands = {{"x"}, {"dy"}},
       .attributes = {{"pads_low", Attribute::Kind::kInts, Attribute(std::vector<int64_t>{0, 0}),
                       "padding above and left of x"},
                      {"tile", Attribute::Kind::kInt, {}, "m, 2 or 4"}},
       .traits = kContraction,
       .infer = InferGradient,
       .evaluate = EvaluateGradient,
       .stages = [](const Op& op, const StageContext& context) -> StatusOr<Stages> {
         return GradientStages(op, context).Build();
       },
       .zeros_read = [](const Op& op) { return ZerosAround(op.operand(0)->shape(), TilingOf(op)); },
       .no_gradient = "convolutions take this form after they have been differentiated"});
  return ops;
}

}  // namespace kiln
