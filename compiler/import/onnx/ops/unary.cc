// Functions of one tensor, element by element: mathematics and activations.
#include "compiler/import/onnx/node.h"

namespace kiln::onnx_import {

namespace {

Status Unary(Node& n) { return n.Result(n.Make(n.op().kind, {n.operand(0)})); }

// Passes on the float attributes; Kiln's op has them under the same names, with the same defaults.
Status Activation(Node& n) {
  AttributeMap attributes;
  for (const AttributeSpec& spec : n.op().attributes) {
    if (spec.type == onnx::AttributeProto::FLOAT && n.HasAttribute(spec.name)) {
      attributes.emplace(spec.name, n.Float(spec.name));
    }
  }
  return n.Result(n.Make(n.op().kind, {n.operand(0)}, std::move(attributes)));
}

Status Gelu(Node& n) {
  const std::string approximate = n.String("approximate", "none");
  return n.Result(n.Make("gelu", {n.operand(0)}, {{"approximate", approximate}}));
}

Status IsInf(Node& n) {
  return n.Result(n.Make("is_inf", {n.operand(0)},
                         {{"detect_negative", n.Int("detect_negative", 1) != 0},
                          {"detect_positive", n.Int("detect_positive", 1) != 0}}));
}

// x * sigmoid(alpha * x)
Status Swish(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.operand(0));
  const double alpha = n.Float("alpha", 1.0);
  if (alpha == 1.0) return n.Result(n.Make("silu", {x}));
  return n.Result(b.Mul(x, n.Make("sigmoid", {b.MulScalar(x, alpha)})));
}

// The slope of before opset 7 is one number, or one per channel (dimension 1) of x.
Status PRelu(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.operand(0));
  KILN_ASSIGN_OR_RETURN(Op * slope, n.operand(1));
  if (n.opset() < 7 && slope->shape().size() == 1 && x->shape().size() > 1) {
    Shape shape(x->shape().size() - 1, 1);
    shape[0] = slope->shape()[0];
    KILN_ASSIGN_OR_RETURN(slope, n.builder().Reshape(slope, shape));
  }
  return n.Result(n.Make("prelu", {x, slope}));
}

}  // namespace

std::vector<OnnxOp> UnaryOps() {
  std::vector<OnnxOp> ops;
  const AttributeSpec consumed = Until(5, Ints("consumed_inputs"));
  struct Row {
    const char* name;
    const char* kind;
  };
  for (const Row& row : std::initializer_list<Row>{{"Abs", "abs"},
                                                   {"Acos", "acos"},
                                                   {"Acosh", "acosh"},
                                                   {"Asin", "asin"},
                                                   {"Asinh", "asinh"},
                                                   {"Atan", "atan"},
                                                   {"Atanh", "atanh"},
                                                   {"BitwiseNot", "bitwise_not"},
                                                   {"Ceil", "ceil"},
                                                   {"Cos", "cos"},
                                                   {"Cosh", "cosh"},
                                                   {"Erf", "erf"},
                                                   {"Exp", "exp"},
                                                   {"Floor", "floor"},
                                                   {"HardSwish", "hard_swish"},
                                                   {"IsNaN", "is_nan"},
                                                   {"Log", "log"},
                                                   {"Mish", "mish"},
                                                   {"Neg", "neg"},
                                                   {"Not", "not"},
                                                   {"Reciprocal", "reciprocal"},
                                                   {"Relu", "relu"},
                                                   {"Round", "round"},
                                                   {"Sigmoid", "sigmoid"},
                                                   {"Sign", "sign"},
                                                   {"Sin", "sin"},
                                                   {"Sinh", "sinh"},
                                                   {"Softplus", "softplus"},
                                                   {"Softsign", "softsign"},
                                                   {"Sqrt", "sqrt"},
                                                   {"Tan", "tan"},
                                                   {"Tanh", "tanh"}}) {
    ops.push_back({.name = row.name, .handler = Unary, .kind = row.kind, .attributes = {consumed}});
  }
  const AttributeSpec alpha = Float("alpha");
  ops.push_back({.name = "Celu", .handler = Activation, .kind = "celu", .attributes = {alpha}});
  ops.push_back(
      {.name = "Elu", .handler = Activation, .kind = "elu", .attributes = {alpha, consumed}});
  ops.push_back({.name = "HardSigmoid",
                 .handler = Activation,
                 .kind = "hard_sigmoid",
                 .attributes = {alpha, Float("beta"), consumed}});
  ops.push_back({.name = "LeakyRelu",
                 .handler = Activation,
                 .kind = "leaky_relu",
                 .attributes = {alpha, consumed}});
  ops.push_back({.name = "Selu",
                 .handler = Activation,
                 .kind = "selu",
                 .attributes = {alpha, Float("gamma")},
                 .first = 6});
  ops.push_back({.name = "Shrink",
                 .handler = Activation,
                 .kind = "shrink",
                 .attributes = {Float("lambd"), Float("bias")}});
  ops.push_back({.name = "ThresholdedRelu",
                 .handler = Activation,
                 .kind = "thresholded_relu",
                 .attributes = {alpha}});
  ops.push_back({.name = "Gelu", .handler = Gelu, .attributes = {String("approximate")}});
  ops.push_back({.name = "IsInf",
                 .handler = IsInf,
                 .attributes = {Int("detect_negative"), Int("detect_positive")}});
  ops.push_back({.name = "PRelu", .handler = PRelu, .operands = {2, 2}, .attributes = {consumed}});
  ops.push_back({.name = "Swish", .handler = Swish, .attributes = {alpha}});
  return ops;
}

}  // namespace kiln::onnx_import
