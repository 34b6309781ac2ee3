// OpDef: everything Kiln knows about one kind of op, in one place (ir/ops/).
//
// Exactly one of element, nest, stages and decompose tells how the op computes; `evaluate` is the
// naive reference, written apart from it (a composite needs none: its decomposition is
// interpreted). Elementwise ops are the exception: one scalar expression serves both (see
// elementwise.h).
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ir/eval/array.h"
#include "ir/graph/builder.h"
#include "ir/graph/graph.h"
#include "ir/loop/stmt.h"
#include "ir/support/status.h"

namespace kiln {

/// What passes ask for instead of names.
enum Trait : uint32_t {
  kElementwise = 1 << 0,  ///< result[i] depends on operand[i] only (numpy broadcasting allowed)
  kCommutative = 1 << 1,  ///< two operands, order does not matter
  kContraction = 1 << 2,  ///< sum of products: conv, matmul
  kReduction = 1 << 3,    ///< reduces over axes
  kMovement = 1 << 4,     ///< moves or repeats elements, computes nothing: slice, transpose, ...
  kView = 1 << 5,         ///< result is the operand's bytes under another shape: reshape
  kLeaf = 1 << 6,         ///< no operands: input, parameter, constant
  kRegion = 1 << 7,       ///< has a body
  kExpensive = 1 << 8,    ///< elementwise, but worth computing once (exp, pow, erf, ...)
};

struct OperandDef {
  std::string name;
  bool variadic = false;  ///< the last operand only: one or more
};

struct AttributeDef {
  std::string name;
  Attribute::Kind kind;
  std::optional<Attribute> default_value;  ///< none: required
  std::string doc;
};

/// Reads operand `k` at a logical index while an op is lowered. Values of type f16 and bf16 come
/// as f32. Under fusion this is the expression of the op that makes the operand.
using Reader = std::function<loop::Expr(size_t k, const std::vector<loop::Expr>& index)>;

/// What a nest is written against: whole buffers, row-major.
struct NestContext {
  std::vector<loop::Buffer> operands;
  loop::Buffer result;
  /// Load of an operand or the result, with f16 and bf16 widened to f32.
  loop::Expr Load(const loop::Buffer& buffer, std::vector<loop::Expr> index) const;
  /// Store with the value narrowed to the buffer's type.
  loop::Stmt Store(const loop::Buffer& buffer, std::vector<loop::Expr> index, loop::Expr value,
                   loop::Expr predicate = {}) const;
};

/// What stages are written against: logical indices, whatever the layouts.
struct StageContext {
  Reader read;
  /// Applies the epilogue to the op's value at a logical index and stores the result there, where
  /// the predicate (may be undefined) holds.
  std::function<loop::Stmt(const std::vector<loop::Expr>& index, loop::Expr value,
                           loop::Expr predicate)>
      store;
  /// Channels (dimension 1) of operand `k`, of the result for -1, that lie side by side or are best
  /// treated together; divides their number.
  std::function<int64_t(int k)> ChannelBlock;
};

/// An op computed in several stages through scratch memory.
struct Stages {
  std::vector<loop::Buffer> scratch;  ///< written before they are read; contents die with the op
  loop::Stmt body;                    ///< a block of sections; parallel loops where they are safe
  double flops = 0;  ///< arithmetic of the op's definition, not of the way it is computed
};

struct OpDef {
  std::string name;
  std::string doc;  ///< one paragraph, with the defining equation
  std::vector<OperandDef> operands;
  std::vector<AttributeDef> attributes;
  uint32_t traits = 0;

  /// The result's type from operands and attributes; errors name what was expected and found.
  /// Must check every attribute and shape it relies on: this is the gate for hostile models.
  std::function<StatusOr<TensorType>(const Op&)> infer;
  /// The oracle: naive, double precision. `result` has the op's type and is zero-filled.
  std::function<Status(const Op&, std::span<const Array* const> operands, Array& result)> evaluate;
  /// Primitive, pure: the value of one result element. Can be inlined into its users.
  std::function<loop::Expr(const Op&, const Reader&, const std::vector<loop::Expr>& index)> element;
  /// Primitive with an order or with several steps (softmax, cumsum, scatter): a loop nest.
  std::function<StatusOr<loop::Stmt>(const Op&, const NestContext&)> nest;
  /// Primitive that is computed in stages (Winograd convolution) and still takes an epilogue.
  std::function<StatusOr<Stages>(const Op&, const StageContext&)> stages;
  /// How far around operand 0 the op reads zeros as if they were elements; null for nowhere. Where
  /// the operand's layout has them, they are read from memory.
  std::function<std::vector<Layout::Padding>(const Op&)> zeros_read;
  /// Composite: the same thing in other ops.
  std::function<StatusOr<Op*>(Builder&, const Op&)> decompose;

  /// How the op is differentiated: from `dy`, the gradient of a scalar with respect to the result,
  /// builds that with respect to operand `k`, of its element type and shape. Asked only where both
  /// are floats. kZeroGradient: the derivative is 0 wherever there is one. See ir/ops/gradient.h.
  std::function<StatusOr<Op*>(Builder&, Op& op, size_t k, Op* dy)> gradient;
  /// Why there is no `gradient`: "its result is a position". A composite may have neither: it is
  /// differentiated through its decomposition.
  std::string no_gradient;
};

/// What OpDef::gradient returns for an operand that the result does not depend on smoothly.
inline constexpr Op* kZeroGradient = nullptr;

/// nullptr when there is no op of that name.
const OpDef* FindOp(std::string_view name);
/// Every op, by name.
const std::vector<const OpDef*>& AllOps();

}  // namespace kiln
