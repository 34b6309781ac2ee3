// Attention and RotaryEmbedding, of opset 23 on, and FlexAttention.
#include "compiler/import/onnx/ops/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "compiler/import/foreign/build.h"
#include "compiler/import/foreign/movement.h"
#include "compiler/import/onnx/graph_importer.h"

namespace kiln::onnx_import {

StatusOr<Op*> SplitHeads(Builder& b, Op* x, int64_t heads) {
  if (heads < 1 || x->shape()[2] % heads != 0) {
    return InvalidInput(x->type().ToString(), " does not have ", heads, " heads");
  }
  const int64_t size = x->shape()[2] / heads;
  return b.Transpose(b.Reshape(x, {x->shape()[0], x->shape()[1], heads, size}), {0, 2, 1, 3});
}

StatusOr<Op*> JoinHeads(Builder& b, Op* x) {
  const Shape& shape = x->shape();
  return b.Reshape(b.Transpose(x, {0, 2, 1, 3}), {shape[0], shape[2], shape[1] * shape[3]});
}

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Each head of keys or values `x` as often as it is shared by one of `heads` queries.
StatusOr<Op*> ShareHeads(Builder& b, Op* x, int64_t heads) {
  const int64_t own = x->shape()[1];
  if (own == heads) return x;
  if (own < 1 || heads % own != 0) {
    return InvalidInput(heads, " heads of queries do not share ", own, " of keys");
  }
  return RepeatEach(b, x, 1, heads / own);
}

class AttentionBuilder {
 public:
  explicit AttentionBuilder(Node& node) : n_(node), b_(node.builder()) {}

  Status Run() {
    KILN_RETURN_IF_ERROR(ReadOperands());
    KILN_RETURN_IF_ERROR(n_.Result(1, key_));
    KILN_RETURN_IF_ERROR(n_.Result(2, value_));
    const int64_t heads = query_->shape()[1];
    KILN_ASSIGN_OR_RETURN(Op* const keys, ShareHeads(b_, key_, heads));
    KILN_ASSIGN_OR_RETURN(Op* const values, ShareHeads(b_, value_, heads));
    // Both factors carry the root of the scale, so that narrow types do not overflow.
    const double scale =
        std::sqrt(n_.Float("scale", 1 / std::sqrt(static_cast<double>(query_->shape()[3]))));
    StatusOr<Op*> scores =
        n_.Make("matmul", {b_.MulScalar(query_, scale), b_.MulScalar(keys, scale)},
                {{"transpose_b", true}});
    std::vector<StatusOr<Op*>> stages = {scores};
    if (const double cap = n_.Float("softcap"); cap > 0) {
      scores = b_.MulScalar(n_.Make("tanh", {b_.MulScalar(scores, 1 / cap)}), cap);
    }
    stages.push_back(scores);
    KILN_ASSIGN_OR_RETURN(scores, Masked(scores));
    stages.push_back(scores);
    KILN_ASSIGN_OR_RETURN(const ElementType precision,
                          n_.TypeAttribute("softmax_precision", query_->element()));
    const StatusOr<Op*> weights =
        n_.Make("softmax", {b_.Cast(scores, precision)}, {{"axis", int64_t{3}}});
    stages.push_back(b_.Cast(weights, query_->element()));
    const int64_t stage = n_.Int("qk_matmul_output_mode");
    if (stage < 0 || stage >= static_cast<int64_t>(stages.size())) {
      return InvalidInput("attribute 'qk_matmul_output_mode' is ", stage);
    }
    KILN_RETURN_IF_ERROR(n_.Result(3, stages[stage]));
    KILN_ASSIGN_OR_RETURN(
        Op* const y,
        b_.Cast(n_.Make("matmul", {weights, b_.Cast(values, precision)}), query_->element()));
    return n_.Result(0, joined_ ? JoinHeads(b_, y) : y);
  }

 private:
  Status ReadOperands() {
    KILN_ASSIGN_OR_RETURN(query_, n_.operand(0));
    KILN_ASSIGN_OR_RETURN(key_, n_.operand(1));
    KILN_ASSIGN_OR_RETURN(value_, n_.operand(2));
    joined_ = Rank(query_) == 3;
    for (Op** const x : {&query_, &key_, &value_}) {
      if (Rank(*x) != (joined_ ? 3 : 4)) {
        return InvalidInput("Q, K and V need 3 or 4 dimensions, found ", (*x)->type().ToString());
      }
      if (!joined_) continue;
      KILN_ASSIGN_OR_RETURN(
          *x, SplitHeads(b_, *x, n_.Int(x == &query_ ? "q_num_heads" : "kv_num_heads")));
    }
    for (const int past : {4, 5}) {
      if (!n_.Has(past)) continue;
      KILN_ASSIGN_OR_RETURN(Op* const before, n_.operand(past));
      Op*& x = past == 4 ? key_ : value_;
      if (past == 4 && Rank(before) == 4) past_ = before->shape()[2];
      KILN_ASSIGN_OR_RETURN(x, n_.Make("concat", {before, x}, {{"axis", int64_t{2}}}));
    }
    if (query_->shape()[3] < 1) return InvalidInput("the heads are empty");
    return OkStatus();
  }

