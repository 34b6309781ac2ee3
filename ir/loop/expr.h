// Loop IR expressions: immutable trees of scalar computation over loop variables and buffers.
//
// Invariants: index expressions are i64; the operands of a binary op have one type (comparisons
// give bool); a Load has one index per buffer dimension; select is lazy: a load in the branch not
// taken is never performed, so `select(in_bounds, load, pad)` is safe. f16 and bf16 appear only as
// the type of a Load, directly under a Cast: all arithmetic on them is done in f32.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ir/graph/type.h"

namespace kiln::loop {

/// A loop variable, i64, running over [0, extent). Identity is the pointer.
struct Variable {
  std::string name;
  int64_t extent;
};
using Var = std::shared_ptr<const Variable>;
Var MakeVar(std::string name, int64_t extent);

/// Memory that a kernel reads and writes, row-major over `shape` (which is the *physical* shape).
/// Identity is the pointer.
struct BufferDecl {
  std::string name;
  ElementType element;
  Shape shape;
};
using Buffer = std::shared_ptr<const BufferDecl>;
Buffer MakeBuffer(std::string name, ElementType element, Shape shape);

enum class ExprKind : uint8_t { kConst, kVar, kUnary, kBinary, kSelect, kCast, kLoad, kReduce };

enum class UnaryOp : uint8_t {
  kNeg,
  kNot,
  kBitNot,
  kAbs,
  kSign,
  kSqrt,
  kFloor,
  kCeil,
  kRound,
  kTrunc,  ///< kRound: half to even
  kExp,
  kExpm1,
  kLog,
  kLog1p,
  kSin,
  kCos,
  kTan,
  kAsin,
  kAcos,
  kAtan,
  kSinh,
  kCosh,
  kTanh,
  kAsinh,
  kAcosh,
  kAtanh,
  kErf,
  kSigmoid,
  kIsNan,
  kIsInf,
};

enum class BinaryOp : uint8_t {
  kAdd,
  kSub,
  kMul,
  kDiv,  ///< integer div truncates (0 divisor gives 0)
  kRem,  ///< sign of the dividend, as C's % and fmod (integer 0 divisor gives 0)
  kFloorDiv,
  kFloorMod,  ///< rounds towards minus infinity (Python's // and %)
  kMin,
  kMax,
  kPow,  ///< min and max pass NaN on
  kAnd,
  kOr,
  kXor,  ///< bitwise on integers, logical on bool
  kShl,
  kShr,  ///< shr is logical on unsigned, arithmetic on signed; >= width gives 0
  kEq,
  kNe,
  kLt,
  kLe,
  kGt,
  kGe,
};

enum class ReduceOp : uint8_t { kSum, kProd, kMin, kMax };

std::string_view Name(UnaryOp op);
std::string_view Name(BinaryOp op);
std::string_view Name(ReduceOp op);

struct ExprNode;

class Expr {
 public:
  Expr() = default;
  /// An i64 constant, so that index arithmetic reads naturally.
  Expr(int64_t value);
  Expr(int value) : Expr(int64_t{value}) {}
  Expr(const Var& var);
  explicit Expr(std::shared_ptr<const ExprNode> node) : node_(std::move(node)) {}

  bool defined() const { return node_ != nullptr; }
  const ExprNode& operator*() const { return *node_; }
  const ExprNode* operator->() const { return node_.get(); }
  const ExprNode* get() const { return node_.get(); }
  /// Whether something else holds the node too. In a walk over trees that nobody changes, a node
  /// that is not shared is met once.
  bool shared() const { return node_.use_count() > 1; }
  ElementType type() const;
  /// The value when this is an integer (or bool) constant.
  std::optional<int64_t> AsInt() const;

