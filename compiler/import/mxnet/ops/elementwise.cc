// Functions of single elements, arithmetic, comparison, Activation, LeakyReLU.
#include "compiler/import/foreign/build.h"
#include "compiler/import/mxnet/node.h"
#include "compiler/import/mxnet/params.h"

namespace kiln::mxnet_import {

namespace {

Status Unary(Node& n) { return n.Output(n.Make(n.op().kind, {n.input(0)})); }
Status Identity(Node& n) { return n.Output(n.input(0)); }
Status Square(Node& n) { return n.Output(n.builder().Mul(n.input(0), n.input(0))); }

Status Rsqrt(Node& n) { return n.Output(n.Make("reciprocal", {n.Make("sqrt", {n.input(0)})})); }

Status Activation(Node& n) {
  struct Row {
    const char* type;
    const char* kind;
  };
  const std::string type = n.String("act_type");
  for (const Row& row : std::initializer_list<Row>{{"relu", "relu"},
                                                   {"sigmoid", "sigmoid"},
                                                   {"tanh", "tanh"},
                                                   {"softrelu", "softplus"},
                                                   {"softsign", "softsign"},
                                                   {"mish", "mish"},
                                                   {"silu", "silu"}}) {
    if (type == row.type) return n.Output(n.Make(row.kind, {n.input(0)}));
  }
  return Unsupported("act_type ", Quote(type), " is not supported");
}

Status PRelu(Node& n, Op* x) {
  if (Rank(x) < 2) return InvalidInput("needs a batch and channels: ", x->type().ToString());
  const auto slope = n.weight(1, {x->shape()[1]});
  if (slope.ok())
    return n.Output(n.Make("prelu", {x, AlongAxis(n.builder(), slope, 0, Rank(x) - 1)}));
  return n.Output(n.Make("prelu", {x, n.builder().Reshape(n.weight(1, {1}), {})}));  // one for all
}

Status LeakyReLU(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  const std::string type = n.String("act_type", "leaky");
  const double slope = n.Float("slope", 0.25);
  if (type == "leaky") return n.Output(n.Make("leaky_relu", {x}, {{"alpha", slope}}));
  if (type == "elu") return n.Output(n.Make("elu", {x}, {{"alpha", slope}}));
  if (type == "selu") return n.Output(n.Make("selu", {x}));
  if (type == "gelu") return n.Output(n.Make("gelu", {x}));
  if (type == "prelu") return PRelu(n, x);
  if (type == "rrelu") {  // at test, the middle of the slopes
    const double middle = (n.Float("lower_bound", 0.125) + n.Float("upper_bound", 0.334)) / 2;
    return n.Output(n.Make("leaky_relu", {x}, {{"alpha", middle}}));
  }
  return Unsupported("act_type ", Quote(type), " is not supported");
}

Status Clip(Node& n) {
  return n.Output(
      n.Make("clip", {n.input(0)}, {{"min", n.Float("a_min")}, {"max", n.Float("a_max")}}));
}

Status HardSigmoid(Node& n) {
  return n.Output(n.Make("hard_sigmoid", {n.input(0)},
                         {{"alpha", n.Float("alpha", 0.2)}, {"beta", n.Float("beta", 0.5)}}));
}

Status Cast(Node& n) {
  struct Row {
    const char* name;
    ElementType type;
  };
  const std::string type = n.String("dtype");
  for (const Row& row : std::initializer_list<Row>{{"float32", ElementType::kF32},
                                                   {"float64", ElementType::kF64},
                                                   {"float16", ElementType::kF16},
                                                   {"bfloat16", ElementType::kBF16},
                                                   {"uint8", ElementType::kU8},
                                                   {"int8", ElementType::kI8},
                                                   {"int32", ElementType::kI32},
                                                   {"int64", ElementType::kI64},
                                                   {"bool", ElementType::kBool}}) {
    if (type == row.name) return n.Output(n.builder().Cast(n.input(0), row.type));
  }
  return Unsupported("dtype ", Quote(type), " is not supported");
}

// Comparisons give numbers of the operands' type.
StatusOr<Op*> Numeric(Node& n, const StatusOr<Op*>& y, const Op* like) {
  KILN_RETURN_IF_ERROR(y.status());
  if ((*y)->element() != ElementType::kBool || like->element() == ElementType::kBool) return y;
  return n.builder().Cast(y, like->element());
}

Status Binary(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const a, n.input(0));
  return n.Output(Numeric(n, n.Make(n.op().kind, {a, n.input(1)}), a));
}

// x op scalar, or scalar op x where the operator's name has an r: _rminus_scalar.
Status WithScalar(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  const auto scalar = n.builder().Scalar(x->element(), n.Float("scalar"));
  const std::string& name = n.op().name;
  const bool reversed = name.find("_r") == 0 || name.find("_R") == 0;
  return n.Output(Numeric(
      n, reversed ? n.Make(n.op().kind, {scalar, x}) : n.Make(n.op().kind, {x, scalar}), x));
}

Status Sum(Node& n) {
  KILN_ASSIGN_OR_RETURN(const std::vector<Op*> xs, n.inputs());
  StatusOr<Op*> y = xs[0];
  for (size_t i = 1; i < xs.size(); ++i) y = n.builder().Add(y, xs[i]);
  return n.Output(y);
}

Status Where(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const condition, n.input(0));
  const auto boolean = n.builder().Cast(condition, ElementType::kBool);
  return n.Output(n.Make("where", {boolean, n.input(1), n.input(2)}));
}

