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
    program.registers_.insert(program.registers_.end(), kBlock, start);
  }
  program.inputs_.resize(inputs.size() * kBlock);
  return program;
}

void ScalarProgram::RunUnary(const Instruction& step, const Scalar* a, int64_t count,
                             Scalar* out) const {
  for (int64_t j = 0; j < count; ++j) out[j] = ApplyUnary(step.unary, step.type, a[j]);
}

// The four operations of arithmetic, of which constant folding does millions, have loops of their
// own.
void ScalarProgram::RunBinary(const Instruction& step, const Scalar* a, int64_t count,
                              Scalar* out) const {
  const Scalar* const b = Register(step.args[1]);
  const bool is_float = IsFloat(step.type);
  if (is_float && step.binary == loop::BinaryOp::kAdd) {
    for (int64_t j = 0; j < count; ++j) out[j].f = a[j].f + b[j].f;
  } else if (is_float && step.binary == loop::BinaryOp::kSub) {
    for (int64_t j = 0; j < count; ++j) out[j].f = a[j].f - b[j].f;
  } else if (is_float && step.binary == loop::BinaryOp::kMul) {
    for (int64_t j = 0; j < count; ++j) out[j].f = a[j].f * b[j].f;
  } else if (is_float && step.binary == loop::BinaryOp::kDiv) {
    for (int64_t j = 0; j < count; ++j) out[j].f = a[j].f / b[j].f;
  } else {
    for (int64_t j = 0; j < count; ++j) out[j] = ApplyBinary(step.binary, step.type, a[j], b[j]);
  }
}

const Scalar* ScalarProgram::Run(int64_t count) {
  for (size_t i = 0; i < code_.size(); ++i) {
    const Instruction& step = code_[i];
    const Scalar* const a =
        step.kind == ExprKind::kLoad ? input(step.args[0]) : Register(step.args[0]);
    Scalar* const out = Register(i);
    switch (step.kind) {
      case ExprKind::kLoad: std::copy_n(a, count, out); break;
      case ExprKind::kUnary: RunUnary(step, a, count, out); break;
      case ExprKind::kBinary: RunBinary(step, a, count, out); break;
      case ExprKind::kSelect:
        for (int64_t j = 0; j < count; ++j) out[j] = Register(step.args[a[j].i != 0 ? 1 : 2])[j];
        break;
      case ExprKind::kCast:
        for (int64_t j = 0; j < count; ++j) out[j] = ApplyCast(step.type, step.result_type, a[j]);
        break;
      default: break;  // kConst: its register holds it already
    }
  }
  return Register(code_.size() - 1);
}

}  // namespace kiln
