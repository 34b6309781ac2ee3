#include "ir/eval/loop_eval.h"

namespace kiln {

using loop::ExprKind;
using loop::ReduceOp;
using loop::StmtKind;

namespace {

loop::BinaryOp StepOf(ReduceOp op) {
  switch (op) {
    case ReduceOp::kSum: return loop::BinaryOp::kAdd;
    case ReduceOp::kProd: return loop::BinaryOp::kMul;
    case ReduceOp::kMin: return loop::BinaryOp::kMin;
    default: return loop::BinaryOp::kMax;
  }
}

// Finds the array behind `buffer` and the position of `indices` in it.
StatusOr<std::pair<Array*, int64_t>> Locate(const loop::Buffer& buffer,
                                            const std::vector<loop::Expr>& indices,
                                            const LoopEnvironment& environment) {
  const auto it = environment.buffers.find(buffer.get());
  if (it == environment.buffers.end()) {
    return InternalError("loop evaluator: buffer '", buffer->name, "' has no values");
  }
  if (indices.size() != buffer->shape.size()) {
    return InternalError("loop evaluator: '", buffer->name, "' takes ", buffer->shape.size(),
                         " indices, found ", indices.size());
  }
  int64_t offset = 0;
  for (size_t d = 0; d < indices.size(); ++d) {
    KILN_ASSIGN_OR_RETURN(const Scalar index, EvaluateExpr(indices[d], environment));
    if (index.i < 0 || index.i >= buffer->shape[d]) {
      return InternalError("loop evaluator: index ", index.i, " of dimension ", d, " of '",
                           buffer->name, "' is outside of ", FormatInts(buffer->shape));
    }
    offset = offset * buffer->shape[d] + index.i;
  }
  return std::make_pair(it->second, offset);
}

StatusOr<Scalar> EvaluateReduce(const loop::ExprNode& reduce, LoopEnvironment environment) {
  Shape extents;
  for (const loop::Var& var : reduce.reduce_vars) extents.push_back(var->extent);
  Scalar total = ConstantValue(*loop::NeutralElement(reduce.reduce, reduce.type));
  for (Index index(extents); index.valid(); index.Next()) {
    for (size_t d = 0; d < extents.size(); ++d) {
      environment.variables[reduce.reduce_vars[d].get()] = index[d];
    }
    KILN_ASSIGN_OR_RETURN(const Scalar term, EvaluateExpr(reduce.args[0], environment));
    total = ApplyBinary(StepOf(reduce.reduce), reduce.type, total, term);
  }
  return total;
}

Status ExecuteStore(const loop::StmtNode& store, LoopEnvironment& environment) {
  if (store.predicate.defined()) {
    KILN_ASSIGN_OR_RETURN(const Scalar active, EvaluateExpr(store.predicate, environment));
    if (active.i == 0) return OkStatus();
  }
  KILN_ASSIGN_OR_RETURN(const auto place, Locate(store.buffer, store.indices, environment));
  KILN_ASSIGN_OR_RETURN(const Scalar value, EvaluateExpr(store.value, environment));
  const auto& [array, offset] = place;
  if (array->is_float()) {
    array->floats[offset] = value.f;
  } else {
    array->ints[offset] = value.i;
  }
  return OkStatus();
}

}  // namespace

StatusOr<Scalar> EvaluateExpr(const loop::Expr& expr, const LoopEnvironment& environment) {
  const loop::ExprNode& node = *expr;
  switch (node.kind) {
    case ExprKind::kConst: return ConstantValue(node);
    case ExprKind::kVar: {
      const auto it = environment.variables.find(node.var.get());
      if (it != environment.variables.end()) return Scalar{.i = it->second};
      return InternalError("loop evaluator: variable '", node.var->name, "' has no value");
    }
    case ExprKind::kLoad: {
      KILN_ASSIGN_OR_RETURN(const auto place, Locate(node.buffer, node.args, environment));
      const auto& [array, offset] = place;
      if (array->is_float()) return Scalar{.f = array->floats[offset]};
      return Scalar{.i = array->ints[offset]};
    }
    case ExprKind::kReduce: return EvaluateReduce(node, environment);
    default: break;
  }
  KILN_ASSIGN_OR_RETURN(const Scalar a, EvaluateExpr(node.args[0], environment));
  const ElementType type = node.args[0].type();
  if (node.kind == ExprKind::kSelect) {
    return EvaluateExpr(node.args[a.i != 0 ? 1 : 2], environment);
  }
  if (node.kind == ExprKind::kUnary) return ApplyUnary(node.unary, type, a);
  if (node.kind == ExprKind::kCast) return ApplyCast(type, node.type, a);
  KILN_ASSIGN_OR_RETURN(const Scalar b, EvaluateExpr(node.args[1], environment));
  return ApplyBinary(node.binary, type, a, b);
}

Status Execute(const loop::Stmt& stmt, LoopEnvironment& environment) {
  switch (stmt->kind) {
    case StmtKind::kStore: return ExecuteStore(*stmt, environment);
    case StmtKind::kFor:
      for (int64_t i = 0; i < stmt->var->extent; ++i) {
        environment.variables[stmt->var.get()] = i;
        KILN_RETURN_IF_ERROR(Execute(stmt->body[0], environment));
      }
      return OkStatus();
    case StmtKind::kAlloc: {
      Array local(stmt->buffer->element, stmt->buffer->shape);
      environment.buffers[stmt->buffer.get()] = &local;
      const Status status = Execute(stmt->body[0], environment);
      environment.buffers.erase(stmt->buffer.get());
      return status;
    }
    case StmtKind::kBlock:
      for (const loop::Stmt& child : stmt->body) {
        KILN_RETURN_IF_ERROR(Execute(child, environment));
      }
      return OkStatus();
  }
  return OkStatus();
}

}  // namespace kiln