  // `scores` where `visible`, -infinity elsewhere.
  StatusOr<Op*> Hide(const StatusOr<Op*>& visible, const StatusOr<Op*>& scores) {
    return n_.Make("where", {visible, scores, b_.Scalar(query_->element(), -kInfinity)});
  }

  StatusOr<Op*> Masked(StatusOr<Op*> scores) {
    const int64_t length = key_->shape()[2];
    if (n_.Has(3)) {
      KILN_ASSIGN_OR_RETURN(Op * mask, n_.operand(3));
      const int64_t rank = Rank(mask);
      const bool truth = mask->element() == ElementType::kBool;
      const int64_t missing = rank > 0 ? length - mask->shape()[rank - 1] : 0;
      if (missing > 0) {  // keys behind a short mask are not seen
        std::vector<int64_t> low(rank, 0), high(rank, 0);
        high.back() = missing;
        KILN_ASSIGN_OR_RETURN(
            mask, n_.Make("pad", {mask},
                          {{"low", low}, {"high", high}, {"value", truth ? 0.0 : -kInfinity}}));
      }
      scores = truth ? Hide(mask, scores) : b_.Add(scores, mask);
    }
    if (n_.Int("is_causal") != 0) {
      const StatusOr<Op*> offset = b_.Constant(Tensor::FromInts(ElementType::kI64, {}, {past_}));
      const StatusOr<Op*> last =
          b_.Add(IotaAlong(b_, 2, 0, query_->shape()[2], ElementType::kI64), offset);
      const StatusOr<Op*> key = IotaAlong(b_, 2, 1, length, ElementType::kI64);
      scores = Hide(n_.Make("less_equal", {key, last}), scores);
    }
    if (n_.Has(6)) {
      const int64_t batch = query_->shape()[0];
      const StatusOr<Op*> lengths =
          b_.Reshape(b_.Cast(n_.operand(6), ElementType::kI64), {batch, 1, 1, 1});
      const StatusOr<Op*> key = IotaAlong(b_, 4, 3, length, ElementType::kI64);
      scores = Hide(n_.Make("less", {key, lengths}), scores);
    }
    return scores;
  }

  Node& n_;
  Builder& b_;
  Op *query_ = nullptr, *key_ = nullptr, *value_ = nullptr;
  bool joined_ = false;  ///< operands and result have the heads side by side
  int64_t past_ = 0;     ///< keys from earlier calls
};

Status Attention(Node& n) { return AttentionBuilder(n).Run(); }

// What the subgraph in attribute `name` makes of `x`, of the same type; x itself without one;
// nullptr when a node of it failed.
StatusOr<Op*> Modified(Node& n, const std::string& name, const StatusOr<Op*>& x) {
  if (!x.ok() || *x == nullptr || !n.HasAttribute(name)) return x;
  const onnx::GraphProto& body = n.Subgraph(name);
  KILN_ASSIGN_OR_RETURN(Scope scope, n.importer().OpenBody(body, n.scope()));
  KILN_ASSIGN_OR_RETURN(auto values, n.importer().ImportBody(body, scope, {Value::FromOp(*x)}));
  n.Rename();
  if (values.size() != 1) return InvalidInput("attribute '", name, "' must give one tensor");
  if (values[0].poisoned()) return nullptr;
  KILN_ASSIGN_OR_RETURN(Op* const y, n.importer().ToOp(&values[0]));
  if (y->type() == (*x)->type()) return y;
  return InvalidInput("attribute '", name, "' gives ", y->type().ToString(), ", expected ",
                      (*x)->type().ToString());
}

// prob_mod(softmax(score_mod(scale Q K^T))) V
Status FlexAttention(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const query, n.operand(0));
  KILN_ASSIGN_OR_RETURN(Op * key, n.operand(1));
  KILN_ASSIGN_OR_RETURN(Op * value, n.operand(2));
  for (const Op* const x : {query, key, value}) {
    if (Rank(x) != 4) return InvalidInput("Q, K and V need 4 dimensions: ", x->type().ToString());
  }
  KILN_ASSIGN_OR_RETURN(key, ShareHeads(b, key, query->shape()[1]));
  KILN_ASSIGN_OR_RETURN(value, ShareHeads(b, value, query->shape()[1]));
  const bool wide = query->element() == ElementType::kF64;
  KILN_ASSIGN_OR_RETURN(
      const ElementType precision,
      n.TypeAttribute("softmax_precision", wide ? ElementType::kF64 : ElementType::kF32));
  const double size = static_cast<double>(std::max<int64_t>(query->shape()[3], 1));
  const StatusOr<Op*> scores = b.MulScalar(
      n.Make("matmul", {b.Cast(query, precision), b.Cast(key, precision)}, {{"transpose_b", true}}),
      n.Float("scale", 1 / std::sqrt(size)));
  KILN_ASSIGN_OR_RETURN(Op* const modified, Modified(n, "score_mod", scores));
  const StatusOr<Op*> weights =
      modified == nullptr ? modified : n.Make("softmax", {modified}, {{"axis", int64_t{3}}});
  KILN_ASSIGN_OR_RETURN(Op* const kept, Modified(n, "prob_mod", weights));
  if (kept == nullptr) {
    n.PoisonAll();
    return OkStatus();
  }
  return n.Result(b.Cast(n.Make("matmul", {kept, b.Cast(value, precision)}), query->element()));
}

