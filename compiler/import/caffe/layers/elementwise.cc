// Functions of single elements: activations, Power and its kin, Eltwise, Scale, Bias.
#include <cmath>

#include "compiler/import/caffe/layer.h"
#include "compiler/import/foreign/build.h"

namespace kiln::caffe_import {

namespace {

Status Unary(Layer& n) { return n.Top(n.Make(n.spec().kind, {n.bottom(0)})); }

Status ReLU(Layer& n) {
  const double slope = n.proto().relu_param().negative_slope();
  if (slope == 0) return n.Top(n.Make("relu", {n.bottom(0)}));
  return n.Top(n.Make("leaky_relu", {n.bottom(0)}, {{"alpha", slope}}));
}

Status ReLU6(Layer& n) {
  return n.Top(n.Make("clip", {n.bottom(0)}, {{"min", 0.0}, {"max", 6.0}}));
}

Status Clip(Layer& n) {
  const caffe::ClipParameter& param = n.proto().clip_param();
  return n.Top(
      n.Make("clip", {n.bottom(0)}, {{"min", double{param.min()}}, {"max", double{param.max()}}}));
}

Status Elu(Layer& n) {
  return n.Top(n.Make("elu", {n.bottom(0)}, {{"alpha", double{n.proto().elu_param().alpha()}}}));
}

Status PRelu(Layer& n) {
  const caffe::PReLUParameter& param = n.proto().prelu_param();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.bottom(0));
  if (Rank(x) < 2) return InvalidInput("needs a batch and channels: ", x->type().ToString());
  caffe::FillerParameter filler = param.filler();
  if (!param.has_filler()) filler.set_value(0.25f);
  const Shape shape = param.channel_shared() ? Shape{} : Shape{x->shape()[1]};
  StatusOr<Op*> slope = n.Blob(0, "slope", shape, filler);
  if (!param.channel_shared()) slope = AlongAxis(n.builder(), slope, 0, Rank(x) - 1);
  return n.Top(n.Make("prelu", {x, slope}));
}

Status Swish(Layer& n) {
  const double beta = n.proto().swish_param().beta();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.bottom(0));
  if (beta == 1) return n.Top(n.Make("silu", {x}));
  return n.Top(n.builder().Mul(x, n.Make("sigmoid", {n.builder().MulScalar(x, beta)})));
}

// 1 where x is above the threshold, else 0.
Status Threshold(Layer& n) {
  const auto above =
      n.Make("greater", {n.bottom(0), n.Scalar(n.proto().threshold_param().threshold())});
  return n.Top(n.builder().Cast(above, ElementType::kF32));
}

// shift + scale x
template <typename Param>
StatusOr<Op*> Affine(Layer& n, const Param& param) {
  StatusOr<Op*> y = n.bottom(0);
  if (param.scale() != 1) y = n.builder().MulScalar(y, param.scale());
  return param.shift() == 0 ? y : n.builder().AddScalar(y, param.shift());
}

// (shift + scale x)^power
Status Power(Layer& n) {
  const caffe::PowerParameter& param = n.proto().power_param();
  if (param.power() == 0) {  // even where x is 0 or not a number
    KILN_ASSIGN_OR_RETURN(Op* const x, n.bottom(0));
    return n.Top(n.builder().Broadcast(n.Scalar(1), x->shape()));
  }
  const auto y = Affine(n, param);
  if (param.power() == 1) return n.Top(y);
  if (param.power() == 2) return n.Top(n.builder().Mul(y, y));
  return n.Top(n.Make("pow", {y, n.Scalar(param.power())}));
}

// ln of the base that Exp and Log name; -1 stands for e.
StatusOr<double> LogOfBase(double base) {
  if (base == -1) return 1.0;
  if (base > 0) return std::log(base);
  return InvalidInput("base must be positive, or -1 for e, found ", base);
}

// base^(shift + scale x)
Status Exp(Layer& n) {
  KILN_ASSIGN_OR_RETURN(const double log, LogOfBase(n.proto().exp_param().base()));
  StatusOr<Op*> y = Affine(n, n.proto().exp_param());
  if (log != 1) y = n.builder().MulScalar(y, log);
  return n.Top(n.Make("exp", {y}));
}

// log_base(shift + scale x)
Status Log(Layer& n) {
  KILN_ASSIGN_OR_RETURN(const double log, LogOfBase(n.proto().log_param().base()));
  const auto y = n.Make("log", {Affine(n, n.proto().log_param())});
  return n.Top(log == 1 ? y : n.builder().MulScalar(y, 1 / log));
}

// The identity until it is trained, when what is kept is scaled up: at once, or, without
// scale_train, not at all, and then the use of the net makes up for it.
Status Dropout(Layer& n) {
  const caffe::DropoutParameter& param = n.proto().dropout_param();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.bottom(0));
  const double ratio = param.dropout_ratio();
  const StatusOr<Op*> y = ratio == 0 ? x : n.Make("dropout", {x}, {{"ratio", ratio}});
  if (param.scale_train()) return n.Top(y);
  return n.Top(n.builder().MulScalar(y, 1.0 - ratio));
}

