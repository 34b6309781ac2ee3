// Normalisations: softmax and its kin, batch, layer, instance and group normalisation, LRN.
#include "compiler/import/foreign/build.h"
#include "compiler/import/onnx/node.h"
#include "compiler/import/onnx/ops/window.h"

namespace kiln::onnx_import {

namespace {

// 1 where x is largest along the axis (the first one, if several), else 0.
StatusOr<Op*> HardmaxAlong(Node& n, Op* x, int64_t axis) {
  Builder& b = n.builder();
  const StatusOr<Op*> largest = n.Make("argmax", {x}, {{"axis", axis}, {"keep_dims", true}});
  const StatusOr<Op*> position = IotaAlong(b, Rank(x), axis, x->shape()[axis], ElementType::kI64);
  return b.Cast(n.Make("equal", {position, largest}), x->element());
}

StatusOr<Op*> SoftmaxAlong(Node& n, Op* x, int64_t axis) {
  if (n.op().kind == "hardmax") return HardmaxAlong(n, x, axis);
  return n.Make(n.op().kind, {x}, {{"axis", axis}});
}

// Before opset 13, the dimensions from `axis` on are taken as one.
Status Softmax(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.operand(0));
  const bool flat = n.opset() < 13;
  const int64_t given = n.Int("axis", flat ? 1 : -1);
  const int64_t rank = Rank(x);
  if (flat && (given == rank || given == -rank - 1)) {
    return InvalidInput("axis ", given, " leaves nothing to normalise over");
  }
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(given, rank));
  if (!flat || axis == rank - 1) return n.Result(SoftmaxAlong(n, x, axis));
  const auto middle = x->shape().begin() + axis;
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const rows,
                        b.Reshape(x, {ElementCount(Shape(x->shape().begin(), middle)),
                                      ElementCount(Shape(middle, x->shape().end()))}));
  return n.Result(b.Reshape(SoftmaxAlong(n, rows, 1), x->shape()));
}

StatusOr<Op*> MeanSquare(Builder& b, const StatusOr<Op*>& x, const std::vector<int64_t>& axes) {
  return Reduce(b, "reduce_mean", b.Mul(x, x), axes, true);
}

// Normalises with the batch's own mean and variance, and gives the running ones moved towards them.
Status TrainBatchNorm(Node& n, Op* x, double epsilon) {
  Builder& b = n.builder();
  std::vector<int64_t> axes = AxesFrom(1, Rank(x));
  axes[0] = 0;
  const Shape channels = {x->shape()[1]};
  const StatusOr<Op*> mean = Reduce(b, "reduce_mean", x, axes, true);
  const StatusOr<Op*> variance = b.Reshape(MeanSquare(b, b.Sub(x, mean), axes), channels);
  const StatusOr<Op*> flat_mean = b.Reshape(mean, channels);
  KILN_RETURN_IF_ERROR(
      n.Result(0, n.Make("batch_norm", {x, n.operand(1), n.operand(2), flat_mean, variance},
                         {{"epsilon", epsilon}})));
  const double momentum = n.Float("momentum", 0.9);
  const auto running = [&](int operand, const StatusOr<Op*>& now) {
    return b.Add(b.MulScalar(n.operand(operand), momentum), b.MulScalar(now, 1 - momentum));
  };
  if (n.Wants(1)) KILN_RETURN_IF_ERROR(n.Result(1, running(3, flat_mean)));
  if (n.Wants(2)) KILN_RETURN_IF_ERROR(n.Result(2, running(4, variance)));
  return OkStatus();
}

Status BatchNorm(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.operand(0));
  if (Rank(x) < 2) return InvalidInput("needs a batch and channels: ", x->type().ToString());
  if (n.Int("spatial", 1) == 0) return Unsupported("attribute 'spatial' of 0 is not supported");
  if (n.opset() < 7 && n.Int("is_test") == 0) {
    return Unsupported("BatchNormalization without is_test is not supported");
  }
  const double epsilon = n.Float("epsilon", 1e-5);
  if (n.Int("training_mode") != 0) return TrainBatchNorm(n, x, epsilon);
  std::vector<StatusOr<Op*>> operands = {x};
  for (int i = 1; i < 5; ++i) operands.push_back(n.builder().Cast(n.operand(i), x->element()));
  n.Freeze(3);
  n.Freeze(4);
  return n.Result(n.Make("batch_norm", operands, {{"epsilon", epsilon}}));
}

