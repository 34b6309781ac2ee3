// Functions of single elements, arithmetic, comparison, logic.
#include "compiler/import/foreign/build.h"
#include "compiler/import/tensorflow/node.h"

namespace kiln::tensorflow_import {

namespace {

Status Unary(Node& n) { return n.Output(n.Make(n.op().kind, {n.input(0)})); }

Status Binary(Node& n) {
  KILN_ASSIGN_OR_RETURN(std::vector<Op*> xs, n.inputs(0, 2));
  KILN_RETURN_IF_ERROR(PromoteHalves(n.builder(), xs));
  return n.Output(n.Make(n.op().kind, {xs[0], xs[1]}));
}

Status Relu6(Node& n) {
  return n.Output(n.Make("clip", {n.input(0)}, {{"min", 0.0}, {"max", 6.0}}));
}

Status LeakyRelu(Node& n) {
  return n.Output(n.Make("leaky_relu", {n.input(0)}, {{"alpha", n.Float("alpha", 0.2)}}));
}

Status Square(Node& n) { return n.Output(n.builder().Mul(n.input(0), n.input(0))); }

Status Rsqrt(Node& n) { return n.Output(n.Make("reciprocal", {n.Make("sqrt", {n.input(0)})})); }

Status SquaredDifference(Node& n) {
  const auto difference = n.builder().Sub(n.input(0), n.input(1));
  return n.Output(n.builder().Mul(difference, difference));
}

// Rounded down, also for integers.
Status FloorDiv(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  const auto quotient = b.Div(x, n.input(1));
  if (IsFloat(x->element())) return n.Output(n.Make("floor", {quotient}));
  const auto remainder = n.Make("mod", {x, n.input(1)});
  return n.Output(b.Div(b.Sub(x, remainder), n.input(1)));
}

// 0 where the second operand is.
Status DivNoNan(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const y, n.input(1));
  const auto zero = b.Scalar(y->element(), 0);
  return n.Output(n.Make("where", {n.Make("equal", {y, zero}), zero, b.Div(n.input(0), y)}));
}

Status AddN(Node& n) {
  KILN_ASSIGN_OR_RETURN(const std::vector<Op*> xs, n.inputs(0, n.num_inputs()));
  StatusOr<Op*> y = xs[0];
  for (size_t i = 1; i < xs.size(); ++i) y = n.builder().Add(y, xs[i]);
  return n.Output(y);
}

// A constant is cast now, so that weights kept as halves are weights all the same.
Status Cast(Node& n) {
  KILN_ASSIGN_OR_RETURN(const ElementType to, n.Type("DstT"));
  const auto constant = n.values().IfConstant(n.input_name(0));
  if (!constant) return n.Output(n.builder().Cast(n.input(0), to));
  if (IsFloat(to)) {
    return n.ConstantOutput(Tensor::FromDoubles(to, constant->shape(), constant->ToDoubles()));
  }
  return n.Output(n.builder().Cast(n.input(0), to));
}

// Integers in a range of numbers, given by constants.
Status Dequantize(Node& n) {
  KILN_ASSIGN_OR_RETURN(const Tensor x, n.Known(0));
  KILN_ASSIGN_OR_RETURN(const Tensor low, n.Known(1));
  KILN_ASSIGN_OR_RETURN(const Tensor high, n.Known(2));
  const ElementType element = x.type().element;
  if (low.type().count() != 1 || high.type().count() != 1) {
    return Unsupported("a range of its own for each channel is not supported");
  }
  if (element != ElementType::kU8 && element != ElementType::kI8) {
    return Unsupported("element type ", std::string(Name(element)), " is not supported");
  }
  const double minimum = low.GetDouble(0), maximum = high.GetDouble(0);
  const bool is_signed = element == ElementType::kI8;
  const std::string mode = n.String("mode", "MIN_COMBINED");
  double scale = (maximum - minimum) / 255, offset = minimum;
  if (mode == "SCALED") {
    const double limit = std::max(std::abs(minimum), std::abs(maximum));
    scale = is_signed ? limit / (n.Bool("narrow_range") ? 127 : 128) : maximum / 255;
    offset = 0;
  } else if (mode != "MIN_COMBINED" && mode != "MIN_FIRST") {
    return InvalidInput("attribute 'mode' is ", Quote(mode));
  } else if (is_signed) {
    offset += 128 * scale;
  }
  std::vector<double> values = x.ToDoubles();
  for (double& value : values) value = offset + value * scale;
  return n.ConstantOutput(Tensor::FromDoubles(ElementType::kF32, x.shape(), values));
}

// The old Select broadcasts a vector of conditions along the first dimension.
Status Select(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const condition, n.input(0));
  KILN_ASSIGN_OR_RETURN(Op* const a, n.input(1));
  StatusOr<Op*> aligned = condition;
  if (n.op().name == "Select" && Rank(condition) == 1 && Rank(a) > 1) {
    aligned = AlongAxis(n.builder(), condition, 0, Rank(a));
  }
  return n.Output(n.Make("where", {aligned, a, n.input(2)}));
}

