// Functions of single elements: activations, mathematical functions, clamps.
#include <cmath>
#include <limits>

#include "compiler/import/foreign/build.h"
#include "compiler/import/pytorch/node.h"

namespace kiln::pytorch_import {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Status Unary(Node& n) { return n.Output(n.Make(n.op().kind, {n.tensor("self")})); }

// Of integers too, which become floats.
StatusOr<Op*> FloatSelf(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("self"));
  return n.builder().Cast(x, FloatOf(x->element()));
}

Status FloatUnary(Node& n) { return n.Output(n.Make(n.op().kind, {FloatSelf(n)})); }

// Integers are whole already.
Status Round(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("self"));
  if (!IsFloat(x->element())) return n.Output(x);
  if (n.op().kind != "trunc") return n.Output(n.Make(n.op().kind, {x}));
  return n.Output(n.builder().Mul(n.Make("sign", {x}), n.Make("floor", {n.Make("abs", {x})})));
}

Status Clip(Node& n, double min, double max) {
  return n.Output(n.Make("clip", {n.tensor("self")}, {{"min", min}, {"max", max}}));
}

Status Relu6(Node& n) { return Clip(n, 0, 6); }
Status Hardtanh(Node& n) { return Clip(n, n.Float("min_val", -1), n.Float("max_val", 1)); }

// The bounds take part in the result's type.
Status Clamp(Node& n) {
  KILN_ASSIGN_OR_RETURN(Operand x, ReadOperand(n, "self"));
  std::vector<Operand> operands = {x};
  for (const char* const name : {"min", "max"}) {
    if (!n.Has(name)) continue;
    KILN_ASSIGN_OR_RETURN(const Operand bound, ReadOperand(n, name));
    operands.push_back(bound);
  }
  const ElementType type = ResultType(operands);
  StatusOr<Op*> y = ToType(n, x, type);
  if (!n.IsTensor("min") && !n.IsTensor("max")) {
    return n.Output(n.Make(
        "clip", {y}, {{"min", n.Float("min", -kInfinity)}, {"max", n.Float("max", kInfinity)}}));
  }
  size_t next = 1;
  if (n.Has("min")) y = n.Make("max", {y, ToType(n, operands[next++], type)});
  if (n.Has("max")) y = n.Make("min", {y, ToType(n, operands[next], type)});
  return n.Output(y);
}

Status LeakyRelu(Node& n) {
  return n.Output(
      n.Make("leaky_relu", {n.tensor("self")}, {{"alpha", n.Float("negative_slope", 0.01)}}));
}

// With alpha, scale and input_scale: scale max(x, 0) + scale alpha (e^(input_scale min(x, 0)) - 1).
Status Elu(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("self"));
  const double alpha = n.Float("alpha", 1), scale = n.Float("scale", 1);
  const double input_scale = n.Float("input_scale", 1);
  if (scale == 1 && input_scale == 1) return n.Output(n.Make("elu", {x}, {{"alpha", alpha}}));
  const auto negative = n.Make("clip", {x}, {{"max", 0.0}});
  const auto curve = n.Make("expm1", {b.MulScalar(negative, input_scale)});
  return n.Output(
      b.Add(b.MulScalar(n.Make("relu", {x}), scale), b.MulScalar(curve, scale * alpha)));
}

Status Celu(Node& n) {
  return n.Output(n.Make("celu", {n.tensor("self")}, {{"alpha", n.Float("alpha", 1)}}));
}

Status Gelu(Node& n) {
  return n.Output(
      n.Make("gelu", {n.tensor("self")}, {{"approximate", n.String("approximate", "none")}}));
}

Status HardSigmoid(Node& n) {
  return n.Output(
      n.Make("hard_sigmoid", {n.tensor("self")}, {{"alpha", 1.0 / 6.0}, {"beta", 0.5}}));
}

// softplus(beta x) / beta. The line behind the threshold differs from it by less than e^-threshold.
Status Softplus(Node& n) {
  Builder& b = n.builder();
  const double beta = n.Float("beta", 1), threshold = n.Float("threshold", 20);
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("self"));
  const auto scaled = b.MulScalar(x, beta);
  const auto y = b.MulScalar(n.Make("softplus", {scaled}), 1 / beta);
  if (threshold >= 20) return n.Output(y);
  const auto far = n.Make("greater", {scaled, b.Scalar(x->element(), threshold)});
  return n.Output(n.Make("where", {far, x, y}));
}

