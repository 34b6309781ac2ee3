// Losses over classes.
#include "compiler/import/foreign/build.h"
#include "compiler/import/onnx/node.h"

namespace kiln::onnx_import {

namespace {

struct Terms {
  StatusOr<Op*> losses;   // one per position: -log p of the target class, times its weight
  StatusOr<Op*> weights;  // what the mean divides by; null: the number of positions
};

// The loss of each position. Positions whose target is `ignore_index` weigh nothing; so that they
// gather something valid all the same, they look at class 0.
StatusOr<Terms> LossTerms(Node& n, Op* log_p, Op* target) {
  Builder& b = n.builder();
  const ElementType type = log_p->element();
  StatusOr<Op*> classes = target;
  StatusOr<Op*> ignored = nullptr;
  if (n.HasAttribute("ignore_index")) {
    const auto constant = [&](int64_t value) {
      return b.Constant(Tensor::FromInts(target->element(), {}, {value}));
    };
    ignored = n.Make("equal", {target, constant(n.Int("ignore_index"))});
    classes = n.Make("where", {ignored, constant(0), target});
  }
  Shape column = target->shape();
  column.insert(column.begin() + 1, 1);
  const StatusOr<Op*> picked =
      b.Reshape(n.Make("gather_elements", {log_p, b.Reshape(classes, column)}, {{"axis", 1}}),
                target->shape());
  Terms terms{n.Make("neg", {picked}), nullptr};
  if (n.Has(2)) terms.weights = n.Make("gather", {n.operand(2), classes}, {{"axis", 0}});
  if (ignored.ok() && *ignored != nullptr) {
    const StatusOr<Op*> one =
        n.Has(2) ? terms.weights : b.Broadcast(b.Scalar(type, 1), target->shape());
    terms.weights = n.Make("where", {ignored, b.Scalar(type, 0), one});
  }
  KILN_RETURN_IF_ERROR(ignored.status());
  KILN_RETURN_IF_ERROR(terms.weights.status());
  if (*terms.weights != nullptr) terms.losses = b.Mul(terms.losses, terms.weights);
  return terms;
}

StatusOr<Op*> ReduceLoss(Node& n, Op* log_p) {
  KILN_ASSIGN_OR_RETURN(Op* const target, n.operand(1));
  Shape expected = log_p->shape();
  if (expected.size() >= 2) expected.erase(expected.begin() + 1);
  if (Rank(log_p) < 2 || target->shape() != expected) {
    return InvalidInput("scores of ", log_p->type().ToString(), " do not fit targets of ",
                        target->type().ToString());
  }
  KILN_ASSIGN_OR_RETURN(const Terms terms, LossTerms(n, log_p, target));
  const std::string reduction = n.String("reduction", "mean");
  if (reduction == "none") return terms.losses;
  Builder& b = n.builder();
  const std::vector<int64_t> all = AxesFrom(0, Rank(target));
  const StatusOr<Op*> sum = Reduce(b, "reduce_sum", terms.losses, all, false);
  if (reduction == "sum") return sum;
  if (reduction != "mean") return InvalidInput("attribute 'reduction' is ", Quote(reduction));
  if (*terms.weights == nullptr) return Reduce(b, "reduce_mean", terms.losses, all, false);
  return b.Div(sum, Reduce(b, "reduce_sum", terms.weights, all, false));
}

Status NegativeLogLikelihood(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const log_p, n.operand(0));
  return n.Result(ReduceLoss(n, log_p));
}

Status SoftmaxCrossEntropy(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const log_p, n.Make("log_softmax", {n.operand(0)}, {{"axis", 1}}));
  KILN_RETURN_IF_ERROR(n.Result(0, ReduceLoss(n, log_p)));
  return n.Result(1, log_p);
}

}  // namespace

std::vector<OnnxOp> LossOps() {
  std::vector<OnnxOp> ops;
  const std::vector<AttributeSpec> attributes = {String("reduction"), Int("ignore_index")};
  ops.push_back({.name = "NegativeLogLikelihoodLoss",
                 .handler = NegativeLogLikelihood,
                 .operands = {2, 3},
                 .attributes = attributes});
  ops.push_back({.name = "SoftmaxCrossEntropyLoss",
                 .handler = SoftmaxCrossEntropy,
                 .operands = {2, 3},
                 .max_results = 2,
                 .attributes = attributes});
  return ops;
}

}  // namespace kiln::onnx_import
