// Losses: how far scores are from what they should be, as one number. Each is a composite of
// primitive ops, which says exactly what it computes, and is differentiated through them but for
// softmax_cross_entropy, whose gradient is simpler than that of its parts.
//
// The normalisations are Caffe's (LossParameter in caffe.proto).
#include <algorithm>

#include "ir/ops/gradient.h"
#include "ir/ops/op_table.h"
#include "ir/ops/shape_util.h"

namespace kiln {

namespace {

using Kind = Attribute::Kind;

TensorType ScalarLike(const Op& op) { return {op.operand(0)->element(), {}}; }

Term SumAll(const Term& x) {
  return x.Sum(AllAxes(x.has_value() ? x.shape().size() : 0)).Reshape({});
}

Term CastTo(const Term& x, ElementType to) { return x.Make("cast", {{"to", to}}); }

// ---- labels

/// Whether each label counts; false where it is one of ignore_labels.
Term Counts(const Op& op, const Term& labels) {
  Term counts = Term::Zero(labels.b());
  for (const int64_t label : op.Ints("ignore_labels")) {
    const Term other(
        labels.b(), labels.b().Make("not_equal",
                                    {labels.op(), labels.Scalar(static_cast<double>(label)).op()}));
    counts = counts.has_value() ? And(counts, other) : other;
  }
  return counts;
}

/// Whether an element of the scores is that of the label of its position, along `axis`.
Term IsTarget(const Term& scores, const Term& labels, int64_t axis) {
  Shape column = scores.shape(), row(scores.shape().size(), 1);
  column[static_cast<size_t>(axis)] = 1;
  row[static_cast<size_t>(axis)] = scores.shape()[static_cast<size_t>(axis)];
  const Term classes(
      scores.b(),
      scores.b().Make("iota", {}, {{"shape", row}, {"axis", axis}, {"element", labels.element()}}));
  return Equal(classes, labels.Reshape(column));
}

/// What the sum is divided by, as a value of `type`.
Term Divisor(const Op& op, const Term& labels, ElementType type, int64_t batch) {
  const std::string& normalization = op.String("normalization");
  const auto constant = [&](int64_t value) {
    return Term(labels.b(),
                labels.b().Scalar(type, static_cast<double>(std::max<int64_t>(value, 1))));
  };
  if (normalization == "none") return constant(1);
  if (normalization == "batch_size") return constant(batch);
  const Term counts = Counts(op, labels);
  if (normalization == "full" || !counts.has_value()) return constant(ElementCount(labels.shape()));
  const Term count = SumAll(CastTo(counts, type));
  return {labels.b(), labels.b().Make("max", {count.op(), count.Scalar(1).op()})};
}

std::vector<AttributeDef> NormalizationAttributes(const char* normal) {
  return {{"normalization", Kind::kString, Attribute(normal),
           "what the sum is divided by: \"valid\" (the labels that count), \"full\" (all), "
           "\"batch_size\" or \"none\"; at least 1"},
          {"ignore_labels", Kind::kInts, Attribute(std::vector<int64_t>{}),
           "labels that do not count"}};
}

Status CheckNormalization(const Op& op) {
  return CheckChoice(op, "normalization", {"valid", "full", "batch_size", "none"});
}

// ---- softmax_cross_entropy

StatusOr<TensorType> InferSoftmaxCrossEntropy(const Op& op) {
  KILN_RETURN_IF_ERROR(CheckRowMajor(op));
  KILN_RETURN_IF_ERROR(CheckFloat(op));
  KILN_RETURN_IF_ERROR(CheckInteger(op, 1));
  KILN_RETURN_IF_ERROR(CheckNormalization(op));
  Shape scores = op.operand(0)->shape();
  KILN_RETURN_IF_ERROR(CheckAxis(op, "axis", op.Int("axis"), static_cast<int64_t>(scores.size())));
  scores.erase(scores.begin() + op.Int("axis"));
  if (scores != op.operand(1)->shape()) {
    return OpError(op, "labels must have the shape of the scores without the classes, ",
                   FormatInts(scores));
  }
  return ScalarLike(op);
}

/// Whether an element is the target of a label that counts.
Term CountedTarget(const Op& op, const Term& scores, const Term& labels) {
  const Term target = IsTarget(scores, labels, op.Int("axis"));
  const Term counts = Counts(op, labels);
  if (!counts.has_value()) return target;
  Shape column = scores.shape();
  column[static_cast<size_t>(op.Int("axis"))] = 1;
  return And(target, counts.Reshape(column));
}

StatusOr<Op*> DecomposeSoftmaxCrossEntropy(Builder& b, const Op& op) {
  const Term scores(b, op.operand(0)), labels(b, op.operand(1));
  const Term log = scores.Make("log_softmax", {{"axis", op.Int("axis")}});
  const Term sum = -SumAll(Where(CountedTarget(op, scores, labels), log, 0));
  return (sum / Divisor(op, labels, scores.element(), scores.shape()[0])).op();
}

// (softmax(x) - target) dy / divisor where the label counts, 0 elsewhere.
StatusOr<Op*> SoftmaxCrossEntropyGradient(Builder& b, Op& op, size_t k, Op* dy) {
  const GradientSite at{b, op, k, dy};
  const Term scores = at.x(0), labels = at.x(1);
  const Term p = scores.Make("log_softmax", {{"axis", op.Int("axis")}}).Make("exp");
  const Term target = CastTo(IsTarget(scores, labels, op.Int("axis")), scores.element());
  const Term scale = at.dy() / Divisor(op, labels, scores.element(), scores.shape()[0]);
  const Term counts = Counts(op, labels);
  if (!counts.has_value()) return ((p - target) * scale).op();
  Shape column = scores.shape();
  column[static_cast<size_t>(op.Int("axis"))] = 1;
  return ((p - target) * Where(counts.Reshape(column), scale, scale.Scalar(0))).op();
}

// ---- of targets of the scores' own shape

StatusOr<TensorType> InferAgainstTargets(const Op& op) {
  KILN_RETURN_IF_ERROR(CheckRowMajor(op));
  KILN_RETURN_IF_ERROR(CheckFloat(op));
  KILN_RETURN_IF_ERROR(CheckSameElement(op));
  if (op.operand(0)->shape() != op.operand(1)->shape()) {
    return OpError(op, "x and the targets must have the same shape");
  }
  if (op.operand(0)->shape().empty()) return OpError(op, "x must have a batch dimension");
  return ScalarLike(op);
}

StatusOr<TensorType> InferSigmoidCrossEntropy(const Op& op) {
  KILN_RETURN_IF_ERROR(CheckNormalization(op));
  return InferAgainstTargets(op);
}

StatusOr<Op*> DecomposeSigmoidCrossEntropy(Builder& b, const Op& op) {
  const Term x(b, op.operand(0)), targets(b, op.operand(1));
  Term losses = x.Make("softplus") - x * targets;
  const Term counts = Counts(op, targets);
  if (counts.has_value()) losses = Where(counts, losses, 0);
  return (SumAll(losses) / Divisor(op, targets, x.element(), x.shape()[0])).op();
}

Term Difference(Builder& b, const Op& op) {
  return Term(b, op.operand(0)) - Term(b, op.operand(1));
}

/// `sum` over as many as x has elements, or as its batch has.
Term PerElement(const Op& op, const Term& x) {
  return SumAll(x) *
         (1.0 / static_cast<double>(std::max<int64_t>(op.operand(0)->type().count(), 1)));
}
Term PerItem(const Op& op, const Term& x) {
  return SumAll(x) * (1.0 / static_cast<double>(std::max<int64_t>(op.operand(0)->shape()[0], 1)));
}

StatusOr<Op*> DecomposeMeanSquaredError(Builder& b, const Op& op) {
  const Term d = Difference(b, op);
  return PerElement(op, d * d).op();
}

StatusOr<Op*> DecomposeEuclidean(Builder& b, const Op& op) {
  const Term d = Difference(b, op);
  return PerItem(op, 0.5 * (d * d)).op();
}

StatusOr<Op*> DecomposeL1(Builder& b, const Op& op) {
  return PerElement(op, Difference(b, op).Make("abs")).op();
}

StatusOr<Op*> DecomposeHuber(Builder& b, const Op& op) {
  const double delta = op.Double("delta");
  const Term d = Difference(b, op), size = d.Make("abs");
  const Term square = 0.5 * (d * d), line = delta * (size - 0.5 * delta);
  return PerElement(op, Where(Less(size, delta), square, line)).op();
}

StatusOr<TensorType> InferHuber(const Op& op) {
  if (!(op.Double("delta") > 0)) return OpError(op, "delta must be above 0");
  return InferAgainstTargets(op);
}

// ---- hinge_loss

StatusOr<TensorType> InferHinge(const Op& op) {
  KILN_RETURN_IF_ERROR(CheckRowMajor(op));
  KILN_RETURN_IF_ERROR(CheckFloat(op));
  KILN_RETURN_IF_ERROR(CheckInteger(op, 1));
  KILN_RETURN_IF_ERROR(CheckRange(op, "norm", op.Int("norm"), 1, 2));
  const Shape& scores = op.operand(0)->shape();
  if (scores.size() != 2 || op.operand(1)->shape() != Shape{scores[0]}) {
    return OpError(op, "expected scores [N, classes] and labels [N]");
  }
  return ScalarLike(op);
}

StatusOr<Op*> DecomposeHinge(Builder& b, const Op& op) {
  const Term scores(b, op.operand(0)), labels(b, op.operand(1));
  const Term signed_scores = Where(IsTarget(scores, labels, 1), -scores, scores);
  const Term margins = (signed_scores + 1).Make("relu");
  return PerItem(op, op.Int("norm") == 1 ? margins : margins * margins).op();
}

OpDef AgainstTargets(std::string name, std::string doc,
                     StatusOr<Op*> (*decompose)(Builder&, const Op&)) {
  return {.name = std::move(name),
          .doc = std::move(doc),
          .operands = {{"x"}, {"targets"}},
          .infer = InferAgainstTargets,
          .decompose = decompose};
}

}  // namespace

std::vector<OpDef> LossOps() {
  std::vector<OpDef> ops;
  std::vector<AttributeDef> softmax_attributes = NormalizationAttributes("valid");
  softmax_attributes.push_back({"axis", Kind::kInt, Attribute(1), "the dimension of the classes"});
  ops.push_back({.name = "softmax_cross_entropy",
                 .doc = "The sum of -log softmax(x)[label] over the labels that count, divided "
                        "as `normalization` says. Those labels must be classes.",
                 .operands = {{"x"}, {"labels"}},
                 .attributes = std::move(softmax_attributes),
                 .infer = InferSoftmaxCrossEntropy,
                 .decompose = DecomposeSoftmaxCrossEntropy,
                 .gradient = SoftmaxCrossEntropyGradient});
  ops.push_back({.name = "sigmoid_cross_entropy",
                 .doc = "The sum of -t log sigmoid(x) - (1-t) log(1 - sigmoid(x)) = softplus(x) - "
                        "x t over the targets t that count, divided as `normalization` says.",
                 .operands = {{"x"}, {"targets"}},
                 .attributes = NormalizationAttributes("batch_size"),
                 .infer = InferSigmoidCrossEntropy,
                 .decompose = DecomposeSigmoidCrossEntropy});
  ops.push_back(AgainstTargets("mean_squared_error", "The mean of (x - t)^2 over all elements.",
                               DecomposeMeanSquaredError));
  ops.push_back(AgainstTargets("euclidean_loss",
                               "The sum of (x - t)^2 / 2, divided by the batch size.",
                               DecomposeEuclidean));
  ops.push_back(AgainstTargets("l1_loss", "The mean of |x - t| over all elements.", DecomposeL1));
  ops.push_back({.name = "huber_loss",
                 .doc = "The mean over all elements of d^2 / 2 where |d| < delta and delta (|d| - "
                        "delta/2) elsewhere, with d = x - t.",
                 .operands = {{"x"}, {"targets"}},
                 .attributes = {{"delta", Kind::kDouble, Attribute(1.0),
                                 "where the square becomes a line, > 0"}},
                 .infer = InferHuber,
                 .decompose = DecomposeHuber});
  ops.push_back({.name = "hinge_loss",
                 .doc = "The sum of max(0, 1 + s x)^norm over scores [N, classes], divided by N, "
                        "with s = -1 for the class of the label and 1 for the others.",
                 .operands = {{"x"}, {"labels"}},
                 .attributes = {{"norm", Kind::kInt, Attribute(1), "1 or 2"}},
                 .infer = InferHinge,
                 .decompose = DecomposeHinge});
  return ops;
}

}  // namespace kiln
