// The gradient of convolution with respect to its weights: one more sum of products over linear
// addresses, for the contraction engine.
#include "ir/ops/conv_gradient.h"

#include <limits>

#include "ir/ops/op_table.h"
#include "ir/ops/shape_util.h"

namespace kiln {

using loop::Expr;
using loop::Var;

AttributeMap WindowAttributesOf(const Op& op) {
  AttributeMap attributes;
  for (const char* const name : {"strides", "dilations", "pads_low", "pads_high", "groups"}) {
    attributes.emplace(name, op.attribute(name));
  }
  return attributes;
}

namespace {

// Channels of x and of dy in one group.
int64_t InputsOf(const Op& op) { return op.operand(0)->shape()[1] / op.Int("groups"); }
int64_t OutputsOf(const Op& op) { return op.operand(1)->shape()[1] / op.Int("groups"); }

// The window over x, with as many positions as dy has. Requires that infer has passed.
Window WindowOf(const Op& op) {
  return *LimitWindow(op, MakeWindow(op, op.Ints("kernel")), op.operand(1)->shape());
}

StatusOr<TensorType> InferWeightGradient(const Op& op) {
  KILN_RETURN_IF_ERROR(CheckSameElement(op));
  KILN_RETURN_IF_ERROR(CheckFloat(op));
  KILN_RETURN_IF_ERROR(CheckWindow(op, op.Ints("kernel")));
  const Shape &x = op.operand(0)->shape(), &dy = op.operand(1)->shape();
  if (x.size() != dy.size() || x[0] != dy[0]) {
    return OpError(op, "x and dy must have the same rank and batch");
  }
  const int64_t groups = op.Int("groups");
  KILN_RETURN_IF_ERROR(CheckRange(op, "groups", groups, 1, std::numeric_limits<int32_t>::max()));
  if (x[1] == 0 || dy[1] == 0 || x[1] % groups != 0 || dy[1] % groups != 0) {
    return OpError(op, "there must be channels that divide into groups=", groups);
  }
  const auto window = LimitWindow(op, MakeWindow(op, op.Ints("kernel")), dy);
  KILN_RETURN_IF_ERROR(window.status());
  Shape shape = {dy[1], x[1] / groups};
  shape.insert(shape.end(), op.Ints("kernel").begin(), op.Ints("kernel").end());
  KILN_RETURN_IF_ERROR(CheckShape(op, op.operand(0)->element(), shape));
  return TensorType{op.operand(0)->element(), std::move(shape)};
}

Status EvaluateWeightGradient(const Op& op, std::span<const Array* const> in, Array& result) {
  const Window window = WindowOf(op);
  const Array &x = *in[0], &dy = *in[1];
  for (Index w(op.shape()); w.valid(); w.Next()) {
    const int64_t channel = w[0] / OutputsOf(op) * InputsOf(op) + w[1];
    Shape positions = {dy.shape[0]};
    positions.insert(positions.end(), dy.shape.begin() + 2, dy.shape.end());
    for (Index p(positions); p.valid(); p.Next()) {
      std::vector<int64_t> x_at = {p[0], channel}, y_at = {p[0], w[0]};
      bool inside = true;
      for (size_t d = 0; d < window.size(); ++d) {
        y_at.push_back(p[d + 1]);
        x_at.push_back(window[d].InputPosition(p[d + 1], w[d + 2]));
        inside = inside && x_at.back() >= 0 && x_at.back() < window[d].input;
      }
      if (!inside) continue;
      result.floats[w.linear()] +=
          x.floats[Offset(x.shape, x_at)] * dy.floats[Offset(dy.shape, y_at)];
    }
  }
  return OkStatus();
}

Expr WeightGradientElement(const Op& op, const Reader& read, const std::vector<Expr>& index) {
  const Shape& dy = op.operand(1)->shape();
  const Window window = WindowOf(op);
  std::vector<Var> vars;
  const auto variable = [&vars](const std::string& name, int64_t extent) -> Expr {
    if (extent == 1) return 0;
    vars.push_back(loop::MakeVar(name, extent));
    return vars.back();
  };
  const Expr n = variable("n", dy[0]);
  const Expr channel = op.Int("groups") == 1
                           ? index[1]
                           : FloorDiv(index[0], OutputsOf(op)) * InputsOf(op) + index[1];
  std::vector<Expr> x_at = {n, channel}, y_at = {n, index[0]};
  const Layout& zeros = op.operand(0)->type().layout;
  Expr inside;
  for (size_t d = 0; d < window.size(); ++d) {
    const WindowDim& dim = window[d];
    const Expr p = variable(StrCat("p", d), dim.output);
    const Expr position = p * dim.stride + index[d + 2] * dim.dilation - dim.pad_low;
    const Layout::Padding around = zeros.PaddingOf(static_cast<int>(d) + 2);
    if (dim.lowest() < -around.low) inside = AndAlso(inside, Ge(position, 0));
    if (dim.highest() >= dim.input + around.high) inside = AndAlso(inside, Lt(position, dim.input));
    x_at.push_back(position);
    y_at.push_back(p);
  }
  const Expr zero = loop::ConstInt(ComputeType(op.element()), 0);
  const Expr x = Guard(inside, read(0, x_at), zero);
  return Reduce(loop::ReduceOp::kSum, vars, Binary(loop::BinaryOp::kMul, x, read(1, y_at)));
}

// It is linear in both operands: with weights in place of dy, what conv is differentiated to.
StatusOr<Op*> SecondGradient(Builder& b, Op& op, size_t k, Op* dw) {
  if (k == 1) return ConvOfFirst(b, op, op.operand(0), dw, op.operand(1)->shape());
  return ConvInputGradient(b, op, WindowOf(op), op.operand(1), dw);
}

}  // namespace

std::vector<OpDef> ConvGradientOps() {
  using Kind = Attribute::Kind;
  std::vector<AttributeDef> attributes = WindowAttributes();
  attributes.push_back({"groups", Kind::kInt, Attribute(1), "as of the convolution, >= 1"});
  attributes.push_back({"kernel", Kind::kInts, {}, "the extents of the weights, >= 1"});
  std::vector<OpDef> ops;
  ops.push_back({.name = "conv_weight_gradient",
                 .doc = "The gradient of y = conv(x, w) with respect to w, from x [N, C, "
                        "spatial...] and dy, that with respect to y [N, O, spatial...]: "
                        "dw[o,c,k] = sum over n,p of x[n, g*(C/groups)+c, p*stride + k*dilation - "
                        "pad_low] * dy[n,o,p], with g = o / (O/groups). dy may have fewer "
                        "positions than y.",
                 .operands = {{"x"}, {"dy"}},
                 .attributes = std::move(attributes),
                 .traits = kContraction,
                 .infer = InferWeightGradient,
                 .evaluate = EvaluateWeightGradient,
                 .element = WeightGradientElement,
                 .zeros_read = WindowPadding,
                 .gradient = SecondGradient});
  return ops;
}

}  // namespace kiln
