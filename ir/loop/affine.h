// Affine forms and ranges of index expressions, and the simplification built on them.
//
// Invariants: only i64 expressions have forms and ranges; a loop variable lies in [0, extent). No
// rule assumes that arithmetic on unbounded values (loaded i64 data) does not wrap: quotients,
// remainders and comparisons are only rewritten where the operands' ranges are known.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "ir/loop/expr.h"

namespace kiln::loop {

/// All values from min to max, both included; the ends saturate at +-kUnbounded.
struct Range {
  static constexpr int64_t kUnbounded = int64_t{1} << 62;
  int64_t min = -kUnbounded;
  int64_t max = kUnbounded;

  bool bounded() const { return min > -kUnbounded && max < kUnbounded; }
  bool operator==(const Range&) const = default;
};

/// A range that holds every value of the i64 expression.
Range RangeOf(const Expr& expr);

/// constant + sum of coefficient * atom. An atom is a variable or a subexpression that is not
/// affine; no two atoms are equal and no coefficient is 0.
struct Affine {
  struct Term {
    Expr atom;
    int64_t coefficient;
  };
  int64_t constant = 0;
  std::vector<Term> terms;  ///< in the order of their first appearance

  /// *this += scale * other.
  void Add(const Affine& other, int64_t scale = 1);
  void Add(const Expr& atom, int64_t coefficient);
  /// 0 when the variable is no atom (it may still occur inside one).
  int64_t CoefficientOf(const Variable* var) const;
  bool IsConstant() const { return terms.empty(); }
};

Affine ToAffine(const Expr& expr);
Expr FromAffine(const Affine& affine);
Range RangeOf(const Affine& affine);

/// The expression with its index arithmetic put in affine form, quotients and remainders by
/// constants resolved where ranges allow ((16*a + r) // 16 is a for 0 <= r < 16), and comparisons,
/// min, max and select folded where ranges decide.
Expr Simplify(const Expr& expr);

}  // namespace kiln::loop
