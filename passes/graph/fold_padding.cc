// fold-padding: zeros around an image are part of the convolution that reads it, so that the layout
// passes can let whoever computes the image write them.
//
//   conv(pad(x), w) {pads} = conv(x, w) {pads + low, pads + high}
//
// Kept: padding of batch or channels, with anything but zeros, or that cuts.
#include <algorithm>

#include "ir/graph/op_def.h"
#include "passes/graph/graph_passes.h"
#include "passes/rewrite.h"

namespace kiln {

namespace {

// Why `pad` cannot be part of a convolution; empty when it can.
std::string WhyNot(const Op& pad) {
  const std::vector<int64_t>&low = pad.Ints("low"), &high = pad.Ints("high");
  if (pad.String("mode") != "constant" || pad.Double("value") != 0) return "it adds no zeros";
  for (size_t d = 0; d < low.size(); ++d) {
    if (low[d] < 0 || high[d] < 0) return "it cuts";
    if (d < 2 && low[d] + high[d] != 0) return "it pads batch or channels";
  }
  return "";
}

StatusOr<Op*> PadInside(RewriteSite& at) {
  const Op& conv = at.op();
  if (!conv.Is("conv") || !at.operand(0)->Is("pad")) return kNoMatch;
  const Op& pad = *at.operand(0);
  const std::string why_not = WhyNot(pad);
  if (!why_not.empty()) return at.Refuse(StrCat("not padded like ", Describe(pad), ": ", why_not));
  AttributeMap attributes = conv.attributes();
  std::vector<int64_t> low = conv.Ints("pads_low"), high = conv.Ints("pads_high");
  for (size_t d = 0; d < low.size(); ++d) {
    low[d] += pad.Ints("low")[d + 2];
    high[d] += pad.Ints("high")[d + 2];
  }
  attributes.insert_or_assign("pads_low", std::move(low));
  attributes.insert_or_assign("pads_high", std::move(high));
  return at.b().Make("conv", {pad.operand(0), at.operand(1)}, std::move(attributes));
}

}  // namespace

Pass FoldPadding() {
  static const auto* const rules = new std::vector<RewriteRule>{
      {"pad-inside", "conv(pad(x), w) = conv(x, w) {pads}", PadInside},
  };
  return MakeRewritePass("fold-padding", "makes zeros around images part of convolutions", *rules);
}

}  // namespace kiln
