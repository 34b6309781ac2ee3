#include "ir/eval/scalar.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "ir/loop/scalar.h"

namespace kiln {

using loop::ExprKind;

namespace {

Scalar Float(double value) { return {.f = value}; }
Scalar Int(int64_t value) { return {.i = value}; }

}  // namespace

Scalar ApplyUnary(loop::UnaryOp op, ElementType type, Scalar a) {
  if (!IsFloat(type)) return Int(loop::EvalInt(op, type, a.i));
  if (op == loop::UnaryOp::kIsNan) return Int(std::isnan(a.f));
  if (op == loop::UnaryOp::kIsInf) return Int(std::isinf(a.f));
  return Float(loop::EvalFloat(op, a.f));
}

Scalar ApplyBinary(loop::BinaryOp op, ElementType type, Scalar a, Scalar b) {
  if (!IsFloat(type)) return Int(loop::EvalInt(op, type, a.i, b.i));
  if (loop::IsComparison(op)) return Int(loop::CompareFloat(op, a.f, b.f));
  return Float(loop::EvalFloat(op, a.f, b.f));
}

Scalar ApplyCast(ElementType from, ElementType to, Scalar value) {
  if (!IsFloat(from)) {
    if (IsFloat(to)) return Float(loop::RoundTo(to, loop::IntToDouble(from, value.i)));
    return Int(loop::WrapTo(to, value.i));
  }
  if (IsFloat(to)) return Float(loop::RoundTo(to, value.f));
  return Int(loop::SaturatingInt(to, value.f));
}

Scalar ConstantValue(const loop::ExprNode& constant) {
  return IsFloat(constant.type) ? Float(constant.float_value) : Int(constant.int_value);
}

namespace {

// Gives every distinct node of an expression a number, arguments first.
class Numbering {
 public:
  const std::vector<const loop::ExprNode*>& nodes() const { return nodes_; }
  int NumberOf(const loop::ExprNode* node) const { return numbers_.at(node); }
  void Add(const loop::Expr& expr) {
    if (numbers_.contains(expr.get())) return;
    for (const loop::Expr& argument : expr->args) Add(argument);
    numbers_.emplace(expr.get(), static_cast<int>(nodes_.size()));
    nodes_.push_back(expr.get());
  }

 private:
  std::vector<const loop::ExprNode*> nodes_;
  std::map<const loop::ExprNode*, int> numbers_;
};

}  // namespace

StatusOr<ScalarProgram> ScalarProgram::Compile(const loop::Expr& expr,
                                               std::span<const loop::Buffer> inputs) {
  Numbering numbering;
  numbering.Add(expr);
  ScalarProgram program;
  for (const loop::ExprNode* const node : numbering.nodes()) {
    Instruction instruction{.kind = node->kind, .unary = node->unary, .binary = node->binary};
    instruction.result_type = node->type;
    Scalar start = Int(0);
    if (node->kind == ExprKind::kLoad) {
      const auto input = std::find(inputs.begin(), inputs.end(), node->buffer);
      if (input == inputs.end()) return InternalError("scalar program: unknown input");
      instruction.args[0] = static_cast<int>(input - inputs.begin());
    } else if (node->kind == ExprKind::kConst) {
      start = ConstantValue(*node);
    } else if (node->kind == ExprKind::kVar || node->kind == ExprKind::kReduce) {
      return InternalError("scalar program: loop variables and reductions have no place here");
    }
    if (node->kind != ExprKind::kLoad) {
      for (size_t k = 0; k < node->args.size(); ++k) {
        instruction.args[k] = numbering.NumberOf(node->args[k].get());
        instruction.type = node->args[0].type();
      }
    }
    program.code_.push_back(instruction);
    program.registers_.push_back(start);
  }
  return program;
}

Scalar ScalarProgram::Run(std::span<const Scalar> inputs) {
  for (size_t i = 0; i < code_.size(); ++i) {
    const Instruction& step = code_[i];
    const Scalar a = step.kind == ExprKind::kLoad ? inputs[step.args[0]] : registers_[step.args[0]];
    switch (step.kind) {
      case ExprKind::kLoad: registers_[i] = a; break;
      case ExprKind::kUnary: registers_[i] = ApplyUnary(step.unary, step.type, a); break;
      case ExprKind::kBinary:
        registers_[i] = ApplyBinary(step.binary, step.type, a, registers_[step.args[1]]);
        break;
      case ExprKind::kSelect: registers_[i] = registers_[step.args[a.i != 0 ? 1 : 2]]; break;
      case ExprKind::kCast: registers_[i] = ApplyCast(step.type, step.result_type, a); break;
      default: break;  // kConst: its register holds it already
    }
  }
  return registers_.back();
}

}  // namespace kiln
