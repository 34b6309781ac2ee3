#include "ir/loop/interpret.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <unordered_map>

#include "ir/loop/scalar.h"
#include "ir/support/strings.h"

namespace kiln::loop {

namespace {

/// A scalar: floats in `number`, integers and bool in `integer`.
struct Value {
  double number = 0;
  int64_t integer = 0;
};

template <typename T>
T Read(const char* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

template <typename T>
void Write(char* to, T value) {
  std::memcpy(to, &value, sizeof(T));
}

double HalfToDouble(uint16_t bits) {
  const int exponent = (bits >> 10) & 31;
  const int fraction = bits & 1023;
  const double sign = bits & 0x8000 ? -1 : 1;
  if (exponent == 31) return fraction != 0 ? std::nan("") : sign * INFINITY;
  if (exponent == 0) return sign * std::ldexp(fraction, -24);
  return sign * std::ldexp(1024 + fraction, exponent - 25);
}

/// `value` is already rounded to f16.
uint16_t DoubleToHalf(double value) {
  const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  const double size = std::abs(value);
  if (std::isnan(value)) return 0x7e00;
  if (std::isinf(value)) return sign | 0x7c00;
  if (size < 0x1p-14) return sign | static_cast<uint16_t>(std::ldexp(size, 24));
  const int exponent = std::ilogb(size);
  return sign | static_cast<uint16_t>((exponent + 15) << 10 |
                                      (static_cast<int>(std::ldexp(size, 10 - exponent)) - 1024));
}

Value LoadScalar(ElementType type, const char* from) {
  switch (type) {
    case ElementType::kF16: return {.number = HalfToDouble(Read<uint16_t>(from))};
    case ElementType::kBF16:
      return {.number = std::bit_cast<float>(uint32_t{Read<uint16_t>(from)} << 16)};
    case ElementType::kF32: return {.number = Read<float>(from)};
    case ElementType::kF64: return {.number = Read<double>(from)};
    default: break;
  }
  switch (ByteSize(type)) {
    case 1: return {.integer = WrapTo(type, Read<int8_t>(from))};
    case 2: return {.integer = WrapTo(type, Read<int16_t>(from))};
    case 4: return {.integer = WrapTo(type, Read<int32_t>(from))};
    default: return {.integer = Read<int64_t>(from)};
  }
}

void StoreScalar(ElementType type, char* to, const Value& value) {
  switch (type) {
    case ElementType::kF16: return Write(to, DoubleToHalf(RoundTo(type, value.number)));
    case ElementType::kBF16: {
      const float rounded = static_cast<float>(RoundTo(type, value.number));
      return Write(to, static_cast<uint16_t>(std::bit_cast<uint32_t>(rounded) >> 16));
    }
    case ElementType::kF32: return Write(to, static_cast<float>(value.number));
    case ElementType::kF64: return Write(to, value.number);
    default: break;
  }
  switch (ByteSize(type)) {
    case 1: return Write(to, static_cast<int8_t>(value.integer));
    case 2: return Write(to, static_cast<int16_t>(value.integer));
    case 4: return Write(to, static_cast<int32_t>(value.integer));
    default: return Write(to, value.integer);
  }
}

class Interpreter {
 public:
  Interpreter(const Kernel& kernel, const std::vector<void*>& buffers) {
    for (size_t i = 0; i < buffers.size(); ++i) {
      const size_t inputs = kernel.inputs.size();
      const Buffer& buffer = i < inputs ? kernel.inputs[i] : kernel.outputs[i - inputs];
      buffers_[buffer.get()] = static_cast<char*>(buffers[i]);
    }
  }

  void Run(const StmtNode& stmt) {
    switch (stmt.kind) {
      case StmtKind::kStore: return RunStore(stmt);
      case StmtKind::kBlock:
        for (const Stmt& part : stmt.body) Run(*part);
        return;
      case StmtKind::kFor:
        for (int64_t i = 0; i < stmt.var->extent && status_.ok(); ++i) {
          variables_[stmt.var.get()] = i;
          Run(*stmt.body[0]);
        }
        return;
      case StmtKind::kAlloc: {
        const BufferDecl& buffer = *stmt.buffer;
        std::vector<char> bytes(ElementCount(buffer.shape) * ByteSize(buffer.element));
        buffers_[&buffer] = bytes.data();
        Run(*stmt.body[0]);
        return;
      }
    }
  }

  const Status& status() const { return status_; }

 private:
  void RunStore(const StmtNode& stmt) {
    if (stmt.predicate.defined() && Eval(stmt.predicate).integer == 0) return;
    const Value value = Eval(stmt.value);
    if (char* to = Address(*stmt.buffer, stmt.indices)) {
      StoreScalar(stmt.buffer->element, to, value);
    }
  }

  /// Null, and the status set, when an index is out of bounds.
  char* Address(const BufferDecl& buffer, const std::vector<Expr>& indices) {
    int64_t offset = 0;
    for (size_t d = 0; d < indices.size(); ++d) {
      const int64_t index = Eval(indices[d]).integer;
      if (index < 0 || index >= buffer.shape[d]) {
        if (status_.ok()) {
          status_ = InternalError("loop IR: index ", index, " of dimension ", d, " of ",
                                  buffer.name, FormatInts(buffer.shape), " is out of bounds");
        }
        return nullptr;
      }
      offset = offset * buffer.shape[d] + index;
    }
    return buffers_.at(&buffer) + offset * ByteSize(buffer.element);
  }

  Value Eval(const Expr& expr) {
    const ExprNode& node = *expr;
    switch (node.kind) {
      case ExprKind::kConst: return {node.float_value, node.int_value};
      case ExprKind::kVar: return {.integer = variables_.at(node.var.get())};
      case ExprKind::kUnary: return EvalUnary(node);
      case ExprKind::kBinary: return EvalBinary(node, Eval(node.args[0]), Eval(node.args[1]));
      case ExprKind::kSelect: return Eval(node.args[Eval(node.args[0]).integer != 0 ? 1 : 2]);
      case ExprKind::kCast: return EvalCast(node);
      case ExprKind::kLoad: {
        const char* from = Address(*node.buffer, node.args);
        return from == nullptr ? Value{} : LoadScalar(node.type, from);
      }
      case ExprKind::kReduce: {
        const Expr neutral = NeutralElement(node.reduce, node.type);
        Value total{neutral->float_value, neutral->int_value};
        Accumulate(node, 0, total);
        if (IsFloat(node.type)) total.number = RoundTo(node.type, total.number);
        return total;
      }
    }
    return {};
  }

  Value EvalUnary(const ExprNode& node) {
    const ElementType type = node.args[0].type();
    const Value a = Eval(node.args[0]);
    if (!IsFloat(type)) return {.integer = EvalInt(node.unary, type, a.integer)};
    const double value = EvalFloat(node.unary, a.number);
    if (!IsFloat(node.type)) return {.integer = value != 0};
    return {.number = RoundTo(type, value)};
  }

  static Value EvalBinary(const ExprNode& node, const Value& a, const Value& b) {
    const ElementType type = node.args[0].type();
    if (!IsFloat(type)) return {.integer = EvalInt(node.binary, type, a.integer, b.integer)};
    if (IsComparison(node.binary)) {
      return {.integer = CompareFloat(node.binary, a.number, b.number)};
    }
    return {.number = RoundTo(type, EvalFloat(node.binary, a.number, b.number))};
  }

  Value EvalCast(const ExprNode& node) {
    const ElementType from = node.args[0].type();
    const Value a = Eval(node.args[0]);
    if (!IsFloat(node.type)) {
      return {.integer = IsFloat(from) ? SaturatingInt(node.type, a.number)
                                       : WrapTo(node.type, a.integer)};
    }
    if (IsFloat(from)) return {.number = RoundTo(node.type, a.number)};
    if (node.type == ElementType::kF32 && from == ElementType::kU64) {
      return {.number = static_cast<float>(static_cast<uint64_t>(a.integer))};
    }
    if (node.type == ElementType::kF32) return {.number = static_cast<float>(a.integer)};
    return {.number = RoundTo(node.type, IntToDouble(from, a.integer))};
  }

  void Accumulate(const ExprNode& node, size_t depth, Value& total) {
    if (depth == node.reduce_vars.size()) {
      const Value value = Eval(node.args[0]);
      static constexpr BinaryOp kOps[] = {BinaryOp::kAdd, BinaryOp::kMul, BinaryOp::kMin,
                                          BinaryOp::kMax};
      const BinaryOp op = kOps[static_cast<size_t>(node.reduce)];
      if (IsFloat(node.type)) {
        total.number = EvalFloat(op, total.number, value.number);
      } else {
        total.integer = EvalInt(op, node.type, total.integer, value.integer);
      }
      return;
    }
    const Variable* var = node.reduce_vars[depth].get();
    for (int64_t i = 0; i < var->extent && status_.ok(); ++i) {
      variables_[var] = i;
      Accumulate(node, depth + 1, total);
    }
  }

  std::unordered_map<const BufferDecl*, char*> buffers_;
  std::unordered_map<const Variable*, int64_t> variables_;
  Status status_;
};

}  // namespace

Status Interpret(const Kernel& kernel, const std::vector<void*>& buffers) {
  if (buffers.size() != kernel.inputs.size() + kernel.outputs.size()) {
    return InternalError("loop IR: ", buffers.size(), " buffers for ",
                         kernel.inputs.size() + kernel.outputs.size());
  }
  Interpreter interpreter(kernel, buffers);
  interpreter.Run(*kernel.body);
  return interpreter.status();
}

}  // namespace kiln::loop
