// Elementwise ops, one ONNX operator each where there is one.
#include <cmath>

#include "compiler/export/onnx/node_writer.h"
#include "compiler/import/onnx/tensor.h"

namespace kiln::onnx_export {

namespace {

Status Same(NodeWriter& n) {
  return n.Result(FindOpWriter(n.op().kind())->type.c_str(), n.operands());
}

// An addition of a bias is written with what it is added to.
Status Add(NodeWriter& n) {
  const Op* const contraction = n.merged_into();
  if (contraction == nullptr) return n.Result("Add", n.operands());
  return FindOpWriter(contraction->kind())->write(n);
}

Status WithAlpha(NodeWriter& n) {
  return n.Result(FindOpWriter(n.op().kind())->type.c_str(), {n.operand(0)},
                  {Float("alpha", n.op().Double("alpha"))});
}

Status HardSigmoid(NodeWriter& n) {
  return n.Result("HardSigmoid", {n.operand(0)},
                  {Float("alpha", n.op().Double("alpha")), Float("beta", n.op().Double("beta"))});
}

Status Selu(NodeWriter& n) {
  return n.Result("Selu", {n.operand(0)},
                  {Float("alpha", n.op().Double("alpha")), Float("gamma", n.op().Double("gamma"))});
}

Status Shrink(NodeWriter& n) {
  return n.Result("Shrink", {n.operand(0)},
                  {Float("lambd", n.op().Double("lambd")), Float("bias", n.op().Double("bias"))});
}

// Bounds of integers are rounded inwards, and left out beyond what the type can hold.
Status Clip(NodeWriter& n) {
  double low = n.op().Double("min"), high = n.op().Double("max");
  const ElementType element = n.element();
  if (!IsFloat(element)) {
    const int bits = static_cast<int>(8 * ByteSize(element));
    const double top = std::ldexp(1.0, IsSigned(element) ? bits - 1 : bits);
    low = std::ceil(low);
    high = std::floor(high);
    if (low <= (IsSigned(element) ? -top : 0)) low = -HUGE_VAL;
    if (high >= top - 1) high = HUGE_VAL;
    if (low >= top || high < (IsSigned(element) ? -top : 0)) return n.Refuse("beyond its type");
  }
  return n.Result("Clip", {n.operand(0), std::isinf(low) ? "" : n.Scalar(low),
                           std::isinf(high) ? "" : n.Scalar(high)});
}

// x/2 (1 + erf(x / sqrt 2)), or its approximation by tanh
Status Gelu(NodeWriter& n) {
  const std::string x = n.operand(0);
  std::string bell;
  if (n.op().String("approximate") == "tanh") {
    const std::string cube = n.Node("Mul", {n.Node("Mul", {x, x}), x});
    const std::string inner = n.Node("Add", {x, n.Node("Mul", {cube, n.Scalar(0.044715)})});
    bell = n.Node("Tanh", {n.Node("Mul", {inner, n.Scalar(std::sqrt(2 / M_PI))})});
  } else {
    bell = n.Node("Erf", {n.Node("Mul", {x, n.Scalar(std::sqrt(0.5))})});
  }
  const std::string half = n.Node("Mul", {x, n.Scalar(0.5)});
  return n.Result("Mul", {half, n.Node("Add", {bell, n.Scalar(1)})});
}

Status Silu(NodeWriter& n) {
  return n.Result("Mul", {n.operand(0), n.Node("Sigmoid", {n.operand(0)})});
}

Status Expm1(NodeWriter& n) {
  return n.Result("Sub", {n.Node("Exp", {n.operand(0)}), n.Scalar(1)});
}

Status Log1p(NodeWriter& n) {
  return n.Result("Log", {n.Node("Add", {n.operand(0), n.Scalar(1)})});
}

Status NotEqual(NodeWriter& n) { return n.Result("Not", {n.Node("Equal", n.operands())}); }

// a - floor(a / b) b; ONNX's own is for integers alone.
Status Mod(NodeWriter& n) {
  if (!IsFloat(n.element())) return n.Result("Mod", n.operands());
  const std::string quotient = n.Node("Floor", {n.Node("Div", n.operands())});
  return n.Result("Sub", {n.operand(0), n.Node("Mul", {quotient, n.operand(1)})});
}

Status Rem(NodeWriter& n) { return n.Result("Mod", n.operands(), {Int("fmod", 1)}); }

Status Shift(NodeWriter& n) {
  if (IsSigned(n.element())) return n.Refuse("of signed integers");
  const bool left = n.op().Is("shift_left");
  return n.Result("BitShift", n.operands(), {String("direction", left ? "LEFT" : "RIGHT")});
}

Status IsInf(NodeWriter& n) {
  return n.Result("IsInf", {n.operand(0)},
                  {Int("detect_negative", n.op().Bool("detect_negative")),
                   Int("detect_positive", n.op().Bool("detect_positive"))});
}

Status Cast(NodeWriter& n) {
  return n.Result("Cast", {n.operand(0)}, {Int("to", onnx_import::ToDataType(n.element()))});
}

}  // namespace

std::vector<OpWriter> ElementwiseWriters() {
  std::vector<OpWriter> writers;
  struct Row {
    const char* kind;
    const char* type;
  };
  for (const Row& row : std::initializer_list<Row>{{"abs", "Abs"},
                                                   {"acos", "Acos"},
                                                   {"acosh", "Acosh"},
                                                   {"asin", "Asin"},
                                                   {"asinh", "Asinh"},
                                                   {"atan", "Atan"},
                                                   {"atanh", "Atanh"},
                                                   {"bitwise_not", "BitwiseNot"},
                                                   {"ceil", "Ceil"},
                                                   {"cos", "Cos"},
                                                   {"cosh", "Cosh"},
                                                   {"erf", "Erf"},
                                                   {"exp", "Exp"},
                                                   {"floor", "Floor"},
                                                   {"hard_swish", "HardSwish"},
                                                   {"is_nan", "IsNaN"},
                                                   {"log", "Log"},
                                                   {"mish", "Mish"},
                                                   {"neg", "Neg"},
                                                   {"not", "Not"},
                                                   {"reciprocal", "Reciprocal"},
                                                   {"relu", "Relu"},
                                                   {"round", "Round"},
                                                   {"sigmoid", "Sigmoid"},
                                                   {"sign", "Sign"},
                                                   {"sin", "Sin"},
                                                   {"sinh", "Sinh"},
                                                   {"softplus", "Softplus"},
                                                   {"softsign", "Softsign"},
                                                   {"sqrt", "Sqrt"},
                                                   {"tan", "Tan"},
                                                   {"tanh", "Tanh"},
                                                   {"and", "And"},
                                                   {"bitwise_and", "BitwiseAnd"},
                                                   {"bitwise_or", "BitwiseOr"},
                                                   {"bitwise_xor", "BitwiseXor"},
                                                   {"div", "Div"},
                                                   {"equal", "Equal"},
                                                   {"greater", "Greater"},
                                                   {"greater_equal", "GreaterOrEqual"},
                                                   {"less", "Less"},
                                                   {"less_equal", "LessOrEqual"},
                                                   {"max", "Max"},
                                                   {"min", "Min"},
                                                   {"mul", "Mul"},
                                                   {"or", "Or"},
                                                   {"pow", "Pow"},
                                                   {"prelu", "PRelu"},
                                                   {"sub", "Sub"},
                                                   {"where", "Where"},
                                                   {"xor", "Xor"}}) {
    writers.push_back({row.kind, Same, row.type});
  }
  for (const Row& row : std::initializer_list<Row>{{"celu", "Celu"},
                                                   {"elu", "Elu"},
                                                   {"leaky_relu", "LeakyRelu"},
                                                   {"thresholded_relu", "ThresholdedRelu"}}) {
    writers.push_back({row.kind, WithAlpha, row.type});
  }
  for (OpWriter& writer : std::vector<OpWriter>{{"add", Add, ""},
                                                {"hard_sigmoid", HardSigmoid, ""},
                                                {"selu", Selu, ""},
                                                {"shrink", Shrink, ""},
                                                {"clip", Clip, ""},
                                                {"gelu", Gelu, ""},
                                                {"silu", Silu, ""},
                                                {"expm1", Expm1, ""},
                                                {"log1p", Log1p, ""},
                                                {"not_equal", NotEqual, ""},
                                                {"mod", Mod, ""},
                                                {"rem", Rem, ""},
                                                {"shift_left", Shift, ""},
                                                {"shift_right", Shift, ""},
                                                {"is_inf", IsInf, ""},
                                                {"cast", Cast, ""}}) {
    writers.push_back(std::move(writer));
  }
  return writers;
}

}  // namespace kiln::onnx_export