Status InstanceNorm(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.operand(0));
  KILN_RETURN_IF_ERROR(SpatialShape(x->type()).status());
  const StatusOr<Op*> y = n.Make("instance_norm", {x}, {{"epsilon", n.Float("epsilon", 1e-5)}});
  return n.Result(b.Add(b.Mul(y, AlongAxis(b, n.operand(1), 1, Rank(x))),
                        AlongAxis(b, n.operand(2), 1, Rank(x))));
}

// Only f32 (1) as the type of the intermediate results: what Kiln computes f16 and bf16 in.
Status CheckStashType(Node& n) {
  if (n.Int("stash_type", 1) == 1) return OkStatus();
  return Unsupported("attribute 'stash_type' other than 1 is not supported");
}

Status LayerNorm(Node& n) {
  Builder& b = n.builder();
  KILN_RETURN_IF_ERROR(CheckStashType(n));
  KILN_ASSIGN_OR_RETURN(Op* const x, n.operand(0));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(n.Int("axis", -1), Rank(x)));
  const double epsilon = n.Float("epsilon", 1e-5);
  StatusOr<Op*> y =
      b.Mul(n.Make("layer_norm", {x}, {{"axis", axis}, {"epsilon", epsilon}}), n.operand(1));
  if (n.Has(2)) y = b.Add(y, n.operand(2));
  KILN_RETURN_IF_ERROR(n.Result(0, y));
  if (!n.Wants(1) && !n.Wants(2)) return OkStatus();
  const std::vector<int64_t> axes = AxesFrom(axis, Rank(x));
  const StatusOr<Op*> mean = Reduce(b, "reduce_mean", x, axes, true);
  KILN_RETURN_IF_ERROR(n.Result(1, mean));
  const StatusOr<Op*> variance = MeanSquare(b, b.Sub(x, mean), axes);
  return n.Result(2, n.Make("reciprocal", {n.Make("sqrt", {b.AddScalar(variance, epsilon)})}));
}

// Scale and bias are per group before opset 21, since then per channel.
Status GroupNorm(Node& n) {
  Builder& b = n.builder();
  KILN_RETURN_IF_ERROR(CheckStashType(n));
  KILN_ASSIGN_OR_RETURN(Op* const x, n.operand(0));
  KILN_RETURN_IF_ERROR(SpatialShape(x->type()).status());
  const int64_t groups = n.Int("num_groups");
  const int64_t channels = x->shape()[1];
  if (groups < 1 || channels % groups != 0) {
    return InvalidInput(channels, " channels do not divide into ", groups, " groups");
  }
  const int64_t batch = x->shape()[0];
  const Shape rest(x->shape().begin() + 2, x->shape().end());
  const int64_t elements = channels / groups * ElementCount(rest);
  const StatusOr<Op*> normal = n.Make("layer_norm", {b.Reshape(x, {batch, groups, elements})},
                                      {{"axis", 2}, {"epsilon", n.Float("epsilon", 1e-5)}});
  const auto scaled = [&](const StatusOr<Op*>& y) -> StatusOr<Op*> {
    KILN_ASSIGN_OR_RETURN(Op* const value, y);
    return b.Add(b.Mul(value, AlongAxis(b, n.operand(1), 1, Rank(value))),
                 AlongAxis(b, n.operand(2), 1, Rank(value)));
  };
  if (n.opset() < 21) return n.Result(b.Reshape(scaled(normal), x->shape()));
  return n.Result(scaled(b.Reshape(normal, x->shape())));
}

// x / sqrt(mean(x^2) + epsilon) * scale
Status RmsNorm(Node& n) {
  Builder& b = n.builder();
  KILN_RETURN_IF_ERROR(CheckStashType(n));
  KILN_ASSIGN_OR_RETURN(Op* const x, n.operand(0));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(n.Int("axis", -1), Rank(x)));
  const StatusOr<Op*> square = MeanSquare(b, x, AxesFrom(axis, Rank(x)));
  const StatusOr<Op*> root = n.Make("sqrt", {b.AddScalar(square, n.Float("epsilon", 1e-5))});
  return n.Result(b.Mul(b.Div(x, root), n.operand(1)));
}

