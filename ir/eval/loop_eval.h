// The reference evaluator of the loop IR: a naive tree walk in double precision. It is what element
// functions, nests and generated code are tested against. Every access outside a buffer is an
// error, also in code that a compiled kernel would run without noticing.
#pragma once

#include <map>

#include "ir/eval/array.h"
#include "ir/eval/scalar.h"
#include "ir/loop/stmt.h"

namespace kiln {

/// What expressions and statements refer to. The arrays have the buffers' element types and shapes.
struct LoopEnvironment {
  std::map<const loop::Variable*, int64_t> variables;
  std::map<const loop::BufferDecl*, Array*> buffers;
};

/// The value of `expr`. The untaken side of a select is not evaluated.
StatusOr<Scalar> EvaluateExpr(const loop::Expr& expr, const LoopEnvironment& environment);

/// Runs `stmt`; loops of every kind run in order. Local buffers start as zeros.
Status Execute(const loop::Stmt& stmt, LoopEnvironment& environment);

}  // namespace kiln
