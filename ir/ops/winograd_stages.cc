#include "ir/ops/winograd_stages.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "ir/ops/shape_util.h"
#include "ir/ops/window.h"
#include "ir/ops/winograd_tiles.h"

namespace kiln::winograd {

using loop::Expr;
using loop::LoopKind;
using loop::Stmt;
using loop::Var;

namespace {

/// How the stages go over the tiles: all of them at once, or so many rows of tiles at a time, or so
/// much of one row, that V and P stay in the second-level cache on their way from stage to stage.
///
/// Chunks are dealt out to slots, each with a scratch memory of its own, in which its chunks follow
/// one another: slots run in parallel, whatever the number of threads.
struct Chunks {
  // Tiles of a chunk, at least: enough that reading the weights anew in each costs little.
  static constexpr int64_t kTiles = 28;
  // V and P beyond this are worth the trouble: about a core's second-level cache.
  static constexpr int64_t kCacheBytes = 1 << 20;
  // Weights beyond this come from memory, once only.
  static constexpr int64_t kMostWeightBytes = 12 << 20;
  // Slots, at least: what several threads share evenly.
  static constexpr int64_t kSlots = 8;

  explicit Chunks(const Tiling& t) : rows(t.images * t.rows), columns(t.columns) {
    const int64_t bytes = t.span * t.span * static_cast<int64_t>(sizeof(float));
    if (t.tiles() * (t.inputs + t.outputs) * bytes <= kCacheBytes) return;
    if (t.inputs / t.groups * t.outputs * bytes > kMostWeightBytes) return;
    const int64_t few_rows = SmallestDivisor(rows, (kTiles + t.columns - 1) / t.columns, 1);
    const int64_t few_columns =
        t.columns >= 2 * kTiles ? SmallestDivisor(t.columns, kTiles, 1) : t.columns;
    const int64_t count = rows / few_rows * (t.columns / few_columns);
    if (count < kSlots) return;
    rows = few_rows;
    columns = few_columns;
    slots = SmallestDivisor(count, kSlots, count % 2 == 0 ? 2 : 1);
    per_slot = count / slots;
  }

  /// The smallest divisor of `n` from `least` on that is a multiple of `step`, a divisor of `n`.
  static int64_t SmallestDivisor(int64_t n, int64_t least, int64_t step) {
    int64_t divisor = std::min(least + (step - least % step) % step, n);
    while (n % divisor != 0) divisor += step;
    return divisor;
  }

  int64_t rows, columns;  ///< of tiles in a chunk
  int64_t per_slot = 1;   ///< chunks that follow one another
  int64_t slots = 1;
};

/// V lies as [place][channel block][tile][channel in block], P likewise: each place is a product of
/// a tiles-by-C and a C-by-O matrix whose loads and stores are whole vectors of channels. A few
/// rows of padding keep the places of one tile apart in the cache's sets.
class Convolution {
 public:
  Convolution(const Op& op, const StageContext& context)
      : t_(Tiling::OfConvolution(op)),
        x_(op.operand(0)->type()),
        zeros_(ZerosAround(x_.shape, t_)),
        context_(context),
        in_block_(std::gcd(context.ChannelBlock(0), t_.inputs / t_.groups)),
        out_block_(std::gcd(context.ChannelBlock(-1), t_.outputs / t_.groups)),
        chunks_(t_),
        v_(Scratch("v", t_.inputs, in_block_)),
        p_(Scratch("p", t_.outputs, out_block_)) {}

  Stages Build() const {
    Stages stages;
    stages.scratch = {v_, p_};
    stages.body = chunks_.slots == 1 ? AllAtOnce() : ChunkByChunk();
    stages.flops = 2.0 * static_cast<double>(t_.images * t_.outputs * t_.height * t_.width) *
                   static_cast<double>(t_.inputs / t_.groups * t_.kernel * t_.kernel);
    return stages;
  }

 private:
  using Line = std::array<Expr, kMaxSpan>;

  /// A chunk's place in the scratch memory and in the image.
  struct Chunk {
    Expr slot;
    Expr first_row, first_column;  ///< among the rows of tiles of all images
  };

  loop::Buffer Scratch(const char* name, int64_t channels, int64_t block) const {
    const int64_t rows = channels / block * chunk_tiles();
    return loop::MakeBuffer(name, ElementType::kF32,
                            {chunks_.slots * t_.span * t_.span, rows + 1 - rows % 2, block});
  }

  int64_t chunk_tiles() const { return chunks_.rows * chunks_.columns; }

  /// Every stage over all tiles, a parallel loop each.
  Stmt AllAtOnce() const {
    const Chunk all{Expr(0), Expr(0), Expr(0)};
    return loop::Block({TransformInputs(all, LoopKind::kParallel), Multiply(all),
                        TransformOutputs(all, LoopKind::kParallel)});
  }

  Stmt ChunkByChunk() const {
    const Var slot = loop::MakeVar("slot", chunks_.slots);
    const Var step = loop::MakeVar("chunk", chunks_.per_slot);
    const Expr index = Expr(slot) * chunks_.per_slot + Expr(step);
    const int64_t in_row = t_.columns / chunks_.columns;
    const Chunk chunk{slot, loop::FloorDiv(index, in_row) * chunks_.rows,
                      loop::FloorMod(index, in_row) * chunks_.columns};
    const Stmt stages = loop::Block({TransformInputs(chunk, LoopKind::kSerial), Multiply(chunk),
                                     TransformOutputs(chunk, LoopKind::kSerial)});
    return loop::For(slot, LoopKind::kParallel, loop::For(step, stages));
  }

