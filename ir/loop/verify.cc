#include <unordered_set>
#include <utility>

#include "ir/loop/stmt.h"
#include "ir/support/strings.h"

namespace kiln::loop {

namespace {

bool IsStorageOnly(ElementType type) {
  return type == ElementType::kF16 || type == ElementType::kBF16;
}

class Verifier {
 public:
  Status Run(const Kernel& kernel) {
    for (const Buffer& buffer : kernel.inputs) KILN_RETURN_IF_ERROR(Declare(buffer));
    for (const Buffer& buffer : kernel.outputs) KILN_RETURN_IF_ERROR(Declare(buffer));
    if (kernel.body == nullptr) return Broken("the kernel has no body");
    if (kernel.body->kind != StmtKind::kBlock) return CheckStmt(*kernel.body, true);
    for (const Stmt& section : kernel.body->body) KILN_RETURN_IF_ERROR(CheckStmt(*section, true));
    return OkStatus();
  }

 private:
  template <typename... Pieces>
  static Status Broken(const Pieces&... pieces) {
    return InternalError("loop IR: ", pieces...);
  }

  Status Declare(const Buffer& buffer) {
    KILN_RETURN_IF_ERROR(CheckedByteSize(buffer->element, buffer->shape).status());
    buffers_.insert(buffer.get());
    return OkStatus();
  }

  Status Bind(const Var& var) {
    if (var->extent < 0) return Broken("the extent of ", var->name, " is negative");
    if (!bound_.insert(var.get()).second) return Broken("variable ", var->name, " is bound twice");
    live_.insert(var.get());
    return OkStatus();
  }

  Status CheckStmt(const StmtNode& stmt, bool top) {
    switch (stmt.kind) {
      case StmtKind::kStore: return CheckStore(stmt);
      case StmtKind::kBlock:
        for (const Stmt& part : stmt.body) KILN_RETURN_IF_ERROR(CheckStmt(*part, false));
        return OkStatus();
      case StmtKind::kFor: return CheckFor(stmt, top);
      case StmtKind::kAlloc: return CheckAlloc(stmt);
    }
    return OkStatus();
  }

  Status CheckFor(const StmtNode& stmt, bool top) {
    const StmtNode& body = *stmt.body[0];
    const std::string& name = stmt.var->name;
    KILN_RETURN_IF_ERROR(Bind(stmt.var));
    if (stmt.loop == LoopKind::kParallel) {
      if (!top) return Broken("parallel loop ", name, " is not outermost");
      if (stmt.var->extent > 1) parallel_ = stmt.var.get();
    }
    if (stmt.loop == LoopKind::kVector && body.kind != StmtKind::kStore) {
      return Broken("vector loop ", name, " is not innermost");
    }
    if (stmt.loop == LoopKind::kUnroll && body.kind != StmtKind::kStore &&
        !(body.kind == StmtKind::kFor &&
          (body.loop == LoopKind::kUnroll || body.loop == LoopKind::kVector))) {
      return Broken("unrolled loop ", name, " is not part of a tile");
    }
    const Status status = CheckStmt(body, false);
    live_.erase(stmt.var.get());
    if (parallel_ == stmt.var.get()) parallel_ = nullptr;
    return status;
  }

  Status CheckAlloc(const StmtNode& stmt) {
    KILN_RETURN_IF_ERROR(Declare(stmt.buffer));
    if (ElementCount(stmt.buffer->shape) * ByteSize(stmt.buffer->element) > kMaxLocalBytes) {
      return Broken("local buffer ", stmt.buffer->name, " is too large");
    }
    locals_.insert(stmt.buffer.get());
    const Status status = CheckStmt(*stmt.body[0], false);
    buffers_.erase(stmt.buffer.get());
    return status;
  }

  Status CheckStore(const StmtNode& stmt) {
    checked_.clear();
    KILN_RETURN_IF_ERROR(CheckAccess(stmt.buffer, stmt.indices));
    if (stmt.predicate.defined()) {
      KILN_RETURN_IF_ERROR(CheckExpr(stmt.predicate));
      if (stmt.predicate.type() != ElementType::kBool) return Broken("a predicate is not bool");
    }
    if (stmt.value.type() != stmt.buffer->element) {
      return Broken("a value of ", Name(stmt.value.type()), " is stored to ", stmt.buffer->name,
                    " of ", Name(stmt.buffer->element));
    }
    if (parallel_ != nullptr && locals_.count(stmt.buffer.get()) == 0 && !WritesApart(stmt)) {
      return Broken("the iterations of ", parallel_->name, " write one element of ",
                    stmt.buffer->name);
    }
    // Where a value of a storage-only type may stand: directly under the store.
    return stmt.value->kind == ExprKind::kCast && IsStorageOnly(stmt.value.type())
               ? CheckArithmetic(stmt.value->args[0])
               : CheckExpr(stmt.value);
  }

