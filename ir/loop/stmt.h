// Loop IR statements and kernels: loop nests that store expressions to buffers.
//
// A kernel's body is a Block of sections, run one after another; each section is usually a parallel
// For. Inner loops marked kUnroll and kVector directly around a Store form its *tile*: the code
// generator keeps one accumulator a tile element in registers across the whole reduction, and
// stores the tile once. At most one loop of a nest is kVector, and it is innermost.
//
// Invariants (checked by Verify): variables are bound once and used inside their loop only; a
// kParallel loop is outermost in its section; the iterations of a parallel loop write disjoint
// elements; Alloc'd buffers are at most kMaxLocalBytes and live on the stack.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ir/loop/expr.h"
#include "ir/support/status.h"

namespace kiln::loop {

inline constexpr int64_t kMaxLocalBytes = 16384;

enum class LoopKind : uint8_t { kSerial, kParallel, kUnroll, kVector };
enum class StmtKind : uint8_t { kFor, kStore, kBlock, kAlloc };
std::string_view Name(LoopKind kind);

struct StmtNode;
using Stmt = std::shared_ptr<const StmtNode>;

struct StmtNode {
  StmtKind kind;
  // kFor
  Var var;
  LoopKind loop = LoopKind::kSerial;
  // kStore; kAlloc: the local buffer
  Buffer buffer;
  std::vector<Expr> indices;
  Expr value;
  Expr predicate;  ///< kStore: may be undefined; nothing is stored (nor loaded) where it is false
  // kFor and kAlloc: one; kBlock: any number
  std::vector<Stmt> body;
};

Stmt For(Var var, LoopKind kind, Stmt body);
inline Stmt For(Var var, Stmt body) {
  return For(std::move(var), LoopKind::kSerial, std::move(body));
}
Stmt Store(Buffer buffer, std::vector<Expr> indices, Expr value, Expr predicate = {});
Stmt Block(std::vector<Stmt> body);
Stmt Alloc(Buffer buffer, Stmt body);

/// A function from buffers to buffers. Two kernels with equal ToString() are one kernel.
struct Kernel {
  std::string name;  ///< for people: not part of its identity
  std::vector<Buffer> inputs;
  std::vector<Buffer> outputs;  ///< usually one
  Stmt body;
};

/// Text for people and for hashing: buffers, variables and locals are renamed canonically
/// (in0.., out0.., i0..), so that equal kernels print equally.
std::string ToString(const Kernel& kernel);

/// Checks the invariants above.
Status Verify(const Kernel& kernel);

/// Rebuilds a statement: `rewrite_expr` is applied to every expression (indices, values,
/// predicates); substitution of loop variables goes through it.
Stmt MapExprs(const Stmt& stmt, const std::function<Expr(const Expr&)>& rewrite_expr);

}  // namespace kiln::loop
