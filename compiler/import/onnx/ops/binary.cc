// Functions of two or more tensors, element by element, with broadcasting.
#include <cmath>
#include <limits>

#include "compiler/import/foreign/build.h"
#include "compiler/import/onnx/node.h"

namespace kiln::onnx_import {

namespace {

// Before opset 7, `broadcast` had to allow it, and `axis` said which dimension of a the first one
// of b stands beside (by default the last ones match, as they do since).
StatusOr<Op*> LegacyBroadcast(Node& n, Op* a, Op* b) {
  if (n.opset() >= 7 || n.Int("broadcast") == 0 || !n.HasAttribute("axis")) return b;
  const auto rank = static_cast<int64_t>(a->shape().size());
  const auto length = static_cast<int64_t>(b->shape().size());
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(n.Int("axis"), rank));
  if (axis + length > rank) {
    return InvalidInput("attribute 'axis' is ", axis, "; the second operand's ", length,
                        " dimensions do not fit behind it");
  }
  Shape shape = b->shape();
  shape.resize(rank - axis, 1);
  return n.builder().Reshape(b, shape);
}

Status Binary(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const a, n.operand(0));
  KILN_ASSIGN_OR_RETURN(Op * b, n.operand(1));
  KILN_ASSIGN_OR_RETURN(b, LegacyBroadcast(n, a, b));
  return n.Result(n.Make(n.op().kind, {a, b}));
}

// The result has the base's type. An integer to a float power is computed in floats, since the
// exponent may be a fraction.
Status Pow(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const base, n.operand(0));
  KILN_ASSIGN_OR_RETURN(Op * exponent, n.operand(1));
  KILN_ASSIGN_OR_RETURN(exponent, LegacyBroadcast(n, base, exponent));
  const ElementType type = base->element();
  if (!IsFloat(type) && IsFloat(exponent->element())) {
    const ElementType wide = exponent->element();
    return n.Result(b.Cast(n.Make("pow", {b.Cast(base, wide), exponent}), type));
  }
  return n.Result(n.Make("pow", {base, b.Cast(exponent, type)}));
}

Status Mod(Node& n) {
  const bool truncating = n.Int("fmod") != 0;
  return n.Result(n.Make(truncating ? "rem" : "mod", {n.operand(0), n.operand(1)}));
}

Status BitShift(Node& n) {
  const std::string direction = n.String("direction");
  if (direction != "LEFT" && direction != "RIGHT") {
    return InvalidInput("attribute 'direction' must be LEFT or RIGHT, found ", Quote(direction));
  }
  return n.Result(
      n.Make(direction == "LEFT" ? "shift_left" : "shift_right", {n.operand(0), n.operand(1)}));
}

StatusOr<Op*> Chain(Node& n) {
  KILN_ASSIGN_OR_RETURN(const std::vector<Op*> operands, n.operands());
  Op* result = operands[0];
  for (size_t i = 1; i < operands.size(); ++i) {
    KILN_ASSIGN_OR_RETURN(result, n.Make(n.op().kind, {result, operands[i]}));
  }
  return result;
}

Status Variadic(Node& n) { return n.Result(Chain(n)); }

Status Mean(Node& n) { return n.Result(n.builder().MulScalar(Chain(n), 1.0 / n.num_operands())); }

Status Where(Node& n) {
  return n.Result(n.Make("where", {n.operand(0), n.operand(1), n.operand(2)}));
}

// A bound as a number that the clip op can hold exactly; nullopt when it must stay an operand.
StatusOr<std::optional<double>> ClipBound(Node& n, int i, const char* name, double open) {
  constexpr double kExact = 9007199254740992.0;  // 2^53
  if (n.opset() < 11) return n.Float(name, open);
  if (!n.Has(i)) return open;
  KILN_ASSIGN_OR_RETURN(const TensorType type, n.OperandType(i));
  if (type.count() != 1) {
    return InvalidInput("operand '", name, "' must be one number, found ", type.ToString());
  }
  const std::optional<Tensor> value = n.IfConstant(i);
  if (!value) return std::nullopt;
  const double number = value->GetDouble(0);
  if (std::isnan(number) || (!IsFloat(type.element) && std::abs(number) > kExact)) {
    return std::nullopt;
  }
  return number;
}

// min(max(x, low), high)
Status Clip(Node& n) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.operand(0));
  KILN_ASSIGN_OR_RETURN(const auto low, ClipBound(n, 1, "min", -kInfinity));
  KILN_ASSIGN_OR_RETURN(const auto high, ClipBound(n, 2, "max", kInfinity));
  if (low && high) return n.Result(n.Make("clip", {x}, {{"min", *low}, {"max", *high}}));
  Builder& b = n.builder();
  StatusOr<Op*> y = x;
  if (n.Has(1)) y = n.Make("max", {y, b.Reshape(n.operand(1), {})});
  if (n.Has(2)) y = n.Make("min", {y, b.Reshape(n.operand(2), {})});
  return n.Result(y);
}

}  // namespace

std::vector<OnnxOp> BinaryOps() {
  std::vector<OnnxOp> ops;
  const std::vector<AttributeSpec> legacy = {Until(6, Int("broadcast")), Until(6, Int("axis")),
                                             Until(5, Ints("consumed_inputs"))};
  struct Row {
    const char* name;
    const char* kind;
  };
  for (const Row& row : std::initializer_list<Row>{{"Add", "add"},
                                                   {"And", "and"},
                                                   {"BitwiseAnd", "bitwise_and"},
                                                   {"BitwiseOr", "bitwise_or"},
                                                   {"BitwiseXor", "bitwise_xor"},
                                                   {"Div", "div"},
                                                   {"Equal", "equal"},
                                                   {"Greater", "greater"},
                                                   {"GreaterOrEqual", "greater_equal"},
                                                   {"Less", "less"},
                                                   {"LessOrEqual", "less_equal"},
                                                   {"Mul", "mul"},
                                                   {"Or", "or"},
                                                   {"Sub", "sub"},
                                                   {"Xor", "xor"}}) {
    ops.push_back({.name = row.name,
                   .handler = Binary,
                   .kind = row.kind,
                   .operands = {2, 2},
                   .attributes = legacy});
  }
  for (const Row& row :
       std::initializer_list<Row>{{"Max", "max"}, {"Min", "min"}, {"Sum", "add"}}) {
    ops.push_back({.name = row.name,
                   .handler = Variadic,
                   .kind = row.kind,
                   .operands = {1, kAny},
                   .attributes = {Until(5, Ints("consumed_inputs"))}});
  }
  ops.push_back({.name = "Mean",
                 .handler = Mean,
                 .kind = "add",
                 .operands = {1, kAny},
                 .attributes = {Until(5, Ints("consumed_inputs"))}});
  ops.push_back({.name = "Pow", .handler = Pow, .operands = {2, 2}, .attributes = legacy});
  ops.push_back({.name = "Mod", .handler = Mod, .operands = {2, 2}, .attributes = {Int("fmod")}});
  ops.push_back({.name = "BitShift",
                 .handler = BitShift,
                 .operands = {2, 2},
                 .attributes = {Required(String("direction"))}});
  ops.push_back({.name = "Where", .handler = Where, .operands = {3, 3}});
  ops.push_back({.name = "Clip",
                 .handler = Clip,
                 .operands = {1, 3},
                 .attributes = {Until(10, Float("min")), Until(10, Float("max")),
                                Until(5, Ints("consumed_inputs"))}});
  return ops;
}

}  // namespace kiln::onnx_import