Status Shrink(Node& n) {
  const double lambd = n.Float("lambd", 0.5);
  const bool soft = n.op().name == "aten.softshrink.default";
  return n.Output(
      n.Make("shrink", {n.tensor("self")}, {{"lambd", lambd}, {"bias", soft ? lambd : 0.0}}));
}

// x where it is above the threshold, the value elsewhere.
Status Threshold(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("self"));
  const auto above = n.Make("greater", {x, b.Scalar(x->element(), n.Float("threshold"))});
  return n.Output(n.Make("where", {above, x, b.Scalar(x->element(), n.Float("value"))}));
}

Status LogSigmoid(Node& n) {
  return n.Output(n.Make("neg", {n.Make("softplus", {n.Make("neg", {n.tensor("self")})})}));
}

// One slope, or one a channel.
Status PRelu(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("self"));
  KILN_ASSIGN_OR_RETURN(Op * slope, n.tensor("weight"));
  if (Rank(slope) == 1 && slope->shape()[0] == 1) {
    return n.Output(n.Make("prelu", {x, n.builder().Reshape(slope, {})}));
  }
  if (Rank(slope) != 1) return n.Output(n.Make("prelu", {x, slope}));
  if (Rank(x) < 2) return InvalidInput("needs a batch and channels: ", x->type().ToString());
  return n.Output(n.Make("prelu", {x, AlongAxis(n.builder(), slope, 0, Rank(x) - 1)}));
}

// When not training the middle of the slopes.
Status RRelu(Node& n) {
  if (n.Bool("training")) return Unsupported("training is not supported; call eval()");
  const double slope = (n.Float("lower", 0.125) + n.Float("upper", 1.0 / 3.0)) / 2;
  return n.Output(n.Make("leaky_relu", {n.tensor("self")}, {{"alpha", slope}}));
}

// a sigmoid(b) of the halves a and b.
Status Glu(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("self"));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(n.Int("dim", -1), Rank(x)));
  if (x->shape()[axis] % 2 != 0) return InvalidInput("cannot be halved: ", x->type().ToString());
  const int64_t half = x->shape()[axis] / 2;
  return n.Output(b.Mul(SliceAxis(b, x, axis, 0, half),
                        n.Make("sigmoid", {SliceAxis(b, x, axis, half, half)})));
}

Status LogOfBase(Node& n) {
  const double base = n.op().name == "aten.log2.default" ? 2 : 10;
  return n.Output(n.builder().MulScalar(n.Make("log", {FloatSelf(n)}), 1 / std::log(base)));
}

Status Exp2(Node& n) {
  return n.Output(n.Make("exp", {n.builder().MulScalar(FloatSelf(n), std::log(2.0))}));
}

Status Rsqrt(Node& n) { return n.Output(n.Make("reciprocal", {n.Make("sqrt", {FloatSelf(n)})})); }
Status Square(Node& n) { return n.Output(n.builder().Mul(n.tensor("self"), n.tensor("self"))); }

Status Erfc(Node& n) {
  Builder& b = n.builder();
  return n.Output(b.AddScalar(n.Make("neg", {n.Make("erf", {FloatSelf(n)})}), 1));
}

Status LogicalNot(Node& n) {
  return n.Output(n.Make("not", {n.builder().Cast(n.tensor("self"), ElementType::kBool)}));
}

Status BitwiseNot(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("self"));
  return n.Output(n.Make(x->element() == ElementType::kBool ? "not" : "bitwise_not", {x}));
}

// No integer is either.
Status Classify(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("self"));
  if (IsFloat(x->element())) return n.Output(n.Make(n.op().kind, {x}));
  return n.Output(n.builder().Broadcast(n.builder().Scalar(ElementType::kBool, 0), x->shape()));
}

Status IsFinite(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("self"));
  if (!IsFloat(x->element())) {
    return n.Output(n.builder().Broadcast(n.builder().Scalar(ElementType::kBool, 1), x->shape()));
  }
  return n.Output(n.Make("not", {n.Make("or", {n.Make("is_nan", {x}), n.Make("is_inf", {x})})}));
}

// log(x / (1 - x)), with x kept from eps to 1 - eps where that is given.
Status Logit(Node& n) {
  Builder& b = n.builder();
  StatusOr<Op*> x = FloatSelf(n);
  if (n.Has("eps")) x = n.Make("clip", {x}, {{"min", n.Float("eps")}, {"max", 1 - n.Float("eps")}});
  return n.Output(n.Make("log", {b.Div(x, b.AddScalar(n.Make("neg", {x}), 1))}));
}