// At test the identity.
Status Dropout(Node& n) { return n.Output(n.input(0)); }

struct Row {
  const char* name;
  const char* kind;
};

constexpr Row kUnary[] = {{"relu", "relu"},
                          {"sigmoid", "sigmoid"},
                          {"tanh", "tanh"},
                          {"exp", "exp"},
                          {"log", "log"},
                          {"log1p", "log1p"},
                          {"expm1", "expm1"},
                          {"sqrt", "sqrt"},
                          {"abs", "abs"},
                          {"_abs", "abs"},
                          {"negative", "neg"},
                          {"sign", "sign"},
                          {"floor", "floor"},
                          {"ceil", "ceil"},
                          {"round", "round"},
                          {"rint", "round"},
                          {"sin", "sin"},
                          {"cos", "cos"},
                          {"tan", "tan"},
                          {"arcsin", "asin"},
                          {"arccos", "acos"},
                          {"arctan", "atan"},
                          {"sinh", "sinh"},
                          {"cosh", "cosh"},
                          {"arcsinh", "asinh"},
                          {"arccosh", "acosh"},
                          {"arctanh", "atanh"},
                          {"erf", "erf"},
                          {"reciprocal", "reciprocal"},
                          {"softsign", "softsign"}};

constexpr Row kBinary[] = {{"elemwise_add", "add"},
                           {"elemwise_sub", "sub"},
                           {"elemwise_mul", "mul"},
                           {"elemwise_div", "div"},
                           {"_plus", "add"},
                           {"_Plus", "add"},
                           {"_minus", "sub"},
                           {"_Minus", "sub"},
                           {"_mul", "mul"},
                           {"_Mul", "mul"},
                           {"_div", "div"},
                           {"_Div", "div"},
                           {"_add", "add"},
                           {"_grad_add", "add"},
                           {"_sub", "sub"},
                           {"_maximum", "max"},
                           {"_Maximum", "max"},
                           {"_minimum", "min"},
                           {"_Minimum", "min"},
                           {"_power", "pow"},
                           {"_Power", "pow"},
                           {"broadcast_add", "add"},
                           {"broadcast_plus", "add"},
                           {"broadcast_sub", "sub"},
                           {"broadcast_minus", "sub"},
                           {"broadcast_mul", "mul"},
                           {"broadcast_div", "div"},
                           {"broadcast_maximum", "max"},
                           {"broadcast_minimum", "min"},
                           {"broadcast_power", "pow"},
                           {"broadcast_mod", "mod"},
                           {"broadcast_equal", "equal"},
                           {"broadcast_not_equal", "not_equal"},
                           {"broadcast_greater", "greater"},
                           {"broadcast_greater_equal", "greater_equal"},
                           {"broadcast_lesser", "less"},
                           {"broadcast_lesser_equal", "less_equal"},
                           {"_equal", "equal"},
                           {"_greater", "greater"},
                           {"_lesser", "less"}};