// The cosines or sines of the positions, [batch or 1, 1, length, half].
StatusOr<Op*> Cache(Node& n, int operand, int64_t half) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op * cache, n.operand(operand));
  if (n.Has(3)) {
    KILN_ASSIGN_OR_RETURN(cache, n.Make("gather", {cache, n.operand(3)}, {{"axis", int64_t{0}}}));
  }
  if (Rank(cache) != 3 || cache->shape()[2] != half) {
    return InvalidInput("operand ", operand, " gives ", cache->type().ToString(), ", expected ",
                        half, " numbers for each position");
  }
  return b.Reshape(cache, {cache->shape()[0], 1, cache->shape()[1], half});
}

// Pairs of elements of a head are rotated: (a, b) becomes (a cos - b sin, a sin + b cos).
Status RotaryEmbedding(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op * x, n.operand(0));
  const bool joined = Rank(x) == 3;
  if (joined) {
    KILN_ASSIGN_OR_RETURN(x, SplitHeads(b, x, n.Int("num_heads")));
  }
  if (Rank(x) != 4) return InvalidInput("X needs 3 or 4 dimensions, found ", x->type().ToString());
  const Shape shape = x->shape();
  int64_t width = n.Int("rotary_embedding_dim");
  if (width == 0) width = shape[3];
  if (width < 2 || width > shape[3] || width % 2 != 0) {
    return InvalidInput("attribute 'rotary_embedding_dim' is ", width, ", a head has ", shape[3]);
  }
  const int64_t half = width / 2;
  // The pairs' parts on a dimension of their own: behind, or (in halves) in front.
  const bool interleaved = n.Int("interleaved") != 0;
  const int64_t axis = interleaved ? 4 : 3;
  const Shape pairs = interleaved ? Shape{shape[0], shape[1], shape[2], half, 2}
                                  : Shape{shape[0], shape[1], shape[2], 2, half};
  KILN_ASSIGN_OR_RETURN(Op* const rotated, SliceAxis(b, x, 3, 0, width));
  KILN_ASSIGN_OR_RETURN(Op* const split, b.Reshape(rotated, pairs));
  const StatusOr<Op*> first = SelectAxis(b, split, axis, 0);
  const StatusOr<Op*> second = SelectAxis(b, split, axis, 1);
  KILN_ASSIGN_OR_RETURN(Op* const cosine, Cache(n, 1, half));
  KILN_ASSIGN_OR_RETURN(Op* const sine, Cache(n, 2, half));
  Shape one = pairs;
  one[axis] = 1;
  const StatusOr<Op*> turned =
      n.Make("concat",
             {b.Reshape(b.Sub(b.Mul(first, cosine), b.Mul(second, sine)), one),
              b.Reshape(b.Add(b.Mul(first, sine), b.Mul(second, cosine)), one)},
             {{"axis", axis}});
  KILN_ASSIGN_OR_RETURN(Op * y, b.Reshape(turned, {shape[0], shape[1], shape[2], width}));
  if (width < shape[3]) {
    KILN_ASSIGN_OR_RETURN(y, n.Make("concat", {y, SliceAxis(b, x, 3, width, shape[3] - width)},
                                    {{"axis", int64_t{3}}}));
  }
  return n.Result(joined ? JoinHeads(b, y) : y);
}

}  // namespace

std::vector<OnnxOp> AttentionOps() {
  std::vector<OnnxOp> ops;
  ops.push_back({.name = "Attention",
                 .handler = Attention,
                 .operands = {3, 7},
                 .max_results = 4,
                 .attributes = {Int("is_causal"), Int("kv_num_heads"), Int("q_num_heads"),
                                Int("qk_matmul_output_mode"), Float("scale"), Float("softcap"),
                                Int("softmax_precision")},
                 .first = 23});
  ops.push_back({.name = "RotaryEmbedding",
                 .handler = RotaryEmbedding,
                 .operands = {3, 4},
                 .attributes = {Int("interleaved"), Int("num_heads"), Int("rotary_embedding_dim")},
                 .first = 23});
  ops.push_back({.name = "ai.onnx.preview.FlexAttention",
                 .handler = FlexAttention,
                 .operands = {3, 3},
                 .attributes = {Body("score_mod"), Body("prob_mod"), Float("scale"),
                                Int("softmax_precision")},
                 .last = 1});
  return ops;
}

}  // namespace kiln::onnx_import
