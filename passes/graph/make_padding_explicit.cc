// make-padding-explicit: a convolution over a padded image has no borders to look after, so its
// loops need no bounds checks; the copy into the padded image costs less than they do.
//
//   conv(x, w) {pads_low, pads_high} = conv(pad(x), w)
//
// One-element guard: a conv whose result has a single spatial element stays as it is. There the
// window is the whole image, and the padded copy would cost as much as the product.
#include <algorithm>

#include "passes/graph/graph_passes.h"
#include "passes/rewrite.h"

namespace kiln {

namespace {

StatusOr<Op*> PadOutside(RewriteSite& at) {
  const Op& conv = at.op();
  if (!conv.Is("conv")) return kNoMatch;
  std::vector<int64_t> low = conv.Ints("pads_low"), high = conv.Ints("pads_high");
  const auto is_zero = [](int64_t pad) { return pad == 0; };
  if (std::all_of(low.begin(), low.end(), is_zero) &&
      std::all_of(high.begin(), high.end(), is_zero)) {
    return kNoMatch;
  }
  if (ElementCount(Shape(conv.shape().begin() + 2, conv.shape().end())) <= 1) {
    return at.Refuse("keeps its padding: its result has one spatial element");
  }
  AttributeMap attributes = conv.attributes();
  const std::vector<int64_t> zeros(low.size(), 0);
  attributes.insert_or_assign("pads_low", zeros);
  attributes.insert_or_assign("pads_high", zeros);
  low.insert(low.begin(), 2, 0);
  high.insert(high.begin(), 2, 0);
  const auto padded = at.b().Make("pad", {at.operand(0)}, {{"low", low}, {"high", high}});
  return at.b().Make("conv", {padded, at.operand(1)}, std::move(attributes));
}

}  // namespace

Pass MakePaddingExplicit() {
  static const auto* const rules = new std::vector<RewriteRule>{
      {"pad-outside", "conv(x, w) {pads} = conv(pad(x), w)", PadOutside},
  };
  return MakeRewritePass("make-padding-explicit", "takes padding out of convolutions", *rules);
}

}  // namespace kiln