constexpr Row kScalar[] = {{"_plus_scalar", "add"},
                           {"_PlusScalar", "add"},
                           {"_minus_scalar", "sub"},
                           {"_MinusScalar", "sub"},
                           {"_rminus_scalar", "sub"},
                           {"_RMinusScalar", "sub"},
                           {"_mul_scalar", "mul"},
                           {"_MulScalar", "mul"},
                           {"_div_scalar", "div"},
                           {"_DivScalar", "div"},
                           {"_rdiv_scalar", "div"},
                           {"_RDivScalar", "div"},
                           {"_power_scalar", "pow"},
                           {"_PowerScalar", "pow"},
                           {"_rpower_scalar", "pow"},
                           {"_RPowerScalar", "pow"},
                           {"_maximum_scalar", "max"},
                           {"_MaximumScalar", "max"},
                           {"_minimum_scalar", "min"},
                           {"_MinimumScalar", "min"},
                           {"_mod_scalar", "mod"},
                           {"_equal_scalar", "equal"},
                           {"_not_equal_scalar", "not_equal"},
                           {"_greater_scalar", "greater"},
                           {"_greater_equal_scalar", "greater_equal"},
                           {"_lesser_scalar", "less"},
                           {"_lesser_equal_scalar", "less_equal"}};

}  // namespace

std::vector<MxnetOp> ElementwiseOps() {
  std::vector<MxnetOp> ops;
  for (const Row& row : kUnary) {
    ops.push_back({.name = row.name, .handler = Unary, .kind = row.kind});
  }
  for (const Row& row : kBinary) {
    ops.push_back({.name = row.name, .handler = Binary, .kind = row.kind, .inputs = {2, 2}});
  }
  for (const Row& row : kScalar) {
    ops.push_back({.name = row.name,
                   .handler = WithScalar,
                   .kind = row.kind,
                   .attributes = {"scalar", "is_int", "scalar_on_left", "reverse"}});
  }
  for (const char* const name : {"_copy", "identity", "BlockGrad", "stop_gradient", "amp_cast"}) {
    ops.push_back({.name = name, .handler = Identity, .attributes = {"dtype"}});
  }
  ops.push_back({.name = "square", .handler = Square});
  ops.push_back({.name = "rsqrt", .handler = Rsqrt});
  ops.push_back({.name = "Activation", .handler = Activation, .attributes = {"act_type"}});
  ops.push_back({.name = "LeakyReLU",
                 .handler = LeakyReLU,
                 .inputs = {1, 2},
                 .attributes = {"act_type", "slope", "lower_bound", "upper_bound"}});
  ops.push_back({.name = "clip", .handler = Clip, .attributes = {"a_min", "a_max"}});
  ops.push_back({.name = "hard_sigmoid", .handler = HardSigmoid, .attributes = {"alpha", "beta"}});
  for (const char* const name : {"Cast", "cast"}) {
    ops.push_back({.name = name, .handler = Cast, .attributes = {"dtype"}});
  }
  for (const char* const name : {"add_n", "ElementWiseSum", "_sum"}) {
    ops.push_back({.name = name, .handler = Sum, .inputs = {1, kAny}});
  }
  ops.push_back({.name = "where", .handler = Where, .inputs = {3, 3}});
  ops.push_back({.name = "Dropout",
                 .handler = Dropout,
                 .attributes = {"p", "mode", "axes"},
                 .limits = "the identity, as at test"});
  return ops;
}

}  // namespace kiln::mxnet_import
