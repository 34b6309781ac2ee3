// mask-before-unpool: the gradient of a relu with a max_pool behind it is masked before it goes
// back through the pool, where there is less of it, and so needs the relu's value no more.
//
//   where(0 < y, max_unpool(g, t), 0) = max_unpool(where(0 < p, g, 0), t)
//                                                       p = max_pool(y), t = max_pool_taps(y, p)
//
// What goes to a position of y comes from windows whose largest element it is: there y = p. Both
// sides are the same to the bit.
#include "ir/graph/op_def.h"
#include "passes/graph/constants.h"
#include "passes/graph/graph_passes.h"
#include "passes/rewrite.h"

namespace kiln {

namespace {

bool IsZero(const Op& op) {
  if (!op.Is("constant") || op.type().count() != 1) return false;
  const Tensor& value = op.Constant("value");
  return value.known() && value.hash() == Tensor::Splat(value.type(), 0).hash();
}

StatusOr<Op*> MaskBefore(RewriteSite& at) {
  const Op& where = at.op();
  if (!where.Is("where") || !IsZero(*where.operand(2))) return kNoMatch;
  const Op& mask = *where.operand(0);
  const Op& unpool = *where.operand(1);
  if (!mask.Is("less") || !IsZero(*mask.operand(0)) || !unpool.Is("max_unpool")) return kNoMatch;
  const Op& taps = *unpool.operand(1);
  if (!taps.Is("max_pool_taps") || taps.operand(0) != mask.operand(1)) return kNoMatch;
  Op* const pooled = taps.operand(1);
  if (!pooled->Is("max_pool") || pooled->operand(0) != taps.operand(0)) return kNoMatch;
  if (!HasOneUse(unpool))
    return at.Refuse(StrCat("is not masked first: ", OtherUse(unpool, where)));
  Builder& b = at.b();
  const auto masked = b.Make(
      "where", {b.Make("less", {mask.operand(0), pooled}), unpool.operand(0), where.operand(2)});
  return b.Make("max_unpool", {masked, unpool.operand(1)}, unpool.attributes());
}

}  // namespace

Pass MaskBeforeUnpool() {
  static const auto* const rules = new std::vector<RewriteRule>{
      {"mask-before-unpool",
       "where(0 < y, max_unpool(g, taps of y), 0) = max_unpool(where(0 < max_pool(y), g, 0), taps)",
       MaskBefore},
  };
  return MakeRewritePass("mask-before-unpool",
                         "masks gradients of relu before they go back through a pool", *rules);
}

}  // namespace kiln