Status ClipByValue(Node& n) {
  return n.Output(n.Make("min", {n.Make("max", {n.input(0), n.input(1)}), n.input(2)}));
}

struct Row {
  const char* name;
  const char* kind;
};

constexpr Row kUnary[] = {
    {"Relu", "relu"},         {"Elu", "elu"},      {"Selu", "selu"},
    {"Sigmoid", "sigmoid"},   {"Tanh", "tanh"},    {"Softplus", "softplus"},
    {"Softsign", "softsign"}, {"Sqrt", "sqrt"},    {"Exp", "exp"},
    {"Expm1", "expm1"},       {"Log", "log"},      {"Log1p", "log1p"},
    {"Abs", "abs"},           {"Neg", "neg"},      {"Sign", "sign"},
    {"Floor", "floor"},       {"Ceil", "ceil"},    {"Round", "round"},
    {"Rint", "round"},        {"Erf", "erf"},      {"Reciprocal", "reciprocal"},
    {"Inv", "reciprocal"},    {"Sin", "sin"},      {"Cos", "cos"},
    {"Tan", "tan"},           {"Asin", "asin"},    {"Acos", "acos"},
    {"Atan", "atan"},         {"Sinh", "sinh"},    {"Cosh", "cosh"},
    {"Asinh", "asinh"},       {"Acosh", "acosh"},  {"Atanh", "atanh"},
    {"LogicalNot", "not"},    {"IsNan", "is_nan"}, {"IsInf", "is_inf"},
    {"Invert", "bitwise_not"}};

constexpr Row kBinary[] = {{"Add", "add"},
                           {"AddV2", "add"},
                           {"Sub", "sub"},
                           {"Mul", "mul"},
                           {"RealDiv", "div"},
                           {"Div", "div"},
                           {"TruncateDiv", "div"},
                           {"Maximum", "max"},
                           {"Minimum", "min"},
                           {"Pow", "pow"},
                           {"FloorMod", "mod"},
                           {"Mod", "rem"},
                           {"TruncateMod", "rem"},
                           {"Equal", "equal"},
                           {"NotEqual", "not_equal"},
                           {"Less", "less"},
                           {"LessEqual", "less_equal"},
                           {"Greater", "greater"},
                           {"GreaterEqual", "greater_equal"},
                           {"LogicalAnd", "and"},
                           {"LogicalOr", "or"}};

}  // namespace

std::vector<TensorflowOp> ElementwiseOps() {
  std::vector<TensorflowOp> ops;
  for (const Row& row : kUnary) {
    ops.push_back({.name = row.name, .handler = Unary, .kind = row.kind});
  }
  for (const Row& row : kBinary) {
    ops.push_back({.name = row.name, .handler = Binary, .kind = row.kind, .inputs = {2, 2}});
  }
  ops.push_back({.name = "Relu6", .handler = Relu6});
  ops.push_back({.name = "LeakyRelu", .handler = LeakyRelu});
  ops.push_back({.name = "Square", .handler = Square});
  ops.push_back({.name = "Rsqrt", .handler = Rsqrt});
  ops.push_back({.name = "SquaredDifference", .handler = SquaredDifference, .inputs = {2, 2}});
  ops.push_back({.name = "FloorDiv", .handler = FloorDiv, .inputs = {2, 2}});
  ops.push_back({.name = "DivNoNan", .handler = DivNoNan, .inputs = {2, 2}});
  ops.push_back({.name = "AddN", .handler = AddN, .inputs = {1, kAny}});
  ops.push_back({.name = "Cast", .handler = Cast});
  ops.push_back({.name = "Dequantize",
                 .handler = Dequantize,
                 .inputs = {3, 3},
                 .limits = "constants of 8 bits"});
  for (const char* const name : {"Select", "SelectV2"}) {
    ops.push_back({.name = name, .handler = Select, .inputs = {3, 3}});
  }
  ops.push_back({.name = "ClipByValue", .handler = ClipByValue, .inputs = {3, 3}});
  return ops;
}

}  // namespace kiln::tensorflow_import
