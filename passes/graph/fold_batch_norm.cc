// fold-batch-norm: batch normalisation in inference is a scale and a shift per channel, and a scale
// after a contraction (conv, conv_transpose, matmul) goes into its weights.
//
//   batch_norm(x)   = x * s + t               s = scale / sqrt(variance + eps), t = bias - mean * s
//   conv(x, w) * s  = conv(x, w * s)          s static, per output channel; the conv's only use
//   (conv(x, w) + b) * s = conv(x, w) * s + b * s       b static too
//
// s, t and w * s are built as ops on the parameters; fold-constants computes them when the values
// are at hand. The laws reach through nothing but a bias: conv -> relu -> batch_norm keeps its relu
// between the two, so that scale stays outside.
#include "ir/graph/op_def.h"
#include "passes/graph/constants.h"
#include "passes/graph/graph_passes.h"
#include "passes/rewrite.h"

namespace kiln {

namespace {

// [C] -> [C,1,...,1] with `trailing` ones, so that it broadcasts along a channel dimension.
StatusOr<Op*> PerChannel(Builder& b, const StatusOr<Op*>& vector, size_t trailing) {
  if (!vector.ok()) return vector;
  Shape shape = {(*vector)->type().count()};
  shape.resize(1 + trailing, 1);
  return b.Reshape(vector, std::move(shape));
}

// Says why a batch_norm behind an activation will not reach the contraction before it.
void RemarkOnActivation(RewriteSite& at, const Op& x) {
  if (!x.HasTrait(kElementwise) || x.Is("add") || !x.operand(0)->HasTrait(kContraction)) return;
  at.Refuse(
      StrCat("not folded into ", Describe(*x.operand(0)), ": ", Describe(x), " stands between"));
}

StatusOr<Op*> ScaleAndShift(RewriteSite& at) {
  if (!at.op().Is("batch_norm")) return kNoMatch;
  Op* const x = at.operand(0);
  RemarkOnActivation(at, *x);
  Builder& b = at.b();
  // In f16 and bf16 an epsilon of 1e-5 is nearly nothing, so s and t are computed in f32.
  const ElementType element = at.op().element();
  const ElementType compute = ByteSize(element) < 4 ? ElementType::kF32 : element;
  const auto operand = [&](size_t i) { return b.Cast(at.operand(i), compute); };
  const auto variance = b.AddScalar(operand(4), at.op().Double("epsilon"));
  const auto s = b.Div(operand(1), b.Make("sqrt", {variance}));
  const auto t = b.Sub(operand(2), b.Mul(operand(3), s));
  const size_t trailing = x->shape().size() - 2;
  return b.Add(b.Mul(x, PerChannel(b, b.Cast(s, element), trailing)),
               PerChannel(b, b.Cast(t, element), trailing));
}

// The dimension of a contraction's result that its weights, operand 1, span alone.
size_t ChannelDim(const Op& contraction) {
  return contraction.Is("matmul") ? contraction.shape().size() - 1 : 1;
}

// Whether the output channels of `op` can be scaled through its weights.
bool HasScalableWeights(const Op& op, const PassContext& context) {
  const bool known = op.Is("conv") || op.Is("conv_transpose") ||
                     (op.Is("matmul") && op.operand(1)->shape().size() == 2);
  return known && IsStatic(*op.operand(1), context);
}

bool IsPerChannel(const Op& value, const Op& contraction, const PassContext& context) {
  return IsStatic(value, context) &&
         VariesOnlyAlong(value, contraction.shape(), ChannelDim(contraction));
}

// w * s for the weights of a grouped conv_transpose, [C, O/groups, kernel...]: channel o of group g
// is s[g * O/groups + o].
StatusOr<Op*> ScaleTransposedWeights(Builder& b, const Op& conv, Op* s) {
  Op* const w = conv.operand(1);
  const int64_t groups = conv.Int("groups");
  Shape split = w->shape();
  split[0] /= groups;
  split.insert(split.begin(), groups);
  Shape scale(split.size(), 1);
  scale[0] = groups;
  scale[2] = split[2];
  return b.Reshape(b.Mul(b.Reshape(w, split), b.Reshape(s, scale)), w->shape());
}

// w * s, with `s` holding one value or one for each output channel.
StatusOr<Op*> ScaleWeights(Builder& b, const Op& contraction, Op* s) {
  Op* const w = contraction.operand(1);
  if (s->type().count() == 1) return b.Mul(w, b.Reshape(s, {}));
  if (contraction.Is("conv")) return b.Mul(w, PerChannel(b, s, w->shape().size() - 1));
  if (contraction.Is("matmul")) {
    return b.Mul(w, PerChannel(b, s, contraction.Bool("transpose_b") ? 1 : 0));
  }
  if (contraction.Int("groups") != 1) return ScaleTransposedWeights(b, contraction, s);
  return b.Mul(w, PerChannel(b, s, w->shape().size() - 2));
}

StatusOr<Op*> ScaleIntoWeights(RewriteSite& at) {
  if (!at.op().Is("mul")) return kNoMatch;
  for (const size_t i : {0, 1}) {
    Op* const contraction = at.operand(i);
    Op* const scale = at.operand(1 - i);
    if (!contraction->HasTrait(kContraction) || contraction->type() != at.op().type()) continue;
    if (!IsPerChannel(*scale, *contraction, at.context())) continue;
    const std::string why = OtherUse(*contraction, at.op());
    if (!why.empty() || !HasScalableWeights(*contraction, at.context())) {
      return at.Refuse(StrCat("not folded into ", Describe(*contraction), ": ",
                              why.empty() ? "its weights are not constant" : why));
    }
    at.Explain(StrCat(Describe(at.op()), " folded into the weights of ", Describe(*contraction)));
    KILN_ASSIGN_OR_RETURN(Op* const weights, ScaleWeights(at.b(), *contraction, scale));
    return Builder(at.op().graph(), &at.op())
        .CloneOp(*contraction, {contraction->operand(0), weights});
  }
  return kNoMatch;
}

StatusOr<Op*> ScaleThroughBias(RewriteSite& at) {
  if (!at.op().Is("mul")) return kNoMatch;
  for (const size_t i : {0, 1}) {
    Op* const sum = at.operand(i);
    Op* const scale = at.operand(1 - i);
    if (!sum->Is("add") || !HasOneUse(*sum) || sum->type() != at.op().type()) continue;
    for (const size_t k : {0, 1}) {
      Op* const contraction = sum->operand(k);
      Op* const bias = sum->operand(1 - k);
      const bool match = contraction->HasTrait(kContraction) && HasOneUse(*contraction) &&
                         contraction->type() == sum->type() &&
                         HasScalableWeights(*contraction, at.context()) &&
                         IsPerChannel(*bias, *contraction, at.context()) &&
                         IsPerChannel(*scale, *contraction, at.context());
      if (match) return at.b().Add(at.b().Mul(contraction, scale), at.b().Mul(bias, scale));
    }
  }
  return kNoMatch;
}

constexpr char kDoc[] = "turns batch_norm into scale and shift, and scales into weights";

}  // namespace

Pass FoldBatchNorm() {
  static const auto* const rules = new std::vector<RewriteRule>{
      {"scale-and-shift", "batch_norm(x) = x * s + t", ScaleAndShift},
      {"scale-into-weights", "conv(x, w) * s = conv(x, w * s)", ScaleIntoWeights},
      {"scale-through-bias", "(conv(x, w) + b) * s = conv(x, w) * s + b * s", ScaleThroughBias},
  };
  return MakeRewritePass("fold-batch-norm", kDoc, *rules);
}

}  // namespace kiln
