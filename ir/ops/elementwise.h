// Elementwise ops: one row each. A row's formula, a scalar expression over the operands, is both
// the reference evaluation and what is compiled, so that the two cannot disagree on the equation;
// unit tests pin the values. Operands broadcast as in numpy.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "ir/graph/op_def.h"
#include "ir/ops/gradient.h"

namespace kiln {

/// The result of one element. `x` holds an expression for each operand, in the compute type of its
/// element type (f32 for f16 and bf16); the result is in the compute type of the op's.
using Formula = std::function<loop::Expr(const Op& op, std::span<const loop::Expr> x)>;

/// dL/d(operand), in the shape of the result: `at.dy()` times the partial derivative by operand
/// `at.k`. Broadcasting is undone by the op's gradient.
using Derivative = std::function<Term(const GradientSite& at)>;

/// The element types that a row takes (all operands alike unless `check` says otherwise).
enum class Accepts : uint8_t { kFloat, kNumeric, kInteger, kBool, kAny };

/// The row of an op; what is not named keeps its default.
struct ElementwiseRow {
  std::string name;
  std::string doc;
  std::vector<OperandDef> operands;
  Accepts accepts = Accepts::kNumeric;
  Formula formula;
  Derivative derivative = nullptr;  ///< or else `no_gradient` says why there is none
  uint32_t traits = 0;              ///< kElementwise is added
  std::vector<AttributeDef> attributes = {};
  /// The result's element type; none: that of the first operand.
  std::function<ElementType(const Op&)> result = nullptr;
  /// Checks attributes; replaces the check of operand types too when `accepts` is kAny.
  std::function<Status(const Op&)> check = nullptr;
  std::string no_gradient = "";
};

OpDef MakeElementwise(ElementwiseRow row);

/// A constant of the type of `like`.
loop::Expr ConstLike(const loop::Expr& like, double value);

/// A row's `result` for comparisons and tests.
inline ElementType BoolResult(const Op&) { return ElementType::kBool; }

}  // namespace kiln
