#include "compiler/schedule/tile.h"

#include <algorithm>

#include "compiler/schedule/access.h"
#include "ir/loop/affine.h"

namespace kiln {

using loop::Expr;
using loop::ExprKind;
using loop::LoopKind;
using loop::Stmt;
using loop::Var;
using loop::Variable;

namespace {

/// How badly the loads of `nest` suit lanes along `var`: those that are neither contiguous nor the
/// same for all lanes.
int StridedLoads(const Nest& nest, const Variable* var) {
  int strided = 0;
  for (const Expr& load : CollectLoads(nest.value)) {
    const Linear form = AddressForm(load->buffer, load->args);
    const int64_t step = form.Coefficient(var);
    if (form.irregular.contains(var) || (step != 0 && step != 1)) ++strided;
  }
  return strided;
}

/// True when the reduction reads contiguously along its innermost variable where `var` would have
/// to gather: then a dot product is better than lanes along `var`.
bool PrefersDotProduct(const Nest& nest, const Variable* var, int64_t lanes) {
  const Expr reduce = FindReduce(nest.value);
  if (!reduce.defined()) return false;
  const Variable* const inner = reduce->reduce_vars.back().get();
  if (inner->extent < lanes) return false;
  bool any_strided = false;
  for (const Expr& load : CollectLoads(reduce->args[0])) {
    const Linear form = AddressForm(load->buffer, load->args);
    const int64_t step = form.Coefficient(inner);
    if (form.irregular.contains(inner) || (step != 0 && step != 1)) return false;
    const int64_t lane_step = form.Coefficient(var);
    if (form.irregular.contains(var) || (lane_step != 0 && lane_step != 1)) any_strided = true;
  }
  return any_strided;
}

/// Whether `expr` asks at some place of `var` what it reads: ops that look at neighbours in it do
/// so at the ends.
bool IsGuardedAlong(const Expr& expr, const Variable* var) {
  bool guarded = false;
  loop::Walk(expr, [&](const Expr& node) {
    guarded |= node->kind == ExprKind::kSelect && loop::Uses(node->args[0], var);
  });
  return guarded;
}

/// The loop whose neighbours a copy from rows a page or more apart should take along: the loop
/// around the vectors goes from row to row, steps of this one read on in the same row. Null when
/// there is none.
Var LoopAlongRows(const Nest& nest, const Var& vector) {
  const auto around = std::find_if(nest.loops.rbegin(), nest.loops.rend(),
                                   [&](const Var& var) { return var != vector; });
  if (around == nest.loops.rend()) return {};
  for (const Expr& load : CollectLoads(nest.value)) {
    const Linear form = AddressForm(load->buffer, load->args);
    const int64_t bytes = ByteSize(load.type());
    if (form.Coefficient(vector.get()) != 1 ||
        form.Coefficient(around->get()) * bytes < kPageBytes) {
      continue;
    }
    for (const Var& var : nest.loops) {
      if (form.Coefficient(var.get()) == vector->extent && !form.irregular.contains(var.get())) {
        return var;
      }
    }
  }
  return {};
}

}  // namespace

int64_t WidestLane(const Nest& nest) {
  int64_t bytes = ByteSize(nest.buffer->element);
  const auto visit = [&](const Expr& node) {
    if (node.type() != ElementType::kI64 || node->kind == ExprKind::kLoad) {
      bytes = std::max(bytes, ByteSize(node.type()));
    }
  };
  loop::Walk(nest.value, visit);
  return bytes;
}

Var ChooseVectorLoop(const Nest& nest, int64_t lanes) {
  const Linear store = AddressForm(nest.buffer, nest.indices);
  Var best;
  for (const Var& var : nest.loops) {
    if (store.irregular.contains(var.get()) || store.Coefficient(var.get()) != 1) continue;
    if (var->extent < 2 || PrefersDotProduct(nest, var.get(), lanes)) continue;
    if (!best || StridedLoads(nest, var.get()) < StridedLoads(nest, best.get())) best = var;
  }
  return best;
}

Tile VectorTile(const Nest& nest, const Var& var, const Target& target) {
  Tile tile;
  tile.lanes = std::max(target.Lanes(WidestLane(nest)), 1);
  tile.loops.push_back({var, tile.lanes, true});
  return tile;
}

Tile ChooseTile(const Nest& nest, const Target& target) {
  const int64_t lanes = target.Lanes(WidestLane(nest));
  if (lanes < 2 || nest.loops.empty()) return {};
  const Var vector = ChooseVectorLoop(nest, lanes);
  if (!vector) return {};
  Tile tile;
  tile.lanes = lanes;
  const Expr reduce = FindReduce(nest.value);
  if (reduce.defined()) {
    const int64_t vectors = vector->extent / lanes;
    const bool fits = vectors > 1 && vectors <= target.vector_registers / 2;
    if (fits && IsGuardedAlong(nest.value, vector.get())) {
      // In a tile of the whole loop the ends stand at fixed places, and between them nothing is
      // asked.
      tile.loops.push_back({vector, vectors * lanes, true});
      return tile;
    }
    // Several independent chains at once hide the latency of one.
    constexpr int64_t kChains = 4;
    const bool is_product = reduce->args[0]->kind == ExprKind::kBinary;
    if (vectors > 1 && !is_product) {
      // Pools with neighbours among the lanes: whole runs of memory, one after the other.
      const int64_t runs = (vectors + 2 * kChains - 1) / (2 * kChains);
      tile.loops.push_back({vector, (vectors + runs - 1) / runs * lanes, true});
      return tile;
    }
    // Depthwise convolutions, pools: neighbours share what they read.
    const Var neighbour = LongestLoop(nest, [&](const Var& var) { return var != vector; });
    if (neighbour) {
      tile.loops.push_back({neighbour, std::min<int64_t>(neighbour->extent, kChains), false});
    }
  } else if (const Var row = LoopAlongRows(nest, vector)) {
    constexpr int64_t kLines = 8;
    tile.loops.push_back({row, std::min(row->extent, kLines), false});
  }
  tile.loops.push_back({vector, lanes, true});
  return tile;
}

namespace {

/// Emits the loops of a tiled nest from the outside in.
class TiledEmitter {
 public:
  TiledEmitter(const Nest& nest, const Tile& tile, bool parallel)
      : nest_(nest), tile_(tile), parallel_(parallel) {
    for (const Var& var : nest.loops) {
      const TileLoop* found = nullptr;
      for (const TileLoop& loop : tile.loops) {
        if (loop.var == var) found = &loop;
      }
      levels_.push_back({var, found});
    }
  }