// (x - mean) / (standard deviation + 1e-9)
Status MeanVarianceNorm(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.operand(0));
  std::vector<int64_t> axes = {0, 2, 3};
  if (n.HasAttribute("axes")) axes = n.Ints("axes");
  KILN_ASSIGN_OR_RETURN(axes, NormalAxes(axes, Rank(x)));
  const StatusOr<Op*> centred = b.Sub(x, Reduce(b, "reduce_mean", x, axes, true));
  const StatusOr<Op*> deviation = n.Make("sqrt", {MeanSquare(b, centred, axes)});
  return n.Result(b.Div(centred, b.AddScalar(deviation, 1e-9)));
}

// x / norm, and 0 where the norm is 0.
Status LpNorm(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.operand(0));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(n.Int("axis", -1), Rank(x)));
  const int64_t p = n.Int("p", 2);
  if (p != 1 && p != 2) return InvalidInput("attribute 'p' must be 1 or 2, found ", p);
  const StatusOr<Op*> terms = p == 1 ? n.Make("abs", {x}) : b.Mul(x, x);
  StatusOr<Op*> norm = Reduce(b, "reduce_sum", terms, {axis}, true);
  if (p == 2) norm = n.Make("sqrt", {norm});
  const StatusOr<Op*> zero = n.Make("equal", {norm, b.Scalar(x->element(), 0)});
  return n.Result(b.Div(x, n.Make("where", {zero, b.Scalar(x->element(), 1), norm})));
}

Status Lrn(Node& n) {
  return n.Result(n.Make("lrn", {n.operand(0)},
                         {{"size", n.Int("size")},
                          {"alpha", n.Float("alpha", 1e-4)},
                          {"beta", n.Float("beta", 0.75)},
                          {"bias", n.Float("bias", 1.0)}}));
}

}  // namespace

std::vector<OnnxOp> NormalizationOps() {
  std::vector<OnnxOp> ops;
  struct Row {
    const char* name;
    const char* kind;
  };
  for (const Row& row : std::initializer_list<Row>{
           {"Softmax", "softmax"}, {"LogSoftmax", "log_softmax"}, {"Hardmax", "hardmax"}}) {
    ops.push_back(
        {.name = row.name, .handler = Softmax, .kind = row.kind, .attributes = {Int("axis")}});
  }
  const AttributeSpec epsilon = Float("epsilon");
  const AttributeSpec consumed = Until(5, Ints("consumed_inputs"));
  ops.push_back({.name = "BatchNormalization",
                 .handler = BatchNorm,
                 .operands = {5, 5},
                 .max_results = 5,
                 .attributes = {epsilon, Float("momentum"), Since(14, Int("training_mode")),
                                Until(8, Int("spatial")), Until(6, Int("is_test")), consumed}});
  ops.push_back({.name = "InstanceNormalization",
                 .handler = InstanceNorm,
                 .operands = {3, 3},
                 .attributes = {epsilon, consumed}});
  const AttributeSpec stash = Int("stash_type");
  ops.push_back({.name = "LayerNormalization",
                 .handler = LayerNorm,
                 .operands = {2, 3},
                 .max_results = 3,
                 .attributes = {Int("axis"), epsilon, stash}});
  ops.push_back({.name = "GroupNormalization",
                 .handler = GroupNorm,
                 .operands = {3, 3},
                 .attributes = {Required(Int("num_groups")), epsilon, Since(21, stash)}});
  ops.push_back({.name = "RMSNormalization",
                 .handler = RmsNorm,
                 .operands = {2, 2},
                 .attributes = {Int("axis"), epsilon, stash}});
  ops.push_back({.name = "MeanVarianceNormalization",
                 .handler = MeanVarianceNorm,
                 .attributes = {Ints("axes")}});
  ops.push_back(
      {.name = "LpNormalization", .handler = LpNorm, .attributes = {Int("axis"), Int("p")}});
  ops.push_back(
      {.name = "LRN",
       .handler = Lrn,
       .attributes = {Required(Int("size")), Float("alpha"), Float("beta"), Float("bias")}});
  return ops;
}

}  // namespace kiln::onnx_import
