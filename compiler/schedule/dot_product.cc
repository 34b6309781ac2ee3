#include "compiler/schedule/dot_product.h"

#include <algorithm>

#include "compiler/schedule/access.h"
#include "compiler/schedule/contraction.h"

namespace kiln {

namespace {

using loop::Expr;
using loop::ExprKind;
using loop::Var;

/// Whether everything that `factor` reads is contiguous along `step`.
bool IsContiguous(const Expr& factor, const loop::Variable* step) {
  const std::vector<Expr> loads = CollectLoads(factor);
  return !loads.empty() && std::ranges::all_of(loads, [&](const Expr& load) {
    const Linear form = AddressForm(load->buffer, load->args);
    return !form.irregular.contains(step) && form.Coefficient(step) == 1;
  });
}

/// The shape whose partial sums, vectors and one more fit the registers at the lowest cost.
TileShape BestShape(int64_t rows, int64_t columns, const Target& target) {
  TileShape best;
  double least = CoverCost(rows, columns, best);
  for (int64_t v = 1; v <= columns; ++v) {
    for (int64_t r = 1; r <= rows && r * v + v + 1 < target.vector_registers; ++r) {
      const double cost = CoverCost(rows, columns, {r, v});
      if (cost >= least) continue;
      least = cost;
      best = {r, v};
    }
  }
  return best;
}

}  // namespace

std::optional<DotProduct> MatchDotProduct(const Nest& nest, const Target& target) {
  const Expr reduce = FindReduce(nest.value);
  if (!reduce.defined() || reduce->reduce != loop::ReduceOp::kSum) return std::nullopt;
  const Expr& body = reduce->args[0];
  if (body->kind != ExprKind::kBinary || body->binary != loop::BinaryOp::kMul) return std::nullopt;
  const Var& step = reduce->reduce_vars.back();
  if (step->extent < target.Lanes(WidestLane(nest))) return std::nullopt;
  if (!IsContiguous(body->args[0], step.get()) || !IsContiguous(body->args[1], step.get())) {
    return std::nullopt;
  }
  const auto longest = [&](const Expr& uses, const Expr& lacks) {
    return LongestLoop(nest, [&](const Var& var) {
      return loop::Uses(uses, var.get()) && !loop::Uses(lacks, var.get());
    });
  };
  Var row = longest(body->args[0], body->args[1]), column = longest(body->args[1], body->args[0]);
  if (!row || !column) return std::nullopt;
  if (row->extent > column->extent) std::swap(row, column);
  DotProduct product{nest, {}};
  std::erase_if(product.nest.loops, [&](const Var& var) { return var == row || var == column; });
  product.nest.loops.push_back(column);
  product.nest.loops.push_back(row);
  const TileShape shape = BestShape(row->extent, column->extent, target);
  if (shape.rows > 1) product.tile.loops.push_back({row, shape.rows, false});
  if (shape.vectors > 1) product.tile.loops.push_back({column, shape.vectors, false});
  return product;
}

}  // namespace kiln