  std::vector<Stmt> Emit() {
    parallel_levels_ = CountParallelLevels();
    EmitSections(0, {}, {});
    return std::move(sections_);
  }

 private:
  struct Level {
    Var var;
    const TileLoop* tile;  // null: a plain loop
  };
  /// A tile loop in the part of the nest being emitted: which of its iterations a tile covers.
  struct Inner {
    const TileLoop* tile;
    Var var;  // of extent size, in the whole part, or the rest, at the edge
  };
  struct Context {
    std::map<const Variable*, Expr> values;
    std::vector<Inner> inner;
  };
  /// One of the two parts of a level: `count` steps of `size` iterations from `start` on.
  struct Part {
    int64_t start, count, size;
  };

  /// Whole tiles; at the edge the whole vectors of what is left (or all of it, for another loop);
  /// then the lanes that do not fill a vector.
  std::vector<Part> PartsOf(const Level& level) const {
    const int64_t extent = level.var->extent;
    if (level.tile == nullptr) return {{0, extent, 1}};
    const int64_t unit = level.tile->vector ? tile_.lanes : 1;
    std::vector<Part> parts;
    int64_t start = 0;
    for (const int64_t size :
         {level.tile->size, (extent % level.tile->size) / unit * unit, extent % unit}) {
      if (size == 0 || extent - start < size) continue;
      const int64_t count = (extent - start) / size;
      parts.push_back({start, count, size});
      start += count * size;
    }
    return parts;
  }

  /// Enough leading levels for a few dozen pieces of work, and never the last tile of all.
  size_t CountParallelLevels() const {
    if (!parallel_) return 0;
    int64_t pieces = 1;
    size_t count = 0;
    while (count < std::min(levels_.size(), tile_.free_loops) && pieces < 64) {
      const std::vector<Part> parts = PartsOf(levels_[count]);
      // An edge becomes a section of its own, which reads again what the whole tiles have read.
      if (pieces >= 16 && parts.size() > 1) break;
      pieces *= parts[0].count;
      ++count;
    }
    return count;
  }

  /// `step` is the number of the step within the part.
  static void Bind(const Level& level, const Part& part, const Expr& step, Context& context) {
    Expr value = Expr(part.start) + step * part.size;
    if (level.tile != nullptr) {
      const Var inner = loop::MakeVar(level.var->name + "t", part.size);
      value = value + Expr(inner);
      context.inner.push_back({level.tile, inner});
    }
    context.values[level.var.get()] = value;
  }

