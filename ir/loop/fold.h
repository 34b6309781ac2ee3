// Folding at construction: what Unary, Binary and Cast return instead of a new node.
// Only rules that hold for every value of the operands, NaN and signed zeros included.
#pragma once

#include <optional>

#include "ir/loop/expr.h"

namespace kiln::loop {

std::optional<Expr> FoldUnary(UnaryOp op, const Expr& a);
std::optional<Expr> FoldBinary(BinaryOp op, const Expr& a, const Expr& b);
std::optional<Expr> FoldCast(ElementType to, const Expr& a);

}  // namespace kiln::loop
