// Functions of single elements, arithmetic and comparison.
#include "compiler/import/caffe2/node.h"
#include "compiler/import/caffe2/tensor.h"
#include "compiler/import/foreign/build.h"

namespace kiln::caffe2_import {

namespace {

Status Unary(Node& n) { return n.Output(n.Make(n.op().kind, {n.input(0)})); }

// Passes its inputs on.
Status Identity(Node& n) {
  if (n.num_outputs() > 1 && n.num_outputs() != n.num_inputs()) {
    return InvalidInput("has ", n.num_inputs(), " inputs and ", n.num_outputs(), " outputs");
  }
  for (int i = 0; i < n.num_outputs(); ++i) KILN_RETURN_IF_ERROR(n.Output(i, n.input(i)));
  return OkStatus();
}

// The identity; the mask that training would leave is not made.
Status Dropout(Node& n) { return n.Output(n.input(0)); }

Status Alpha(Node& n) {
  const double otherwise = n.op().name == "LeakyRelu" ? 0.01 : 1.0;
  return n.Output(n.Make(n.op().kind, {n.input(0)}, {{"alpha", n.Float("alpha", otherwise)}}));
}

Status Selu(Node& n) {
  return n.Output(n.Make("selu", {n.input(0)},
                         {{"alpha", n.Float("alpha", 1.6732632423543772)},
                          {"gamma", n.Float("scale", 1.0507009873554805)}}));
}

Status PRelu(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  KILN_ASSIGN_OR_RETURN(Op* const slope, n.input(1));
  if (slope->type().count() == 1)
    return n.Output(n.Make("prelu", {x, n.builder().Reshape(slope, {})}));
  const int64_t axis = n.IsNhwc() ? Rank(x) - 1 : 1;
  return n.Output(n.Make("prelu", {x, AlongAxis(n.builder(), slope, axis, Rank(x))}));
}

Status Clip(Node& n) {
  AttributeMap attributes;
  if (n.HasArgument("min")) attributes.emplace("min", n.Float("min"));
  if (n.HasArgument("max")) attributes.emplace("max", n.Float("max"));
  return n.Output(n.Make("clip", {n.input(0)}, std::move(attributes)));
}

Status Pow(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  if (n.Has(1)) return n.Output(n.Make("pow", {x, n.input(1)}));
  return n.Output(n.Make("pow", {x, n.builder().Scalar(x->element(), n.Float("exponent"))}));
}

Status Sqr(Node& n) { return n.Output(n.builder().Mul(n.input(0), n.input(0))); }

Status Scale(Node& n) { return n.Output(n.builder().MulScalar(n.input(0), n.Float("scale", 1))); }

Status Gelu(Node& n) {
  const char* const form = n.Int("fast_gelu") != 0 ? "tanh" : "none";
  return n.Output(n.Make("gelu", {n.input(0)}, {{"approximate", form}}));
}

Status Mod(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  const auto divisor = n.builder().Scalar(x->element(), static_cast<double>(n.Int("divisor")));
  return n.Output(n.Make(n.Int("sign_follow_divisor") != 0 ? "mod" : "rem", {x, divisor}));
}

Status ReplaceNaN(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  const auto value = n.builder().Scalar(x->element(), n.Float("value"));
  return n.Output(n.Make("where", {n.Make("is_nan", {x}), value, x}));
}

Status Cast(Node& n) {
  const caffe2::Argument* const to = n.Find("to");
  if (to == nullptr) return InvalidInput("argument 'to' is missing");
  KILN_ASSIGN_OR_RETURN(const ElementType element,
                        to->has_s() ? ToElementType(to->s()) : ToElementType(to->i()));
  return n.Output(n.builder().Cast(n.input(0), element));
}

// Before numpy's rule came, `axis` said where the second operand stands beside the first.
StatusOr<Op*> SecondOperand(Node& n, const Op* a) {
  KILN_ASSIGN_OR_RETURN(Op* const b, n.input(1));
  if (n.Int("broadcast") == 0 || !n.HasArgument("axis")) return b;
  const int64_t axis = n.Int("axis");
  if (axis < 0 || axis + Rank(b) > Rank(a)) {
    return InvalidInput("axis ", axis, " does not fit ", a->type().ToString(), " and ",
                        b->type().ToString());
  }
  Shape shape = b->shape();
  shape.resize(static_cast<size_t>(Rank(a) - axis), 1);
  return n.builder().Reshape(b, shape);
}

Status Binary(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const a, n.input(0));
  return n.Output(n.Make(n.op().kind, {a, SecondOperand(n, a)}));
}

// One operand after another.
Status Chain(Node& n) {
  KILN_ASSIGN_OR_RETURN(const std::vector<Op*> xs, n.inputs());
  StatusOr<Op*> y = xs[0];
  for (size_t i = 1; i < xs.size(); ++i) y = n.Make(n.op().kind, {y, xs[i]});
  return n.Output(y);
}

Status Mean(Node& n) {
  KILN_ASSIGN_OR_RETURN(const std::vector<Op*> xs, n.inputs());
  StatusOr<Op*> y = xs[0];
  for (size_t i = 1; i < xs.size(); ++i) y = n.builder().Add(y, xs[i]);
  return n.Output(n.builder().MulScalar(y, 1.0 / static_cast<double>(xs.size())));
}

Status Where(Node& n) { return n.Output(n.Make("where", {n.input(0), n.input(1), n.input(2)})); }

// X [N.., D..] * w [D..] + b [D..], split at `axis`.
Status ElementwiseLinear(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(n.Int("axis", 1), Rank(x)));
  const Shape shape(x->shape().begin() + axis, x->shape().end());
  return n.Output(b.Add(b.Mul(x, b.Reshape(n.input(1), shape)), b.Reshape(n.input(2), shape)));
}

}  // namespace

