// Scaled dot product attention: softmax(q k^T scale + mask) v.
#include <cmath>
#include <limits>

#include "compiler/import/foreign/build.h"
#include "compiler/import/pytorch/node.h"

namespace kiln::pytorch_import {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// -infinity where the key stands behind the query.
StatusOr<Op*> HideFuture(Node& n, Op* scores) {
  Builder& b = n.builder();
  const int64_t rank = Rank(scores);
  const Shape& shape = scores->shape();
  const auto queries = IotaAlong(b, rank, rank - 2, shape[rank - 2], ElementType::kI64);
  const auto keys = IotaAlong(b, rank, rank - 1, shape[rank - 1], ElementType::kI64);
  return n.Make("where", {n.Make("greater_equal", {queries, keys}), scores,
                          b.Scalar(scores->element(), -kInfinity)});
}

StatusOr<Op*> Masked(Node& n, Op* scores) {
  if (n.Bool("is_causal")) return HideFuture(n, scores);
  if (!n.Has("attn_mask")) return scores;
  KILN_ASSIGN_OR_RETURN(Op* const mask, n.tensor("attn_mask"));
  if (mask->element() != ElementType::kBool) return n.builder().Add(scores, mask);
  return n.Make("where", {mask, scores, n.builder().Scalar(scores->element(), -kInfinity)});
}

// With enable_gqa each head of keys and values serves several of queries.
StatusOr<Op*> RepeatHeads(Node& n, Op* x, int64_t heads) {
  const int64_t axis = Rank(x) - 3;
  Shape shape = x->shape();
  if (axis < 0 || !n.Bool("enable_gqa") || shape[axis] == heads) return x;
  if (shape[axis] < 1 || heads % shape[axis] != 0) {
    return InvalidInput(heads, " heads of queries do not share ", shape[axis], " of keys");
  }
  shape.insert(shape.begin() + axis + 1, 1);
  Shape wide = shape;
  wide[axis + 1] = heads / shape[axis];
  Shape joined = x->shape();
  joined[axis] = heads;
  Builder& b = n.builder();
  return b.Reshape(b.Broadcast(b.Reshape(x, shape), wide), joined);
}

Status Attention(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const q, n.tensor("query"));
  KILN_ASSIGN_OR_RETURN(Op * k, n.tensor("key"));
  KILN_ASSIGN_OR_RETURN(Op * v, n.tensor("value"));
  if (n.Float("dropout_p") != 0) return Unsupported("training is not supported; call eval()");
  if (Rank(q) < 2 || Rank(k) != Rank(q) || Rank(v) != Rank(q) || q->shape().back() < 1) {
    return InvalidInput("query, key and value are ", q->type().ToString(), ", ",
                        k->type().ToString(), " and ", v->type().ToString());
  }
  const int64_t heads = Rank(q) > 2 ? q->shape()[Rank(q) - 3] : 1;
  KILN_ASSIGN_OR_RETURN(k, RepeatHeads(n, k, heads));
  KILN_ASSIGN_OR_RETURN(v, RepeatHeads(n, v, heads));
  const double scale = n.Float("scale", 1 / std::sqrt(static_cast<double>(q->shape().back())));
  KILN_ASSIGN_OR_RETURN(Op * scores,
                        n.Make("matmul", {b.MulScalar(q, scale), k}, {{"transpose_b", true}}));
  KILN_ASSIGN_OR_RETURN(scores, Masked(n, scores));
  const auto weights = n.Make("softmax", {scores}, {{"axis", Rank(scores) - 1}});
  return n.Output(n.Make("matmul", {weights, v}));
}

}  // namespace

std::vector<PytorchOp> AttentionOps() {
  std::vector<PytorchOp> ops;
  for (const char* const name :
       {"scaled_dot_product_attention", "_scaled_dot_product_flash_attention_for_cpu"}) {
    ops.push_back({.name = StrCat("aten.", name, ".default"),
                   .handler = Attention,
                   .arguments = "query key value attn_mask dropout_p is_causal scale enable_gqa",
                   .limits = "after eval(); the first result"});
  }
  return ops;
}

}  // namespace kiln::pytorch_import