  /// A row of `v_` or `p_`: one tile and channel block.
  struct TilePlace {
    Expr slot, tile;
    Expr image, block, row, column;
  };

  Expr Place(const Expr& slot, const Expr& i, const Expr& j) const {
    return slot * (t_.span * t_.span) + i * t_.span + j;
  }

  Expr TileRow(const Expr& block, const Expr& tile) const { return block * chunk_tiles() + tile; }

  /// `body` for every row of tiles, channel block and tile column of a chunk. The first two are one
  /// loop: a tile row reads what its neighbour above has read.
  template <typename Body>
  Stmt ForEachTile(const Chunk& chunk, LoopKind kind, int64_t blocks, const Body& body) const {
    const int64_t rows = chunks_.slots == 1 ? t_.rows : chunks_.rows;  // beside one another
    const Var piece = loop::MakeVar("piece", chunks_.rows * blocks);
    const Var step = loop::MakeVar("column", chunks_.columns);
    const Expr column = chunk.first_column + Expr(step);
    const Expr block = loop::FloorMod(loop::FloorDiv(piece, rows), blocks);
    const Expr row = loop::FloorDiv(piece, rows * blocks) * rows + loop::FloorMod(piece, rows);
    const Expr image_row = chunk.first_row + row;
    return loop::For(piece, kind,
                     loop::For(step, body(TilePlace{chunk.slot, row * chunks_.columns + Expr(step),
                                                    loop::FloorDiv(image_row, t_.rows), block,
                                                    loop::FloorMod(image_row, t_.rows), column})));
  }

  template <typename Store>
  static Stmt ForEachLane(int64_t block, const Store& store) {
    const Var lane = loop::MakeVar("lane", block);
    return loop::For(lane, store(Expr(lane)));
  }

  Stmt TransformInputs(const Chunk& chunk, LoopKind kind) const {
    return ForEachTile(chunk, kind, t_.inputs / in_block_, [&](const TilePlace& at) {
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
                     return ReadImage(
                         context_, x_, zeros_,
                         {at.image, at.block * in_block_ + lane, at.row * t_.m + k - t_.pads_low[0],
                          at.column * t_.m + j - t_.pads_low[1]});
                   });
      }
      for (int64_t i = 0; i < t_.span; ++i) {
        store_line(
            [&](int64_t j, const Expr& lane, const Expr& value) {
              return loop::Store(v_, {Place(at.slot, i, j), TileRow(at.block, at.tile), lane},
                                 value);
            },
            [&](int64_t k, const Expr& lane) { return loop::Load(half, {i, k, lane}); });
      }
      return loop::Alloc(half, loop::Block(std::move(body)));
    });
  }

  Stmt Multiply(const Chunk& chunk) const {
    const Var i = loop::MakeVar("i", t_.span), j = loop::MakeVar("j", t_.span);
    const Var group = loop::MakeVar("group", t_.groups);
    const Var block = loop::MakeVar("block", t_.outputs / t_.groups / out_block_);
    const Var tile = loop::MakeVar("tile", chunk_tiles()), lane = loop::MakeVar("lane", out_block_);
    const Var co = loop::MakeVar("co", t_.inputs / t_.groups / in_block_);
    const Var ci = loop::MakeVar("ci", in_block_);
    const Expr place = Place(chunk.slot, i, j);
    const Expr in_block = Expr(group) * co->extent + Expr(co);
    const Expr out_block = Expr(group) * block->extent + Expr(block);
    const Expr v = loop::Load(v_, {place, TileRow(in_block, tile), ci});
    const Expr u = context_.read(
        1, {i, j, Expr(co) * in_block_ + Expr(ci), out_block * out_block_ + Expr(lane)});
    Stmt stmt = loop::Store(p_, {place, TileRow(out_block, tile), lane},
                            loop::Reduce(loop::ReduceOp::kSum, {co, ci}, v * u));
    for (const Var& var : {lane, tile, block, group, j, i}) stmt = loop::For(var, stmt);
    return stmt;
  }

  Stmt TransformOutputs(const Chunk& chunk, LoopKind kind) const {
    return ForEachTile(chunk, kind, t_.outputs / out_block_, [&](const TilePlace& at) {
      const loop::Buffer half =
          loop::MakeBuffer("half", ElementType::kF32, {t_.m, t_.span, out_block_});
      std::vector<Stmt> body;
      for (int64_t j = 0; j < t_.span; ++j) {
        for (int64_t i = 0; i < t_.m; ++i) {
          body.push_back(ForEachLane(out_block_, [&](const Expr& lane) {
            Line line;
            for (int64_t k = 0; k < t_.span; ++k) {
              line[k] = loop::Load(p_, {Place(at.slot, k, j), TileRow(at.block, at.tile), lane});
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
            const Expr y = at.row * t_.m + i, x = at.column * t_.m + j;
            return context_.store({at.image, at.block * out_block_ + lane, y, x},
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
  const Chunks chunks_;
  const loop::Buffer v_, p_;
};

/// u = G w G^T for every pair of channels, the outputs of a block side by side.
class Weights {
 public:
  Weights(const Op& op, const StageContext& context)
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

}  // namespace

Stages ConvolutionStages(const Op& op, const StageContext& context) {
  return Convolution(op, context).Build();
}

Stages WeightStages(const Op& op, const StageContext& context) {
  return Weights(op, context).Build();
}

}  // namespace kiln::winograd
