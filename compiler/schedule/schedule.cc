#include "compiler/schedule/schedule.h"

#include <algorithm>
#include <unordered_map>

#include "compiler/schedule/access.h"
#include "compiler/schedule/dot_product.h"
#include "compiler/schedule/nest.h"
#include "compiler/schedule/split_sum.h"
#include "compiler/schedule/tile.h"
#include "ir/loop/affine.h"

namespace kiln {

using loop::Buffer;
using loop::Expr;
using loop::ExprKind;
using loop::Kernel;
using loop::LoopKind;
using loop::Stmt;
using loop::StmtKind;
using loop::Var;

namespace {

/// Gives every buffer of a kernel one dimension, and every access one index. Only so can two loops
/// over different dimensions become one.
class Flattener {
 public:
  Kernel Run(const Kernel& kernel) {
    Kernel flat;
    flat.name = kernel.name;
    for (const Buffer& buffer : kernel.inputs) flat.inputs.push_back(Flat(buffer));
    for (const Buffer& buffer : kernel.outputs) flat.outputs.push_back(Flat(buffer));
    flat.body = Rewrite(kernel.body);
    return flat;
  }

 private:
  Buffer Flat(const Buffer& buffer) {
    Buffer& flat = flat_[buffer.get()];
    if (!flat)
      flat = loop::MakeBuffer(buffer->name, buffer->element, {ElementCount(buffer->shape)});
    return flat;
  }

  static Expr Offset(const Buffer& buffer, const std::vector<Expr>& indices) {
    const std::vector<int64_t> strides = RowMajorStrides(buffer->shape);
    Expr sum(0);
    for (size_t d = 0; d < indices.size(); ++d) sum = sum + indices[d] * Expr(strides[d]);
    return loop::Simplify(sum);
  }

  Expr Rewrite(const Expr& expr) {
    return loop::Transform(expr, [&](const Expr& node) {
      if (node->kind != ExprKind::kLoad) return node;
      return loop::Load(Flat(node->buffer), {Offset(node->buffer, node->args)});
    });
  }

  Stmt Rewrite(const Stmt& stmt) {
    switch (stmt->kind) {
      case StmtKind::kFor: return loop::For(stmt->var, stmt->loop, Rewrite(stmt->body[0]));
      case StmtKind::kAlloc: return loop::Alloc(Flat(stmt->buffer), Rewrite(stmt->body[0]));
      case StmtKind::kBlock: {
        std::vector<Stmt> body;
        for (const Stmt& part : stmt->body) body.push_back(Rewrite(part));
        return loop::Block(std::move(body));
      }
      case StmtKind::kStore: break;
    }
    std::vector<Expr> indices;
    for (const Expr& index : stmt->indices) indices.push_back(Rewrite(index));
    return loop::Store(Flat(stmt->buffer), {Offset(stmt->buffer, indices)}, Rewrite(stmt->value),
                       stmt->predicate.defined() ? Rewrite(stmt->predicate) : Expr());
  }