 private:
  std::shared_ptr<const ExprNode> node_;
};

struct ExprNode {
  ExprKind kind;
  ElementType type;
  UnaryOp unary{};
  BinaryOp binary{};
  ReduceOp reduce{};
  double float_value = 0;        ///< kConst of a float type
  int64_t int_value = 0;         ///< kConst of an integer type or bool
  Var var;                       ///< kVar
  Buffer buffer;                 ///< kLoad
  std::vector<Var> reduce_vars;  ///< kReduce, outermost first; visible in args[0] only
  std::vector<Expr> args;        ///< operands; kLoad: the indices; kReduce: the body
};

inline ElementType Expr::type() const { return node_->type; }

inline std::optional<int64_t> Expr::AsInt() const {
  if (node_->kind != ExprKind::kConst || IsFloat(node_->type)) return std::nullopt;
  return node_->int_value;
}

/// A constant of any type.
Expr Const(ElementType type, double value);
Expr ConstInt(ElementType type, int64_t value);
Expr Bool(bool value);
Expr Unary(UnaryOp op, Expr a);
/// Folds constants and the neutral elements of index arithmetic (x+0, x*1, x*0, ...).
Expr Binary(BinaryOp op, Expr a, Expr b);
Expr Select(Expr condition, Expr if_true, Expr if_false);
Expr Cast(ElementType to, Expr a);
Expr Load(const Buffer& buffer, std::vector<Expr> indices);
/// The reduction of `body` over the variables; its type is the body's (bool: min and max only).
/// Over an extent of 0 it is the neutral element (0, 1, the largest, the smallest value of the
/// type; +-inf for floats).
Expr Reduce(ReduceOp op, std::vector<Var> vars, Expr body);
/// The value a reduction starts from.
Expr NeutralElement(ReduceOp op, ElementType type);

inline Expr operator+(Expr a, Expr b) { return Binary(BinaryOp::kAdd, std::move(a), std::move(b)); }
inline Expr operator-(Expr a, Expr b) { return Binary(BinaryOp::kSub, std::move(a), std::move(b)); }
inline Expr operator*(Expr a, Expr b) { return Binary(BinaryOp::kMul, std::move(a), std::move(b)); }
inline Expr operator/(Expr a, Expr b) { return Binary(BinaryOp::kDiv, std::move(a), std::move(b)); }
inline Expr operator-(Expr a) { return Unary(UnaryOp::kNeg, std::move(a)); }
inline Expr Min(Expr a, Expr b) { return Binary(BinaryOp::kMin, std::move(a), std::move(b)); }
inline Expr Max(Expr a, Expr b) { return Binary(BinaryOp::kMax, std::move(a), std::move(b)); }
inline Expr FloorDiv(Expr a, Expr b) {
  return Binary(BinaryOp::kFloorDiv, std::move(a), std::move(b));
}
inline Expr FloorMod(Expr a, Expr b) {
  return Binary(BinaryOp::kFloorMod, std::move(a), std::move(b));
}
inline Expr And(Expr a, Expr b) { return Binary(BinaryOp::kAnd, std::move(a), std::move(b)); }
inline Expr Or(Expr a, Expr b) { return Binary(BinaryOp::kOr, std::move(a), std::move(b)); }
inline Expr Eq(Expr a, Expr b) { return Binary(BinaryOp::kEq, std::move(a), std::move(b)); }
inline Expr Ne(Expr a, Expr b) { return Binary(BinaryOp::kNe, std::move(a), std::move(b)); }
inline Expr Lt(Expr a, Expr b) { return Binary(BinaryOp::kLt, std::move(a), std::move(b)); }
inline Expr Le(Expr a, Expr b) { return Binary(BinaryOp::kLe, std::move(a), std::move(b)); }
inline Expr Gt(Expr a, Expr b) { return Binary(BinaryOp::kGt, std::move(a), std::move(b)); }
inline Expr Ge(Expr a, Expr b) { return Binary(BinaryOp::kGe, std::move(a), std::move(b)); }

/// `expr` with every variable in `values` replaced. Bound reduction variables are left alone.
Expr Substitute(const Expr& expr, const std::map<const Variable*, Expr>& values);
/// Calls `visit` on every node, parents first; shared nodes that have operands once.
void Walk(const Expr& expr, const std::function<void(const Expr&)>& visit);
/// Rebuilds bottom-up: `rewrite` may return a replacement or its argument. Shared nodes stay
/// shared.
Expr Transform(const Expr& expr, const std::function<Expr(const Expr&)>& rewrite);
bool Uses(const Expr& expr, const Variable* var);
/// Whether the two are the same tree over the same variables and buffers.
bool Equal(const Expr& a, const Expr& b);

std::string ToString(const Expr& expr);

}  // namespace kiln::loop
