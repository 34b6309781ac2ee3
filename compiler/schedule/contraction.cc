#include "compiler/schedule/contraction.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <span>

#include "compiler/schedule/access.h"

namespace kiln {

using loop::Expr;
using loop::Var;
using loop::Variable;

namespace {

// A fused multiply-add takes 4 cycles and two can start in each: fewer than this many independent
// accumulators of full-width vectors leave the units idle.
constexpr double kLatencySteps = 4;
// Loop control and pointer steps of one tile's reduction step.
constexpr double kStepOverhead = 0.5;

double StepCost(int64_t rows, int64_t vectors) {
  return std::max({static_cast<double>(rows * vectors), static_cast<double>(rows + vectors),
                   kLatencySteps}) +
         kStepOverhead;
}

/// The loop whose iterations are a tile's rows: the innermost that `use` accepts, so that rows lie
/// close together, unless it is too short for a tile and another is longer.
template <typename Predicate>
Var RowLoop(const Nest& nest, const Predicate& use) {
  constexpr int64_t kEnough = 6;
  const Var longest = LongestLoop(nest, use);
  return !longest ? longest
                  : *std::find_if(nest.loops.rbegin(), nest.loops.rend(), [&](const Var& var) {
                      return use(var) && var->extent >= std::min(longest->extent, kEnough);
                    });
}

constexpr int64_t kWays = 8;  // of the L1 cache

/// How many walks through `expr`, `step` iterations of `var` apart, find their lines in the L1
/// cache when each has `ways` ways to itself: walks whose distance is a multiple of a way's size
/// share one set.
int64_t WalksInCache(const Expr& expr, const Variable* var, int64_t step, int64_t ways,
                     const Target& target) {
  const int64_t way = target.l1_bytes / kWays;
  int64_t walks = std::numeric_limits<int64_t>::max();
  for (const Expr& load : CollectLoads(expr)) {
    const int64_t distance =
        step * AddressForm(load->buffer, load->args).Coefficient(var) * ByteSize(load.type());
    if (distance == 0) continue;
    walks = std::min(walks, ways * way / std::gcd(distance, way));
  }
  return walks;
}

/// How many rows of the factor that is read as broadcasts fit side by side into the L1 cache.
int64_t RowsInCache(const Contraction& contraction, const Target& target) {
  return WalksInCache(contraction.across, contraction.row.get(), 1, kWays - 1, target);
}

/// How many vectors of the other factor arrive from memory side by side. What is fetched ahead
/// wants as much room again.
int64_t StreamsInCache(const Contraction& contraction, const Target& target) {
  if (contraction.second == nullptr) return 1;
  const int64_t step = contraction.second == contraction.vector ? contraction.lanes : 1;
  return WalksInCache(contraction.along, contraction.second.get(), step, kWays / 2, target);
}

/// The bytes that `expr` reads, each place once, while `loops` and the reduction run.
double BytesRead(const Expr& expr, std::span<const Var> loops, const Expr& reduce) {
  double bytes = static_cast<double>(ByteSize(expr.type()));
  for (const auto& list : {loops, std::span<const Var>(reduce->reduce_vars)}) {
    for (const Var& var : list) {
      if (loop::Uses(expr, var.get())) bytes *= static_cast<double>(var->extent);
    }
  }
  return bytes;
}

/// Whether the result of `nest` should be written row by row and not panel by panel: it is larger
/// than the L2 cache, its rows lie a page or more apart, and all panels of `along` fit into the
/// cache. That is an outer product, whose time is that of its result.
bool WritesRowByRow(const Nest& nest, const Contraction& contraction, const Expr& reduce,
                    const Target& target) {
  constexpr double kShareOfL2 = 3. / 4;
  if (contraction.row == nullptr || contraction.second != contraction.vector) return false;
  const Linear store = AddressForm(nest.buffer, nest.indices);
  const int64_t element = ByteSize(nest.buffer->element);
  return store.Coefficient(contraction.row.get()) * element >= kPageBytes &&
         ElementCount(nest.buffer->shape) * element > target.l2_bytes &&
         BytesRead(contraction.along, nest.loops, reduce) <=
             kShareOfL2 * static_cast<double>(target.l2_bytes);
}

}  // namespace

double CoverCost(int64_t row_extent, int64_t vector_extent, const TileShape& shape) {
  double cost = 0;
  for (const auto& [row_count, r] : {std::pair(row_extent / shape.rows, shape.rows),
                                     std::pair(int64_t{1}, row_extent % shape.rows)}) {
    for (const auto& [vector_count, v] : {std::pair(vector_extent / shape.vectors, shape.vectors),
                                          std::pair(int64_t{1}, vector_extent % shape.vectors)}) {
      if (r == 0 || v == 0) continue;
      cost += static_cast<double>(row_count * vector_count) * StepCost(r, v);
    }
  }
  return cost;
}

int64_t Contraction::vectors() const {
  if (second == nullptr) return 1;
  return second == vector ? (vector->extent + lanes - 1) / lanes : second->extent;
}

std::optional<Contraction> MatchContraction(const Nest& nest, const Target& target) {
  const Expr reduce = FindReduce(nest.value);
  if (!reduce.defined() || reduce->reduce != loop::ReduceOp::kSum) return std::nullopt;
  const Expr& body = reduce->args[0];
  if (body->kind != loop::ExprKind::kBinary || body->binary != loop::BinaryOp::kMul) {
    return std::nullopt;
  }
  const Expr &a = body->args[0], &b = body->args[1];
  if (CollectLoads(a).empty() || CollectLoads(b).empty()) return std::nullopt;
  Contraction contraction;
  contraction.lanes = target.Lanes(WidestLane(nest));
  if (contraction.lanes < 2) return std::nullopt;
  contraction.vector = ChooseVectorLoop(nest, contraction.lanes);
  if (!contraction.vector) return std::nullopt;
  const Var& vector = contraction.vector;
  const bool in_a = loop::Uses(a, vector.get());
  if (in_a && loop::Uses(b, vector.get())) return std::nullopt;
  contraction.along = in_a ? a : b;
  contraction.across = in_a ? b : a;
  const auto only = [&](const Expr& uses, const Expr& lacks) {
    return [&](const Var& var) {
      return var != vector && loop::Uses(uses, var.get()) && !loop::Uses(lacks, var.get());
    };
  };
  contraction.row = RowLoop(nest, only(contraction.across, contraction.along));
  contraction.second = vector->extent >= 2 * contraction.lanes
                           ? vector
                           : LongestLoop(nest, only(contraction.along, contraction.across));
  return contraction;
}

std::vector<TileShape> RankTileShapes(const Contraction& contraction, const Target& target) {
  const int64_t row_extent = contraction.rows(), vector_extent = contraction.vectors();
  const int64_t most_rows =
      contraction.row == nullptr ? 1 : std::min(row_extent, RowsInCache(contraction, target));
  // One row uses each vector once, as it comes from memory.
  const int64_t streams = StreamsInCache(contraction, target);
  std::vector<std::pair<double, TileShape>> ranked;
  for (int64_t vectors = 1; vectors <= std::min<int64_t>(vector_extent, 8); ++vectors) {
    for (int64_t rows = 1; rows <= most_rows; ++rows) {
      const bool smallest = rows == 1 && vectors == 1;
      if (rows == 1 && vectors > streams) continue;
      if (!smallest && rows * vectors + vectors + 1 > target.vector_registers - 1) break;
      const TileShape shape{rows, vectors};
      ranked.push_back({CoverCost(row_extent, vector_extent, shape), shape});
    }
  }
  std::ranges::stable_sort(ranked, {}, [](const auto& entry) { return entry.first; });
  std::vector<TileShape> shapes;
  for (const auto& [cost, shape] : ranked) shapes.push_back(shape);
  return shapes;
}

Tile ContractionTile(const Contraction& contraction, const TileShape& shape) {
  const bool split_vector = contraction.second == contraction.vector;
  const int64_t rows = std::min(shape.rows, contraction.rows());
  const int64_t vectors = std::min(shape.vectors, contraction.vectors());
  Tile tile;
  tile.lanes = contraction.lanes;
  if (rows > 1) tile.loops.push_back({contraction.row, rows, false});
  if (vectors > 1 && !split_vector) tile.loops.push_back({contraction.second, vectors, false});
  tile.loops.push_back(
      {contraction.vector, split_vector ? vectors * contraction.lanes : contraction.lanes, true});
  return tile;
}

Nest OrderLoops(const Nest& nest, const Contraction& contraction, const Target& target) {
  std::vector<Var> shared, panels, rows;
  for (const Var& var : nest.loops) {
    const bool in_along = loop::Uses(contraction.along, var.get());
    const bool in_across = loop::Uses(contraction.across, var.get());
    (in_along == in_across ? shared : in_along ? panels : rows).push_back(var);
  }
  // So many of the outer rows (images of a batch) stay outside that the others pass from the cache.
  constexpr double kShareOfL3 = 1. / 8;
  const Expr reduce = FindReduce(nest.value);
  size_t outside = 0;
  while (outside + 1 < rows.size() &&
         BytesRead(contraction.across, std::span(rows).subspan(outside), reduce) >
             kShareOfL3 * static_cast<double>(target.l3_bytes)) {
    ++outside;
  }
  if (WritesRowByRow(nest, contraction, reduce, target)) outside = rows.size();
  const auto inside = rows.begin() + static_cast<std::ptrdiff_t>(outside);
  Nest ordered = nest;
  ordered.loops = shared;
  ordered.loops.insert(ordered.loops.end(), rows.begin(), inside);
  ordered.loops.insert(ordered.loops.end(), panels.begin(), panels.end());
  ordered.loops.insert(ordered.loops.end(), inside, rows.end());
  return ordered;
}

}  // namespace kiln