struct Row {
  const char* name;
  const char* kind;
};

constexpr Row kSame[] = {{"relu", "relu"},    {"selu", "selu"}, {"silu", "silu"},
                         {"mish", "mish"},    {"abs", "abs"},   {"hardswish", "hard_swish"},
                         {"neg", "neg"},      {"sign", "sign"}, {"absolute", "abs"},
                         {"negative", "neg"}, {"sgn", "sign"}};

constexpr Row kFloat[] = {
    {"sigmoid", "sigmoid"}, {"tanh", "tanh"},   {"exp", "exp"},     {"expm1", "expm1"},
    {"log", "log"},         {"log1p", "log1p"}, {"sqrt", "sqrt"},   {"reciprocal", "reciprocal"},
    {"sin", "sin"},         {"cos", "cos"},     {"tan", "tan"},     {"asin", "asin"},
    {"acos", "acos"},       {"atan", "atan"},   {"sinh", "sinh"},   {"cosh", "cosh"},
    {"asinh", "asinh"},     {"acosh", "acosh"}, {"atanh", "atanh"}, {"erf", "erf"}};

}  // namespace

std::vector<PytorchOp> UnaryOps() {
  std::vector<PytorchOp> ops;
  const auto add = [&ops](const Row& row, Status (*handler)(Node&)) {
    ops.push_back(
        {.name = StrCat("aten.", row.name, ".default"), .handler = handler, .kind = row.kind});
  };
  for (const Row& row : kSame) add(row, Unary);
  for (const Row& row : kFloat) add(row, FloatUnary);
  for (const Row& row : std::initializer_list<Row>{
           {"floor", "floor"}, {"ceil", "ceil"}, {"round", "round"}, {"trunc", "trunc"}}) {
    add(row, Round);
  }
  for (const Row& row : std::initializer_list<Row>{{"isnan", "is_nan"}, {"isinf", "is_inf"}}) {
    add(row, Classify);
  }
  struct Function {
    const char* name;
    Status (*handler)(Node&);
    const char* arguments;
  };
  for (const Function& row :
       std::initializer_list<Function>{{"relu6.default", Relu6, "self"},
                                       {"hardtanh.default", Hardtanh, "self min_val max_val"},
                                       {"clamp.default", Clamp, "self min max"},
                                       {"clamp.Tensor", Clamp, "self min max"},
                                       {"clip.default", Clamp, "self min max"},
                                       {"clamp_min.default", Clamp, "self min"},
                                       {"clamp_min.Tensor", Clamp, "self min"},
                                       {"clamp_max.default", Clamp, "self max"},
                                       {"clamp_max.Tensor", Clamp, "self max"},
                                       {"leaky_relu.default", LeakyRelu, "self negative_slope"},
                                       {"elu.default", Elu, "self alpha scale input_scale"},
                                       {"celu.default", Celu, "self alpha"},
                                       {"gelu.default", Gelu, "self approximate"},
                                       {"hardsigmoid.default", HardSigmoid, "self"},
                                       {"softplus.default", Softplus, "self beta threshold"},
                                       {"hardshrink.default", Shrink, "self lambd"},
                                       {"softshrink.default", Shrink, "self lambd"},
                                       {"threshold.default", Threshold, "self threshold value"},
                                       {"log_sigmoid.default", LogSigmoid, "self"},
                                       {"log_sigmoid_forward.default", LogSigmoid, "self"},
                                       {"prelu.default", PRelu, "self weight"},
                                       {"_prelu_kernel.default", PRelu, "self weight"},
                                       {"rrelu.default", RRelu, "self lower upper training"},
                                       {"glu.default", Glu, "self dim"},
                                       {"log2.default", LogOfBase, "self"},
                                       {"log10.default", LogOfBase, "self"},
                                       {"exp2.default", Exp2, "self"},
                                       {"rsqrt.default", Rsqrt, "self"},
                                       {"square.default", Square, "self"},
                                       {"erfc.default", Erfc, "self"},
                                       {"isfinite.default", IsFinite, "self"},
                                       {"logit.default", Logit, "self eps"},
                                       {"logical_not.default", LogicalNot, "self"},
                                       {"bitwise_not.default", BitwiseNot, "self"}}) {
    ops.push_back(
        {.name = StrCat("aten.", row.name), .handler = row.handler, .arguments = row.arguments});
  }
  return ops;
}

}  // namespace kiln::pytorch_import
