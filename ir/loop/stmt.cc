#include "ir/loop/stmt.h"

#include <unordered_map>

#include "ir/loop/printer.h"
#include "ir/support/strings.h"

namespace kiln::loop {

namespace {

Stmt MakeNode(StmtNode node) { return std::make_shared<const StmtNode>(std::move(node)); }

/// Prints a kernel with its variables and buffers numbered in the order of their appearance.
class KernelPrinter {
 public:
  std::string Print(const Kernel& kernel) {
    out_ = "kernel(";
    PrintBuffers(kernel.inputs, "in");
    out_ += ") -> (";
    PrintBuffers(kernel.outputs, "out");
    out_ += ")\n";
    PrintStmt(*kernel.body, 1);
    return std::move(out_);
  }

 private:
  void PrintBuffers(const std::vector<Buffer>& buffers, std::string_view prefix) {
    for (size_t i = 0; i < buffers.size(); ++i) {
      if (i != 0) out_ += ", ";
      PrintBuffer(buffers[i], StrCat(prefix, i));
    }
  }

  void PrintBuffer(const Buffer& buffer, std::string name) {
    out_ += StrCat(name, ": ", Name(buffer->element), FormatInts(buffer->shape));
    // A buffer that is also an input keeps that name: the kernel works in place.
    buffers_.emplace(buffer.get(), std::move(name));
  }

  void PrintStmt(const StmtNode& stmt, int depth) {
    if (stmt.kind == StmtKind::kBlock) {
      for (const Stmt& part : stmt.body) PrintStmt(*part, depth);
      return;
    }
    out_.append(2 * depth, ' ');
    if (stmt.kind == StmtKind::kStore) return PrintStore(stmt);
    if (stmt.kind == StmtKind::kFor) {
      out_ += StrCat(Name(stmt.loop), " ", VariableName(stmt.var.get()), ":", stmt.var->extent);
    } else {
      out_ += "alloc ";
      PrintBuffer(stmt.buffer, StrCat("local", locals_++));
    }
    out_ += " {\n";
    PrintStmt(*stmt.body[0], depth + 1);
    out_.append(2 * depth, ' ');
    out_ += "}\n";
  }

  void PrintStore(const StmtNode& stmt) {
    out_ += BufferName(stmt.buffer.get()) + "[";
    for (size_t i = 0; i < stmt.indices.size(); ++i) {
      if (i != 0) out_ += ", ";
      out_ += PrintExpr(stmt.indices[i]);
    }
    out_ += "] = " + PrintExpr(stmt.value);
    if (stmt.predicate.defined()) out_ += " if " + PrintExpr(stmt.predicate);
    out_ += "\n";
  }

  std::string PrintExpr(const Expr& expr) {
    return kiln::loop::Print(expr,
                             {[this](const Variable* var) { return VariableName(var); },
                              [this](const BufferDecl* buffer) { return BufferName(buffer); }});
  }

  std::string VariableName(const Variable* var) {
    return StrCat("i", variables_.emplace(var, variables_.size()).first->second);
  }

  std::string BufferName(const BufferDecl* buffer) {
    const auto found = buffers_.find(buffer);
    return found == buffers_.end() ? "?" + buffer->name : found->second;
  }

  std::string out_;
  int locals_ = 0;
  std::unordered_map<const Variable*, size_t> variables_;
  std::unordered_map<const BufferDecl*, std::string> buffers_;
};

}  // namespace

std::string_view Name(LoopKind kind) {
  switch (kind) {
    case LoopKind::kSerial: return "for";
    case LoopKind::kParallel: return "parallel";
    case LoopKind::kUnroll: return "unroll";
    case LoopKind::kVector: return "vector";
  }
  return "";
}

Stmt For(Var var, LoopKind kind, Stmt body) {
  return MakeNode(
      {.kind = StmtKind::kFor, .var = std::move(var), .loop = kind, .body = {std::move(body)}});
}

Stmt Store(Buffer buffer, std::vector<Expr> indices, Expr value, Expr predicate) {
  return MakeNode({.kind = StmtKind::kStore,
                   .buffer = std::move(buffer),
                   .indices = std::move(indices),
                   .value = std::move(value),
                   .predicate = std::move(predicate)});
}

Stmt Block(std::vector<Stmt> body) {
  return MakeNode({.kind = StmtKind::kBlock, .body = std::move(body)});
}

Stmt Alloc(Buffer buffer, Stmt body) {
  return MakeNode(
      {.kind = StmtKind::kAlloc, .buffer = std::move(buffer), .body = {std::move(body)}});
}

std::string ToString(const Kernel& kernel) { return KernelPrinter().Print(kernel); }

Stmt MapExprs(const Stmt& stmt, const std::function<Expr(const Expr&)>& rewrite_expr) {
  StmtNode node = *stmt;
  for (Expr& index : node.indices) index = rewrite_expr(index);
  if (node.value.defined()) node.value = rewrite_expr(node.value);
  if (node.predicate.defined()) node.predicate = rewrite_expr(node.predicate);
  for (Stmt& part : node.body) part = MapExprs(part, rewrite_expr);
  return MakeNode(std::move(node));
}

}  // namespace kiln::loop