std::vector<Caffe2Op> ElementwiseOps() {
  std::vector<Caffe2Op> ops;
  struct Row {
    const char* name;
    const char* kind;
  };
  for (const Row& row :
       std::initializer_list<Row>{{"Relu", "relu"},         {"Sigmoid", "sigmoid"},
                                  {"Tanh", "tanh"},         {"Exp", "exp"},
                                  {"Log", "log"},           {"Log1p", "log1p"},
                                  {"Sqrt", "sqrt"},         {"Abs", "abs"},
                                  {"Negative", "neg"},      {"Sign", "sign"},
                                  {"Sin", "sin"},           {"Cos", "cos"},
                                  {"Tan", "tan"},           {"Softplus", "softplus"},
                                  {"Softsign", "softsign"}, {"Swish", "silu"},
                                  {"Floor", "floor"},       {"Ceil", "ceil"},
                                  {"Erf", "erf"},           {"Reciprocal", "reciprocal"},
                                  {"Not", "not"},           {"Asin", "asin"},
                                  {"Acos", "acos"},         {"Atan", "atan"},
                                  {"Sinh", "sinh"},         {"Cosh", "cosh"},
                                  {"IsNaN", "is_nan"}}) {
    ops.push_back({.name = row.name, .handler = Unary, .kind = row.kind, .arguments = {"order"}});
  }
  for (const char* const name : {"Copy", "Alias", "StopGradient", "EnsureCPUOutput", "CopyCPUToGPU",
                                 "CopyGPUToCPU", "EnsureDense", "Print"}) {
    ops.push_back({.name = name, .handler = Identity, .inputs = {1, kAny}, .max_outputs = kAny});
  }
  ops.push_back({.name = "Dropout", .handler = Dropout, .max_outputs = 2, .arguments = {"ratio"}});
  ops.push_back(
      {.name = "LeakyRelu", .handler = Alpha, .kind = "leaky_relu", .arguments = {"alpha"}});
  ops.push_back({.name = "Elu", .handler = Alpha, .kind = "elu", .arguments = {"alpha"}});
  ops.push_back({.name = "Selu", .handler = Selu, .arguments = {"alpha", "scale"}});
  ops.push_back({.name = "PRelu", .handler = PRelu, .inputs = {2, 2}, .arguments = {"order"}});
  ops.push_back({.name = "Clip", .handler = Clip, .arguments = {"min", "max"}});
  ops.push_back({.name = "Pow", .handler = Pow, .inputs = {1, 2}, .arguments = {"exponent"}});
  ops.push_back({.name = "Sqr", .handler = Sqr});
  ops.push_back({.name = "Scale", .handler = Scale, .arguments = {"scale"}});
  ops.push_back({.name = "Gelu", .handler = Gelu, .arguments = {"fast_gelu"}});
  ops.push_back({.name = "Mod", .handler = Mod, .arguments = {"divisor", "sign_follow_divisor"}});
  ops.push_back({.name = "ReplaceNaN", .handler = ReplaceNaN, .arguments = {"value"}});
  ops.push_back({.name = "Cast", .handler = Cast, .arguments = {"to", "from_type"}});
  for (const Row& row : std::initializer_list<Row>{{"Add", "add"},
                                                   {"Sub", "sub"},
                                                   {"Mul", "mul"},
                                                   {"Div", "div"},
                                                   {"EQ", "equal"},
                                                   {"NE", "not_equal"},
                                                   {"LT", "less"},
                                                   {"GT", "greater"},
                                                   {"LE", "less_equal"},
                                                   {"GE", "greater_equal"},
                                                   {"And", "and"},
                                                   {"Or", "or"},
                                                   {"Xor", "xor"}}) {
    ops.push_back({.name = row.name,
                   .handler = Binary,
                   .kind = row.kind,
                   .inputs = {2, 2},
                   .arguments = {"broadcast", "axis", "axis_str", "order"}});
  }
  for (const Row& row :
       std::initializer_list<Row>{{"Sum", "add"}, {"Max", "max"}, {"Min", "min"}}) {
    ops.push_back({.name = row.name,
                   .handler = Chain,
                   .kind = row.kind,
                   .inputs = {1, kAny},
                   .arguments = {"order"}});
  }
  ops.push_back({.name = "Mean", .handler = Mean, .inputs = {1, kAny}});
  ops.push_back({.name = "Where", .handler = Where, .inputs = {3, 3}});
  ops.push_back({.name = "ElementwiseLinear",
                 .handler = ElementwiseLinear,
                 .inputs = {3, 3},
                 .arguments = {"axis"}});
  return ops;
}

}  // namespace kiln::caffe2_import