  bool WritesApart(const StmtNode& stmt) const {
    for (const Expr& index : stmt.indices) {
      if (Uses(index, parallel_)) return true;
    }
    return stmt.predicate.defined() && Uses(stmt.predicate, parallel_);
  }

  Status CheckAccess(const Buffer& buffer, const std::vector<Expr>& indices) {
    if (buffers_.count(buffer.get()) == 0) return Broken("unknown buffer ", buffer->name);
    if (indices.size() != buffer->shape.size()) {
      return Broken(indices.size(), " indices for ", buffer->name, " of rank ",
                    buffer->shape.size());
    }
    for (const Expr& index : indices) {
      if (index.type() != ElementType::kI64) return Broken("an index is not i64");
      KILN_RETURN_IF_ERROR(CheckExpr(index));
    }
    return OkStatus();
  }

  /// `expr` is a value of a type that can be computed with.
  Status CheckArithmetic(const Expr& expr) {
    if (IsStorageOnly(expr.type())) return Broken("arithmetic on ", Name(expr.type()));
    return CheckExpr(expr);
  }

  Status CheckExpr(const Expr& expr) {
    const bool may_repeat = expr.shared() && !expr->args.empty();
    if (may_repeat && !checked_.insert(expr.get()).second) return OkStatus();
    switch (expr->kind) {
      case ExprKind::kVar:
        if (live_.count(expr->var.get()) == 0) {
          return Broken("variable ", expr->var->name, " is used outside its loop");
        }
        return OkStatus();
      case ExprKind::kLoad: return CheckAccess(expr->buffer, expr->args);
      case ExprKind::kCast:
        if (IsStorageOnly(expr->type)) return Broken("a cast to ", Name(expr->type), " inside");
        if (expr->args[0]->kind == ExprKind::kLoad) return CheckExpr(expr->args[0]);
        return CheckArithmetic(expr->args[0]);
      case ExprKind::kReduce: return CheckReduce(*expr);
      default: return CheckOperands(*expr);
    }
  }

  Status CheckOperands(const ExprNode& node) {
    for (const Expr& arg : node.args) KILN_RETURN_IF_ERROR(CheckArithmetic(arg));
    if (node.kind == ExprKind::kBinary && node.args[0].type() != node.args[1].type()) {
      return Broken("operands of ", Name(node.args[0].type()), " and ", Name(node.args[1].type()),
                    " of ", Name(node.binary));
    }
    if (node.kind == ExprKind::kSelect &&
        (node.args[0].type() != ElementType::kBool || node.args[1].type() != node.args[2].type())) {
      return Broken("a select of ", Name(node.args[1].type()), " and ", Name(node.args[2].type()),
                    " on ", Name(node.args[0].type()));
    }
    return OkStatus();
  }

  Status CheckReduce(const ExprNode& node) {
    if (node.type == ElementType::kBool && node.reduce != ReduceOp::kMin &&
        node.reduce != ReduceOp::kMax) {
      return Broken("a ", Name(node.reduce), " of bool");
    }
    for (const Var& var : node.reduce_vars) {
      // A reduction that two expressions share binds its variables at each place.
      if (live_.count(var.get()) != 0) return Broken("variable ", var->name, " is bound twice");
      if (var->extent < 0) return Broken("the extent of ", var->name, " is negative");
      live_.insert(var.get());
    }
    // What was checked outside is checked again here, where other variables are live.
    const auto checked_outside = std::exchange(checked_, {});
    const Status status = CheckArithmetic(node.args[0]);
    checked_ = checked_outside;
    for (const Var& var : node.reduce_vars) live_.erase(var.get());
    return status;
  }

  std::unordered_set<const BufferDecl*> buffers_;
  std::unordered_set<const BufferDecl*> locals_;
  std::unordered_set<const Variable*> bound_;
  std::unordered_set<const Variable*> live_;
  std::unordered_set<const ExprNode*> checked_;  // in the present scope: shared nodes count once
  const Variable* parallel_ = nullptr;
};

}  // namespace

Status Verify(const Kernel& kernel) { return Verifier().Run(kernel); }

}  // namespace kiln::loop
