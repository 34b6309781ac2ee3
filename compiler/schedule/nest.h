// Nest: a perfect loop nest around one store, and the transformations that prepare it for tiling.
// Each keeps what the nest computes. Buffers are flat (one dimension), see Flatten in schedule.cc.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "ir/loop/stmt.h"

namespace kiln {

struct Nest {
  std::vector<loop::Var> loops;  ///< outermost first
  loop::Buffer buffer;
  std::vector<loop::Expr> indices;
  loop::Expr value;
  loop::Expr predicate;  ///< may be undefined

  /// The nest as a statement of serial loops.
  loop::Stmt ToStmt() const;
  loop::Stmt StoreStmt() const { return loop::Store(buffer, indices, value, predicate); }
  bool Empty() const;
};

/// `stmt` as a nest, if it is one.
std::optional<Nest> MatchNest(const loop::Stmt& stmt);

/// Replaces variables everywhere and simplifies.
Nest SubstituteVars(const Nest& nest, const std::map<const loop::Variable*, loop::Expr>& values);

/// Loops and reduction variables of extent 1 become 0.
Nest DropUnitLoops(const Nest& nest);

/// Splits loops and reduction variables that occur under a division or remainder by a constant B
/// into (extent/B, B), so that blocked layouts give linear addresses. A loop whose extent B does
/// not divide gives two nests; such a reduction variable stays as it is.
std::vector<Nest> SplitBlockedLoops(const Nest& nest);

/// Joins adjacent loops (and adjacent reduction variables) that every access walks as one.
Nest CollapseLoops(const Nest& nest);

/// The one reduction in `expr`; none when there is no reduction or more than one.
loop::Expr FindReduce(const loop::Expr& expr);

}  // namespace kiln
