// The domain ai.onnx.preview.training. Its optimizers take a step's rate R and number T, then lists
// of tensors, and follow the equations of their specification (version 1).
#include "compiler/import/foreign/build.h"
#include "compiler/import/onnx/graph_importer.h"
#include "compiler/import/onnx/node.h"
#include "ir/graph/op_def.h"
#include "passes/training/differentiate.h"

namespace kiln::onnx_import {

namespace {

/// One optimized tensor's part of a step.
class Step {
 public:
  Step(Node& node, int64_t count) : n_(node), b_(node.builder()), count_(count) {}

  StatusOr<Op*> Rate() { return Scalar(0); }
  /// The tensor `item` of list `list`.
  StatusOr<Op*> Item(int64_t list, int64_t item) {
    return n_.operand(static_cast<int>(2 + list * count_ + item));
  }
  Status SetItem(int64_t list, int64_t item, const StatusOr<Op*>& value) {
    return n_.Result(static_cast<int>(list * count_ + item), value);
  }
  /// G + norm_coefficient X.
  StatusOr<Op*> Gradient(int64_t item) {
    return b_.Add(Item(1, item), b_.MulScalar(Item(0, item), n_.Float("norm_coefficient")));
  }
  /// decay^T of the rate's type.
  StatusOr<Op*> Decayed(const StatusOr<Op*>& rate, double decay) {
    KILN_RETURN_IF_ERROR(rate.status());
    const ElementType type = (*rate)->element();
    return n_.Make("pow", {b_.Scalar(type, decay), b_.Cast(Scalar(1), type)});
  }
  /// T > 0 ? later : first.
  StatusOr<Op*> ByStep(const StatusOr<Op*>& later, const StatusOr<Op*>& first) {
    const StatusOr<Op*> zero = b_.Constant(Tensor::FromInts(ElementType::kI64, {}, {0}));
    return n_.Make("where", {n_.Make("greater", {Scalar(1), zero}), later, first});
  }
  StatusOr<Op*> Sqrt(const StatusOr<Op*>& x) { return n_.Make("sqrt", {x}); }
  /// factor x + other.
  StatusOr<Op*> Blend(const StatusOr<Op*>& x, double factor, const StatusOr<Op*>& other) {
    return b_.Add(b_.MulScalar(x, factor), other);
  }
  StatusOr<Op*> CastLike(const StatusOr<Op*>& x, const StatusOr<Op*>& like) {
    KILN_RETURN_IF_ERROR(like.status());
    return b_.Cast(x, (*like)->element());
  }
  /// `x` as a number of rank 0.
  StatusOr<Op*> Scalar(int operand) {
    KILN_ASSIGN_OR_RETURN(const TensorType type, n_.OperandType(operand));
    if (type.count() == 1) return b_.Reshape(n_.operand(operand), {});
    return InvalidInput("operand ", operand, " must be one number, found ", type.ToString());
  }
  int64_t count() const { return count_; }

 private:
  Node& n_;
  Builder& b_;
  int64_t count_;
};

StatusOr<Step> ReadStep(Node& n, int64_t lists) {
  const int64_t tensors = n.num_operands() - 2;
  if (tensors >= lists && tensors % lists == 0) return Step(n, tensors / lists);
  return InvalidInput("has ", tensors, " tensors, expected ", lists, " lists of them");
}

// H' = H + G^2; X' = X - r G / (sqrt(H') + epsilon), with r = R / (1 + T decay_factor).
Status Adagrad(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Step s, ReadStep(n, 3));
  KILN_ASSIGN_OR_RETURN(Op* const rate, s.Rate());
  const StatusOr<Op*> steps = b.Cast(s.Scalar(1), rate->element());
  const StatusOr<Op*> r = b.Div(rate, b.AddScalar(b.MulScalar(steps, n.Float("decay_factor")), 1));
  for (int64_t i = 0; i < s.count(); ++i) {
    const StatusOr<Op*> x = s.Item(0, i), g = s.Gradient(i);
    const StatusOr<Op*> h = b.Add(s.Item(2, i), b.Mul(g, g));
    const StatusOr<Op*> scale = b.AddScalar(s.Sqrt(h), n.Float("epsilon", 1e-6));
    KILN_RETURN_IF_ERROR(s.SetItem(0, i, b.Sub(x, b.Div(b.Mul(s.CastLike(r, x), g), scale))));
    KILN_RETURN_IF_ERROR(s.SetItem(1, i, h));
  }
  return OkStatus();
}

// V' = alpha V + (1-alpha) G; H' = beta H + (1-beta) G^2; X' = (X - r V' / (sqrt(H') + epsilon))
// (1 - norm_coefficient_post), with r = R sqrt(1-beta^T) / (1-alpha^T), or R in step 0.
Status Adam(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Step s, ReadStep(n, 4));
  // The specification's default, 1e-6, is not what ONNX's own test data were made with (1e-2).
  if (!n.HasAttribute("epsilon")) return Unsupported("Adam without the attribute 'epsilon'");
  const double alpha = n.Float("alpha", 0.9), beta = n.Float("beta", 0.999);
  const StatusOr<Op*> rate = s.Rate();
  const auto rest = [&](double decay) {
    return b.AddScalar(b.MulScalar(s.Decayed(rate, decay), -1), 1);
  };
  const StatusOr<Op*> r = s.ByStep(b.Div(b.Mul(rate, s.Sqrt(rest(beta))), rest(alpha)), rate);
  for (int64_t i = 0; i < s.count(); ++i) {
    const StatusOr<Op*> x = s.Item(0, i), g = s.Gradient(i);
    const StatusOr<Op*> v = s.Blend(s.Item(2, i), alpha, b.MulScalar(g, 1 - alpha));
    const StatusOr<Op*> h = s.Blend(s.Item(3, i), beta, b.MulScalar(b.Mul(g, g), 1 - beta));
    const StatusOr<Op*> scale = b.AddScalar(s.Sqrt(h), n.Float("epsilon"));
    const StatusOr<Op*> next = b.Sub(x, b.Div(b.Mul(s.CastLike(r, x), v), scale));
    KILN_RETURN_IF_ERROR(s.SetItem(0, i, b.MulScalar(next, 1 - n.Float("norm_coefficient_post"))));
    KILN_RETURN_IF_ERROR(s.SetItem(1, i, v));
    KILN_RETURN_IF_ERROR(s.SetItem(2, i, h));
  }
  return OkStatus();
}

