// The text of loop-IR expressions under a chosen naming of variables and buffers.
#pragma once

#include <functional>
#include <string>

#include "ir/loop/expr.h"

namespace kiln::loop {

struct Naming {
  std::function<std::string(const Variable*)> variable;
  std::function<std::string(const BufferDecl*)> buffer;
};

/// A large subexpression that occurs more than once is written `(t0 = ...)` the first time and
/// `t0` from then on, so the text stays linear in the number of nodes.
std::string Print(const Expr& expr, const Naming& naming);

}  // namespace kiln::loop