Status Eltwise(Layer& n) {
  const caffe::EltwiseParameter& param = n.proto().eltwise_param();
  const bool sum = param.operation() == caffe::EltwiseParameter::SUM;
  if (param.coeff_size() > 0 && (!sum || param.coeff_size() != n.num_bottoms())) {
    return InvalidInput("has ", param.coeff_size(), " coefficients for ", n.num_bottoms(),
                        " bottoms");
  }
  const char* const kind = sum                                                  ? "add"
                           : param.operation() == caffe::EltwiseParameter::PROD ? "mul"
                                                                                : "max";
  KILN_ASSIGN_OR_RETURN(const std::vector<Op*> xs, n.bottoms());
  StatusOr<Op*> y;
  for (int i = 0; i < n.num_bottoms(); ++i) {
    if (xs[i]->shape() != xs[0]->shape()) {
      return InvalidInput("bottoms differ in shape: ", xs[0]->type().ToString(), " and ",
                          xs[i]->type().ToString());
    }
    StatusOr<Op*> x = xs[i];
    if (param.coeff_size() > 0 && param.coeff(i) != 1) {
      x = n.builder().MulScalar(x, param.coeff(i));
    }
    y = i == 0 ? x : n.Make(kind, {y, x});
  }
  return n.Top(y);
}

// The dimensions of bottom 0 from `axis` on that the factor or summand has, for a learned one.
StatusOr<Shape> LearnedShape(const Op* x, int64_t axis, int64_t num_axes) {
  if (num_axes < -1 || axis + num_axes > Rank(x)) {
    return InvalidInput("num_axes ", num_axes, " from axis ", axis, " passes the end of ",
                        x->type().ToString());
  }
  const auto begin = x->shape().begin() + axis;
  return Shape(begin, num_axes == -1 ? x->shape().end() : begin + num_axes);
}

// `y` with dimensions of 1 behind it, so that its first one stands beside dimension `axis` of x.
StatusOr<Op*> AlignAt(Layer& n, const StatusOr<Op*>& y, const Op* x, int64_t axis) {
  KILN_RETURN_IF_ERROR(y.status());
  Shape shape = (*y)->shape();
  if (axis + static_cast<int64_t>(shape.size()) > Rank(x)) {
    return InvalidInput((*y)->type().ToString(), " at axis ", axis, " passes the end of ",
                        x->type().ToString());
  }
  for (size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] != x->shape()[axis + static_cast<int64_t>(d)]) {
      return InvalidInput((*y)->type().ToString(), " does not fit ", x->type().ToString(),
                          " from axis ", axis);
    }
  }
  if (shape.empty()) return y;
  shape.resize(static_cast<size_t>(Rank(x) - axis), 1);
  return n.builder().Reshape(y, shape);
}

Status Scale(Layer& n) {
  const caffe::ScaleParameter& param = n.proto().scale_param();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.bottom(0));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(param.axis(), Rank(x)));
  const bool learned = n.num_bottoms() == 1;
  StatusOr<Op*> scale = n.bottom(1);
  if (learned) {
    KILN_ASSIGN_OR_RETURN(const Shape shape, LearnedShape(x, axis, param.num_axes()));
    caffe::FillerParameter filler = param.filler();
    if (!param.has_filler()) filler.set_value(1);
    scale = n.Blob(0, "scale", shape, filler);
  }
  KILN_RETURN_IF_ERROR(scale.status());
  const Shape shape = (*scale)->shape();
  StatusOr<Op*> y = n.builder().Mul(x, AlignAt(n, scale, x, axis));
  if (param.bias_term()) {
    const auto bias = n.Blob(learned ? 1 : 0, "bias", shape, param.bias_filler());
    y = n.builder().Add(y, AlignAt(n, bias, x, axis));
  }
  return n.Top(y);
}

Status Bias(Layer& n) {
  const caffe::BiasParameter& param = n.proto().bias_param();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.bottom(0));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(param.axis(), Rank(x)));
  StatusOr<Op*> bias = n.bottom(1);
  if (n.num_bottoms() == 1) {
    KILN_ASSIGN_OR_RETURN(const Shape shape, LearnedShape(x, axis, param.num_axes()));
    bias = n.Blob(0, "bias", shape, param.filler());
  }
  return n.Top(n.builder().Add(x, AlignAt(n, bias, x, axis)));
}

// bottom 0 [N, C] times bottom 1 [N, C, H, W] plus bottom 2.
Status Axpy(Layer& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.bottom(1));
  KILN_ASSIGN_OR_RETURN(Op* const a, n.bottom(0));
  Shape shape = a->shape();
  if (shape.size() < 2 || Rank(x) < 2) return InvalidInput("needs a batch and channels");
  shape.resize(static_cast<size_t>(Rank(x)), 1);
  return n.Top(n.builder().Add(n.builder().Mul(n.builder().Reshape(a, shape), x), n.bottom(2)));
}

}  // namespace

std::vector<CaffeLayer> ElementwiseLayers() {
  std::vector<CaffeLayer> layers;
  const auto add = [&](const char* name, Status (*handler)(Layer&), const char* kind = "") {
    layers.push_back({.name = name, .handler = handler, .kind = kind});
  };
  add("AbsVal", Unary, "abs");
  add("BNLL", Unary, "softplus");
  add("Mish", Unary, "mish");
  add("Sigmoid", Unary, "sigmoid");
  add("TanH", Unary, "tanh");
  add("ReLU", ReLU);
  add("ReLU6", ReLU6);
  add("Clip", Clip);
  add("ELU", Elu);
  add("PReLU", PRelu);
  add("Swish", Swish);
  add("Threshold", Threshold);
  add("Power", Power);
  add("Exp", Exp);
  add("Log", Log);
  layers.push_back({.name = "Dropout", .handler = Dropout});
  layers.push_back({.name = "Eltwise", .handler = Eltwise, .bottoms = {2, kAny}});
  layers.push_back({.name = "Scale", .handler = Scale, .bottoms = {1, 2}});
  layers.push_back({.name = "Bias", .handler = Bias, .bottoms = {1, 2}});
  layers.push_back({.name = "Axpy", .handler = Axpy, .bottoms = {3, 3}});
  return layers;
}

}  // namespace kiln::caffe_import
