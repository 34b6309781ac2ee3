#include "compiler/lower/in_place.h"

#include <algorithm>

namespace kiln {

namespace {

using loop::Expr;
using loop::ExprKind;
using loop::StmtKind;

/// Looks at every access of a kernel to two buffers that are to become one.
class AliasCheck {
 public:
  AliasCheck(const loop::Buffer& input, const loop::Buffer& output)
      : input_(input), output_(output) {}

  /// `iterations` is how often `stmt` runs.
  bool Visit(const loop::StmtNode& stmt, int64_t iterations) {
    if (stmt.kind == StmtKind::kFor) iterations *= stmt.var->extent;
    if (stmt.kind == StmtKind::kStore && !VisitStore(stmt, iterations)) return false;
    return std::ranges::all_of(stmt.body,
                               [&](const loop::Stmt& inner) { return Visit(*inner, iterations); });
  }

  int64_t stores() const { return stores_; }

 private:
  bool VisitStore(const loop::StmtNode& store, int64_t iterations) {
    if (store.buffer == input_) return false;
    const bool to_output = store.buffer == output_;
    if (to_output) stores_ += iterations;
    if (to_output && store.predicate.defined()) return false;
    bool fine = true;
    const auto look = [&](const Expr& expr) {
      if (expr->kind != ExprKind::kLoad) return;
      if (expr->buffer == output_) fine = false;
      if (expr->buffer == input_) fine &= to_output && SameIndex(expr->args, store.indices);
    };
    loop::Walk(store.value, look);
    for (const Expr& index : store.indices) loop::Walk(index, look);
    return fine;
  }

  static bool SameIndex(const std::vector<Expr>& a, const std::vector<Expr>& b) {
    return std::ranges::equal(a, b, [](const Expr& x, const Expr& y) { return loop::Equal(x, y); });
  }

  const loop::Buffer& input_;
  const loop::Buffer& output_;
  int64_t stores_ = 0;
};

}  // namespace

bool MayWriteOver(const loop::Kernel& kernel, size_t input) {
  if (kernel.outputs.empty() || kernel.body == nullptr) return false;
  const loop::Buffer& from = kernel.inputs[input];
  const loop::Buffer& to = kernel.outputs[0];
  if (from->shape != to->shape || ByteSize(from->element) != ByteSize(to->element)) return false;
  AliasCheck check(from, to);
  // With fewer stores than elements some are never written, with more some are written twice.
  return check.Visit(*kernel.body, 1) && check.stores() == ElementCount(to->shape);
}

}  // namespace kiln
