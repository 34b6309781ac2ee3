// make-padding-explicit: a convolution over a padded image has no borders to look after, so its
// loops need no bounds checks; the copy into the padded image costs less than they do.
//
//   conv(x, w) {pads_low, pads_high} = conv(pad(x), w)
//   conv_weight_gradient(x, dy) {pads} = conv_weight_gradient(pad(x), dy)    the pad of the conv
//   conv_transpose(x, w) = conv_transpose(pad(x), w)      of stride 1: padded so far that every
//                                                         result element meets the whole kernel
//
// One-element guard: a conv whose result has a single spatial element stays as it is. There the
// window is the whole image, and the padded copy would cost as much as the product.
#include <algorithm>

#include "passes/graph/graph_passes.h"
#include "passes/rewrite.h"

namespace kiln {

namespace {

/// The pad of operand 0 of `op` by that much that stands before `op`; nullptr when there is none.
Op* ExistingPad(const Op& op, const std::vector<int64_t>& low, const std::vector<int64_t>& high) {
  for (const auto& earlier : op.graph()->ops()) {
    if (earlier.get() == &op) break;
    if (earlier->Is("pad") && earlier->operand(0) == op.operand(0) && earlier->Ints("low") == low &&
        earlier->Ints("high") == high && earlier->String("mode") == "constant" &&
        earlier->Double("value") == 0) {
      return earlier.get();
    }
  }
  return nullptr;
}

bool AllZero(const std::vector<int64_t>& pads) {
  return std::all_of(pads.begin(), pads.end(), [](int64_t pad) { return pad == 0; });
}

// conv(x, w) and conv_weight_gradient(x, dy) alike.
StatusOr<Op*> PadOutside(RewriteSite& at) {
  const Op& conv = at.op();
  const bool gradient = conv.Is("conv_weight_gradient");
  if (!conv.Is("conv") && !gradient) return kNoMatch;
  std::vector<int64_t> low = conv.Ints("pads_low"), high = conv.Ints("pads_high");
  if (AllZero(low) && AllZero(high)) return kNoMatch;
  const Shape& windows = gradient ? conv.operand(1)->shape() : conv.shape();
  if (ElementCount(Shape(windows.begin() + 2, windows.end())) <= 1) {
    return at.Refuse("keeps its padding: its result has one spatial element");
  }
  AttributeMap attributes = conv.attributes();
  const std::vector<int64_t> zeros(low.size(), 0);
  attributes.insert_or_assign("pads_low", zeros);
  attributes.insert_or_assign("pads_high", zeros);
  low.insert(low.begin(), 2, 0);
  high.insert(high.begin(), 2, 0);
  StatusOr<Op*> padded = gradient ? ExistingPad(conv, low, high) : nullptr;
  if (*padded == nullptr) {
    padded = at.b().Make("pad", {at.operand(0)}, {{"low", low}, {"high", high}});
  }
  return at.b().Make(conv.kind(), {padded, at.operand(1)}, std::move(attributes));
}

// Result y reads x at y - k*dilation + pad_low, for each k of the kernel.
StatusOr<Op*> PadTransposed(RewriteSite& at) {
  const Op& conv = at.op();
  if (!conv.Is("conv_transpose")) return kNoMatch;
  const std::vector<int64_t>& strides = conv.Ints("strides");
  if (std::any_of(strides.begin(), strides.end(), [](int64_t s) { return s != 1; })) {
    return kNoMatch;
  }
  std::vector<int64_t> low(2, 0), high(2, 0), reach;
  bool padded = true;
  for (size_t d = 0; d < strides.size(); ++d) {
    reach.push_back(conv.Ints("dilations")[d] * (conv.operand(1)->shape()[d + 2] - 1));
    low.push_back(reach[d] - conv.Ints("pads_low")[d]);
    high.push_back(reach[d] - conv.Ints("pads_high")[d] + conv.Ints("output_padding")[d]);
    padded = padded && low.back() == 0 && high.back() == 0;
  }
  if (padded) return kNoMatch;
  if (ElementCount(Shape(conv.shape().begin() + 2, conv.shape().end())) <= 1) {
    return at.Refuse("keeps its padding: its result has one spatial element");
  }
  AttributeMap attributes = conv.attributes();
  attributes.insert_or_assign("pads_low", reach);
  attributes.insert_or_assign("pads_high", reach);
  attributes.insert_or_assign("output_padding", std::vector<int64_t>(reach.size(), 0));
  const auto x = at.b().Make("pad", {at.operand(0)}, {{"low", low}, {"high", high}});
  return at.b().Make("conv_transpose", {x, at.operand(1)}, std::move(attributes));
}

}  // namespace

Pass MakePaddingExplicit() {
  static const auto* const rules = new std::vector<RewriteRule>{
      {"pad-outside", "conv(x, w) {pads} = conv(pad(x), w)", PadOutside},
      {"pad-transposed", "conv_transpose(x, w) = conv_transpose(pad(x), w)", PadTransposed},
  };
  return MakeRewritePass("make-padding-explicit", "takes padding out of convolutions", *rules);
}

}  // namespace kiln
