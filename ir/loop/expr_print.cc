#include <array>
#include <unordered_map>

#include "ir/loop/printer.h"
#include "ir/support/strings.h"

namespace kiln::loop {

namespace {

constexpr std::array<std::string_view, 30> kUnaryNames = {
    "neg",  "not",   "bitnot", "abs",   "sign",  "sqrt",  "floor", "ceil",    "round", "trunc",
    "exp",  "expm1", "log",    "log1p", "sin",   "cos",   "tan",   "asin",    "acos",  "atan",
    "sinh", "cosh",  "tanh",   "asinh", "acosh", "atanh", "erf",   "sigmoid", "isnan", "isinf"};
static_assert(kUnaryNames.size() == static_cast<size_t>(UnaryOp::kIsInf) + 1);

constexpr std::array<std::string_view, 21> kBinaryNames = {
    "+", "-", "*",  "/",  "rem", "//", "%", "min", "max", "pow", "&",
    "|", "^", "<<", ">>", "==",  "!=", "<", "<=",  ">",   ">="};
static_assert(kBinaryNames.size() == static_cast<size_t>(BinaryOp::kGe) + 1);

constexpr std::array<std::string_view, 4> kReduceNames = {"sum", "prod", "min", "max"};

bool IsWord(std::string_view name) { return name[0] >= 'a' && name[0] <= 'z'; }

/// Expressions smaller than this are repeated rather than named.
constexpr int64_t kNameFrom = 8;
constexpr int64_t kHuge = 1 << 20;

class Printer {
 public:
  explicit Printer(const Naming& naming) : naming_(naming) {}

  /// Counts the occurrences and the written size of every node that may have several.
  int64_t Measure(const Expr& expr) {
    const bool may_repeat = expr.shared() && !expr->args.empty();
    if (may_repeat) {
      Shared& shared = shared_[expr.get()];
      if (++shared.uses > 1) return shared.size;
    }
    int64_t size = 1;
    for (const Expr& arg : expr->args) size = std::min(kHuge, size + Measure(arg));
    if (may_repeat) shared_[expr.get()].size = size;
    return size;
  }

  void Print(const Expr& expr) {
    const auto it = shared_.find(expr.get());
    if (it == shared_.end()) return PrintNode(*expr);
    Shared& shared = it->second;
    if (shared.uses == 1 || shared.size < kNameFrom) return PrintNode(*expr);
    if (shared.name.empty()) {
      shared.name = StrCat("t", names_++);
      out_ += StrCat("(", shared.name, " = ");
      PrintNode(*expr);
      out_ += ")";
    } else {
      out_ += shared.name;
    }
  }

  std::string Take() { return std::move(out_); }

 private:
  struct Shared {
    int64_t uses = 0;
    int64_t size = 0;
    std::string name;
  };

  void PrintNode(const ExprNode& node) {
    switch (node.kind) {
      case ExprKind::kConst: return PrintConst(node);
      case ExprKind::kVar: out_ += naming_.variable(node.var.get()); return;
      case ExprKind::kUnary: return PrintCall(Name(node.unary), node.args);
      case ExprKind::kBinary: return PrintBinary(node);
      case ExprKind::kSelect: return PrintCall("select", node.args);
      case ExprKind::kCast: return PrintCall(Name(node.type), node.args);
      case ExprKind::kLoad:
        out_ += naming_.buffer(node.buffer.get());
        return PrintList("[", node.args, "]");
      case ExprKind::kReduce: return PrintReduce(node);
    }
  }

  void PrintConst(const ExprNode& node) {
    if (node.type == ElementType::kBool) {
      out_ += node.int_value ? "true" : "false";
    } else if (IsFloat(node.type)) {
      out_ += FormatDouble(node.float_value);
      if (node.type != ElementType::kF32) out_ += StrCat(":", Name(node.type));
    } else {
      out_ += StrCat(node.int_value);
      if (node.type != ElementType::kI64) out_ += StrCat(":", Name(node.type));
    }
  }

  void PrintBinary(const ExprNode& node) {
    const std::string_view name = Name(node.binary);
    if (IsWord(name)) return PrintCall(name, node.args);
    out_ += "(";
    Print(node.args[0]);
    out_ += StrCat(" ", name, " ");
    Print(node.args[1]);
    out_ += ")";
  }

  void PrintReduce(const ExprNode& node) {
    out_ += StrCat(Name(node.reduce), "<");
    for (const Var& var : node.reduce_vars) {
      if (var != node.reduce_vars.front()) out_ += ", ";
      out_ += StrCat(naming_.variable(var.get()), ":", var->extent);
    }
    out_ += ">";
    PrintList("(", node.args, ")");
  }

  void PrintCall(std::string_view name, const std::vector<Expr>& args) {
    out_ += name;
    PrintList("(", args, ")");
  }

  void PrintList(std::string_view open, const std::vector<Expr>& args, std::string_view close) {
    out_ += open;
    for (size_t i = 0; i < args.size(); ++i) {
      if (i != 0) out_ += ", ";
      Print(args[i]);
    }
    out_ += close;
  }

  const Naming& naming_;
  std::unordered_map<const ExprNode*, Shared> shared_;
  int64_t names_ = 0;
  std::string out_;
};

}  // namespace

std::string_view Name(UnaryOp op) { return kUnaryNames[static_cast<size_t>(op)]; }
std::string_view Name(BinaryOp op) { return kBinaryNames[static_cast<size_t>(op)]; }
std::string_view Name(ReduceOp op) { return kReduceNames[static_cast<size_t>(op)]; }

std::string Print(const Expr& expr, const Naming& naming) {
  Printer printer(naming);
  printer.Measure(expr);
  printer.Print(expr);
  return printer.Take();
}

std::string ToString(const Expr& expr) {
  return Print(expr, {[](const Variable* var) { return var->name; },
                      [](const BufferDecl* buffer) { return buffer->name; }});
}

}  // namespace kiln::loop