  /// One section for every combination of whole and edge parts of the parallel levels.
  void EmitSections(size_t level, std::vector<Part> parts, const Context& context) {
    if (level < parallel_levels_) {
      for (const Part& part : PartsOf(levels_[level])) {
        std::vector<Part> extended = parts;
        extended.push_back(part);
        EmitSections(level + 1, extended, context);
      }
      return;
    }
    int64_t total = 1;
    for (const Part& part : parts) total *= part.count;
    const Var joined = loop::MakeVar("p", total);
    Context bound = context;
    int64_t below = total;
    for (size_t i = 0; i < parts.size(); ++i) {
      below /= parts[i].count;
      Expr step = loop::FloorDiv(joined, below);
      if (i > 0) step = loop::FloorMod(step, parts[i].count);
      Bind(levels_[i], parts[i], loop::Simplify(step), bound);
    }
    Stmt body = EmitLevel(parallel_levels_, bound);
    if (total > 1) {
      body = loop::For(joined, LoopKind::kParallel, body);
    } else {
      body = loop::MapExprs(body, [&](const Expr& expr) {
        return loop::Simplify(loop::Substitute(expr, {{joined.get(), Expr(0)}}));
      });
    }
    sections_.push_back(body);
  }

  Stmt EmitLevel(size_t level, const Context& context) {
    if (level == levels_.size()) return EmitTile(context);
    std::vector<Stmt> parts;
    for (const Part& part : PartsOf(levels_[level])) {
      const Var step = loop::MakeVar(levels_[level].var->name, part.count);
      Context bound = context;
      Bind(levels_[level], part, part.count == 1 ? Expr(0) : Expr(step), bound);
      Stmt body = EmitLevel(level + 1, bound);
      parts.push_back(part.count == 1 ? body : loop::For(step, body));
    }
    return parts.size() == 1 ? parts[0] : loop::Block(std::move(parts));
  }

  /// Every tile binds variables of its own: one level's part may stand around several tiles.
  static Var Fresh(const Var& var, int64_t extent, std::map<const Variable*, Expr>& renamed) {
    const Var fresh = loop::MakeVar(var->name, extent);
    renamed[var.get()] = Expr(fresh);
    return fresh;
  }

  /// Unrolled loops around the vector loop around the store.
  Stmt EmitTile(const Context& context) {
    std::map<const Variable*, Expr> values = context.values;
    std::vector<std::pair<Var, LoopKind>> loops;
    std::map<const Variable*, Expr> renamed;
    Var lanes;
    // In the order of the tile, not of the nest: a row's broadcast is used up before the next row's
    // is read, so that the accumulators do not have to share the registers with all of them.
    std::vector<Inner> in_order = context.inner;
    std::ranges::sort(in_order, {}, &Inner::tile);  // pointers into one vector
    for (const Inner& inner : in_order) {
      if (!inner.tile->vector) {
        if (inner.var->extent == 1) {
          renamed[inner.var.get()] = Expr(0);
        } else {
          loops.emplace_back(Fresh(inner.var, inner.var->extent, renamed), LoopKind::kUnroll);
        }
        continue;
      }
      const int64_t vectors = inner.var->extent / tile_.lanes;
      if (vectors > 1 && inner.var->extent % tile_.lanes == 0) {
        const Var block = loop::MakeVar(inner.var->name + "b", vectors);
        lanes = loop::MakeVar(inner.var->name + "l", tile_.lanes);
        loops.emplace_back(block, LoopKind::kUnroll);
        renamed[inner.var.get()] = Expr(block) * tile_.lanes + Expr(lanes);
      } else {
        lanes = Fresh(inner.var, inner.var->extent, renamed);
      }
    }
    if (lanes) loops.emplace_back(lanes, LoopKind::kVector);
    for (auto& [var, value] : values) value = loop::Substitute(value, renamed);
    Stmt stmt = SubstituteVars(nest_, values).StoreStmt();
    for (size_t i = loops.size(); i-- > 0;) stmt = loop::For(loops[i].first, loops[i].second, stmt);
    return stmt;
  }

  const Nest& nest_;
  const Tile& tile_;
  bool parallel_;
  std::vector<Level> levels_;
  size_t parallel_levels_ = 0;
  std::vector<Stmt> sections_;
};

}  // namespace

std::vector<Stmt> EmitTiled(const Nest& nest, const Tile& tile, bool parallel) {
  return TiledEmitter(nest, tile, parallel).Emit();
}

}  // namespace kiln