  std::unordered_map<const loop::BufferDecl*, Buffer> flat_;
};

/// True when the iterations of `var` may run at once: each stores to its own place, and reads of
/// the stored buffer are of that place only.
bool IterationsAreIndependent(const Nest& nest, const Var& var) {
  const Linear store = AddressForm(nest.buffer, nest.indices);
  if (store.irregular.contains(var.get()) || store.Coefficient(var.get()) != 1) return false;
  std::vector<Expr> loads = CollectLoads(nest.value);
  if (nest.predicate.defined()) {
    for (const Expr& load : CollectLoads(nest.predicate)) loads.push_back(load);
  }
  for (const Expr& load : loads) {
    if (load->buffer != nest.buffer) continue;
    if (loop::ToString(load->args[0]) != loop::ToString(nest.indices[0])) return false;
  }
  return true;
}

bool AllSerial(const Stmt& stmt) {
  return stmt->kind != StmtKind::kFor ||
         (stmt->loop == LoopKind::kSerial && AllSerial(stmt->body[0]));
}

/// The parts of a nest whose iterations may run in any order, ready for tiling; none when there is
/// an order to keep: the op wrote more than a nest, or one that reads what it writes.
std::vector<Nest> FreeNests(const Stmt& section) {
  const auto nest = AllSerial(section) ? MatchNest(section) : std::nullopt;
  if (!nest || nest->predicate.defined()) return {};
  for (const Expr& load : CollectLoads(nest->value)) {
    if (load->buffer == nest->buffer) return {};
  }
  for (const Expr& index : nest->indices) {
    if (!CollectLoads(index).empty()) return {};
  }
  std::vector<Nest> nests;
  for (const Nest& part : SplitBlockedLoops(DropUnitLoops(*nest))) {
    nests.push_back(CollapseLoops(DropUnitLoops(part)));
  }
  return nests;
}

/// The tiled statements of a nest that is free of order. With `parallel` one for each section.
std::vector<Stmt> ScheduleNest(const Nest& nest, const Target& target, const TileShape* shape,
                               bool parallel) {
  const auto contraction = MatchContraction(nest, target);
  if (!contraction) {
    if (const auto product = MatchDotProduct(nest, target)) {
      return EmitTiled(product->nest, product->tile, parallel);
    }
    return EmitTiled(nest, ChooseTile(nest, target), parallel);
  }
  const auto shape_of = [&](const Contraction& matched) {
    return shape != nullptr ? *shape : RankTileShapes(matched, target)[0];
  };
  if (const auto split = SplitSum(nest, *contraction, target)) {
    std::vector<Stmt> sections;
    Tile tile = ContractionTile(split->contraction, shape_of(split->contraction));
    tile.free_loops = 1;
    for (const Nest& part : split->nests) {
      for (Stmt& stmt : EmitTiled(part, tile, parallel)) {
        sections.push_back(std::move(stmt));
      }
    }
    return sections;
  }
  const TileShape best = shape_of(*contraction);
  return EmitTiled(OrderLoops(nest, *contraction, target), ContractionTile(*contraction, best),
                   parallel);
}

/// The contractions that `stmt`, a loop nest free of order, consists of; none when it has other
/// parts.
std::vector<Nest> Contractions(const Stmt& stmt, const Target& target) {
  std::vector<Nest> nests = FreeNests(stmt);
  const bool all = std::ranges::all_of(
      nests, [&](const Nest& nest) { return MatchContraction(nest, target).has_value(); });
  return all ? nests : std::vector<Nest>();
}

/// Vectorises the innermost loops of a statement that an op wrote as a nest of its own, and tiles
/// the contractions in it. Its order stays as it is.
Stmt ScheduleInside(const Stmt& stmt, const Target& target, const TileShape* shape) {
  if (stmt->kind == StmtKind::kStore) return stmt;
  if (const auto nests = Contractions(stmt, target); !nests.empty()) {
    std::vector<Stmt> tiled;
    for (const Nest& nest : nests) {
      for (Stmt& part : ScheduleNest(nest, target, shape, /*parallel=*/false)) {
        tiled.push_back(std::move(part));
      }
    }
    return loop::Block(std::move(tiled));
  }
  if (stmt->kind == StmtKind::kFor && stmt->loop == LoopKind::kSerial &&
      stmt->body[0]->kind == StmtKind::kStore && stmt->var->extent > 1) {
    const auto nest = MatchNest(stmt);
    if (nest && IterationsAreIndependent(*nest, stmt->var)) {
      const Tile tile = VectorTile(*nest, stmt->var, target);
      if (tile.lanes > 1) return EmitTiled(*nest, tile, /*parallel=*/false)[0];
    }
    return stmt;
  }
  std::vector<Stmt> body;
  for (const Stmt& inner : stmt->body) body.push_back(ScheduleInside(inner, target, shape));
  switch (stmt->kind) {
    case StmtKind::kFor: return loop::For(stmt->var, stmt->loop, body[0]);
    case StmtKind::kAlloc: return loop::Alloc(stmt->buffer, body[0]);
    default: return loop::Block(std::move(body));
  }
}

/// The first contraction in `stmt`, in the order in which ScheduleInside meets them.
std::optional<Contraction> FirstContraction(const Stmt& stmt, const Target& target) {
  if (stmt->kind == StmtKind::kStore) return std::nullopt;
  for (const Nest& nest : FreeNests(stmt)) {
    if (auto contraction = MatchContraction(nest, target)) return contraction;
  }
  for (const Stmt& inner : stmt->body) {
    if (auto contraction = FirstContraction(inner, target)) return contraction;
  }
  return std::nullopt;
}

bool HasEmptyLoop(const Stmt& stmt) {
  if (stmt->kind == StmtKind::kFor && stmt->var->extent == 0) return true;
  return stmt->kind == StmtKind::kFor && HasEmptyLoop(stmt->body[0]);
}

std::vector<Stmt> SectionsOf(const Stmt& body) {
  return body->kind == StmtKind::kBlock ? body->body : std::vector<Stmt>{body};
}

}  // namespace

Kernel Schedule(const Kernel& kernel, const Target& target, const TileShape* shape) {
  Kernel result = Flattener().Run(kernel);
  std::vector<Stmt> scheduled;
  for (const Stmt& section : SectionsOf(result.body)) {
    if (HasEmptyLoop(section)) continue;
    const std::vector<Nest> nests = FreeNests(section);
    if (nests.empty()) scheduled.push_back(ScheduleInside(section, target, shape));
    for (const Nest& nest : nests) {
      for (Stmt& stmt : ScheduleNest(nest, target, shape, /*parallel=*/true)) {
        scheduled.push_back(std::move(stmt));
      }
    }
  }
  result.body = loop::Block(std::move(scheduled));
  return result;
}

std::vector<TileShape> CandidateShapes(const Kernel& kernel, const Target& target, size_t count) {
  for (const Stmt& section : SectionsOf(Flattener().Run(kernel).body)) {
    if (HasEmptyLoop(section)) continue;
    const auto contraction = FirstContraction(section, target);
    if (!contraction) continue;
    std::vector<TileShape> shapes = RankTileShapes(*contraction, target);
    if (shapes.size() > count) shapes.resize(count);
    return shapes;
  }
  return {};
}

}  // namespace kiln