// V' = alpha V + beta G (beta is 1 in step 0); X' = X - R V', or X - R (G + alpha V') (nesterov).
Status Momentum(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Step s, ReadStep(n, 3));
  const std::string mode = n.String("mode");
  if (mode != "standard" && mode != "nesterov") {
    return InvalidInput("attribute 'mode' is ", Quote(mode));
  }
  for (int64_t i = 0; i < s.count(); ++i) {
    KILN_ASSIGN_OR_RETURN(Op* const x, s.Item(0, i));
    const StatusOr<Op*> g = s.Gradient(i);
    const StatusOr<Op*> beta =
        s.ByStep(b.Scalar(x->element(), n.Float("beta")), b.Scalar(x->element(), 1));
    const StatusOr<Op*> v = s.Blend(s.Item(2, i), n.Float("alpha"), b.Mul(beta, g));
    const StatusOr<Op*> direction = mode == "standard" ? v : s.Blend(v, n.Float("alpha"), g);
    KILN_RETURN_IF_ERROR(s.SetItem(0, i, b.Sub(x, b.Mul(s.CastLike(s.Rate(), x), direction))));
    KILN_RETURN_IF_ERROR(s.SetItem(1, i, v));
  }
  return OkStatus();
}

// The derivatives of y by each of xs: values of the graph around the node, by name. The operands
// are the values that xs and zs then have, which here must be those of the graph.
Status Gradient(Node& n) {
  std::vector<std::string> names = n.Strings("xs");
  const size_t num_results = names.size();
  for (const std::string& name : n.Strings("zs")) names.push_back(name);
  if (static_cast<int>(names.size()) != n.num_operands() ||
      static_cast<int>(num_results) != n.num_results()) {
    return InvalidInput("xs and zs name ", names.size(), " values, the node has ", n.num_operands(),
                        " operands");
  }
  std::vector<Op*> wanted;
  for (int i = 0; i < n.num_operands(); ++i) {
    KILN_ASSIGN_OR_RETURN(Op* const op, n.operand(i));
    Value* const named = n.scope().Find(names[i]);
    if (named == nullptr || named->op != op) {
      return Unsupported("operand ", i, " is not the value ", Quote(names[i]), " of the graph");
    }
    if (static_cast<size_t>(i) < num_results) wanted.push_back(op);
  }
  Value* const y = n.scope().Find(n.String("y"));
  if (y == nullptr || y->poisoned()) {
    return InvalidInput("there is no value ", Quote(n.String("y")), " before the node");
  }
  KILN_ASSIGN_OR_RETURN(Op* const target, n.importer().ToOp(y));
  // Gradients of gradients multiply the graph.
  constexpr size_t kMaxOps = 1 << 16;
  if (target->graph()->ops().size() > kMaxOps) {
    return Unsupported("gradients of graphs of more than ", kMaxOps, " ops are not supported");
  }
  for (const auto& op : target->graph()->ops()) {
    // Differentiating would replace the op, which names of the model stand for.
    if (op->def().gradient || !op->def().decompose) continue;
    return Unsupported("gradients of graphs with ", op->kind(), " are not supported");
  }
  KILN_ASSIGN_OR_RETURN(const std::vector<Op*> gradients, Differentiate(target, wanted));
  n.Rename();
  Builder& b = n.builder();
  for (size_t i = 0; i < num_results; ++i) {
    const StatusOr<Op*> zero = b.Broadcast(b.Scalar(wanted[i]->element(), 0), wanted[i]->shape());
    KILN_RETURN_IF_ERROR(
        n.Result(static_cast<int>(i), gradients[i] == nullptr ? zero : gradients[i]));
  }
  return OkStatus();
}

}  // namespace

std::vector<OnnxOp> TrainingOps() {
  const std::string domain = "ai.onnx.preview.training.";
  std::vector<OnnxOp> ops;
  ops.push_back(
      {.name = domain + "Adagrad",
       .handler = Adagrad,
       .attributes = {Float("decay_factor"), Float("epsilon"), Float("norm_coefficient")}});
  ops.push_back({.name = domain + "Adam",
                 .handler = Adam,
                 .attributes = {Float("alpha"), Float("beta"), Float("epsilon"),
                                Float("norm_coefficient"), Float("norm_coefficient_post")},
                 .limits = "with a given epsilon"});
  ops.push_back({.name = domain + "Momentum",
                 .handler = Momentum,
                 .attributes = {Required(Float("alpha")), Required(Float("beta")),
                                Required(String("mode")), Required(Float("norm_coefficient"))}});
  ops.push_back({.name = domain + "Gradient",
                 .handler = Gradient,
                 .attributes = {Required(Strings("xs")), Strings("zs"), Required(String("y"))},
                 .limits = "at the graph's own values, of primitive operators"});
  for (OnnxOp& op : ops) {
    op.operands = {op.handler == Gradient ? 1 : 5, kAny};
    op.max_results = kAny;
    op.last = 1;
  }
  return ops;
}

}  // namespace kiln::onnx_import
