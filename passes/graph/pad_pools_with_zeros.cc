// pad-pools-with-zeros: the largest of values that are never negative is the same with zeros beside
// them, which can be read from memory where padding would have to be told apart at every step.
//
//   max_pool(x) {pads} = max_pool(x) {pads, zero_padding}       x >= 0, x in every window
//
// Known not to be negative are relu, clip from 0, sigmoid and the like, and what concat, pools,
// lrn, products and sums make of such values.
#include <algorithm>

#include "ir/graph/op_def.h"
#include "passes/graph/graph_passes.h"
#include "passes/rewrite.h"

namespace kiln {

namespace {

constexpr int kMaxDepth = 16;  // of the search through the ops before a pool

bool IsOneOf(const Op& op, std::initializer_list<std::string_view> kinds) {
  return std::any_of(kinds.begin(), kinds.end(),
                     [&](std::string_view kind) { return op.Is(kind); });
}

bool IsNeverNegative(const Op& op, int depth = 0) {
  if (depth > kMaxDepth) return false;
  if (IsOneOf(op, {"relu", "sigmoid", "hard_sigmoid", "exp", "abs", "softmax"})) return true;
  if (op.Is("clip")) return op.Double("min") >= 0;
  const bool keeps_sign =
      IsOneOf(op, {"concat", "reshape", "transpose", "slice", "broadcast", "avg_pool", "lp_pool",
                   "add", "mul", "max", "min", "sqrt"}) ||
      (op.Is("max_pool") && op.Bool("zero_padding")) ||
      (op.Is("lrn") && op.Double("bias") > 0 && op.Double("alpha") >= 0);
  return keeps_sign && std::all_of(op.operands().begin(), op.operands().end(),
                                   [&](const Op* x) { return IsNeverNegative(*x, depth + 1); });
}

bool IsPadded(const Op& pool) {
  const auto any = [](const std::vector<int64_t>& pads) {
    return std::any_of(pads.begin(), pads.end(), [](int64_t pad) { return pad > 0; });
  };
  return any(pool.Ints("pads_low")) || any(pool.Ints("pads_high"));
}

// Whether no window can lie in padding alone.
bool HoldsInput(const Op& pool) {
  const std::vector<int64_t>& kernel = pool.Ints("kernel");
  for (size_t d = 0; d < kernel.size(); ++d) {
    if (pool.Ints("dilations")[d] != 1) return false;
    if (pool.Ints("pads_low")[d] >= kernel[d] || pool.Ints("pads_high")[d] >= kernel[d]) {
      return false;
    }
  }
  return true;
}

StatusOr<Op*> ZerosAround(RewriteSite& at) {
  const Op& pool = at.op();
  if (!pool.Is("max_pool") || pool.Bool("zero_padding") || !IsPadded(pool)) return kNoMatch;
  if (!IsFloat(pool.element())) return kNoMatch;
  if (!IsNeverNegative(*at.operand(0))) {
    return at.Refuse(StrCat("keeps its padding: ", Describe(*at.operand(0)), " may be negative"));
  }
  if (!HoldsInput(pool)) return at.Refuse("keeps its padding: a window may lie in it alone");
  AttributeMap attributes = pool.attributes();
  attributes.insert_or_assign("zero_padding", true);
  return at.b().Make("max_pool", {at.operand(0)}, std::move(attributes));
}

}  // namespace

Pass PadPoolsWithZeros() {
  static const auto* const rules = new std::vector<RewriteRule>{
      {"zeros-around", "max_pool(x) {pads} = max_pool(x) {pads, zero_padding}, x >= 0",
       ZerosAround},
  };
  return MakeRewritePass("pad-pools-with-zeros",
                         "lets pools of what is never negative read zeros as padding", *rules);
}

}  // namespace kiln
