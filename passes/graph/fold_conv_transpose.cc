// fold-conv-transpose: a transposed convolution whose result is much larger than what it reads, or
// has few channels, multiplies every element of x by all weights that it meets at once, and then
// folds the products to where they belong.
//
//   conv_transpose(x, w) {kernel} = fold(conv(x, w')) {kernel}       w' [taps*O, I, 1, 1] from
//                                                                    w [I, O, kernel...]
//
// As a sum over taps it would multiply the zeros around x, and leave lanes empty that O does not
// fill. That is the way back through convolutions without padding, of few channels.
//
// Left alone: strides and dilations, groups, products that would take much memory, and what the
// cost model finds no faster.
#include <algorithm>

#include "ir/graph/op_def.h"
#include "passes/graph/graph_passes.h"
#include "passes/rewrite.h"

namespace kiln {

namespace {

// Cycles for a vector of products to be written, read again and added.
constexpr double kFoldCycles = 4;
// A gain below this is not worth the memory.
constexpr double kWorthwhile = 0.8;
constexpr int64_t kMostBytes = 32 << 20;  // of products

bool AllAre(const std::vector<int64_t>& values, int64_t value) {
  return std::ranges::all_of(values, [&](int64_t v) { return v == value; });
}

StatusOr<Op*> Fold(RewriteSite& at, int lanes) {
  const Op& op = at.op();
  if (!op.Is("conv_transpose") || op.Int("groups") != 1 || op.element() != ElementType::kF32 ||
      op.type().rank() != 4 || !AllAre(op.Ints("strides"), 1) || !AllAre(op.Ints("dilations"), 1) ||
      !AllAre(op.Ints("output_padding"), 0)) {
    return kNoMatch;
  }
  const Shape &x = op.operand(0)->shape(), &w = op.operand(1)->shape();
  const int64_t inputs = w[0], outputs = w[1], taps = w[2] * w[3];
  if (taps == 1) return kNoMatch;
  const auto vectors = [&](int64_t channels) {
    return static_cast<double>((channels + lanes - 1) / lanes);
  };
  const auto positions = [](const Shape& shape) {
    return static_cast<double>(shape[0] * shape[2] * shape[3]);
  };
  const double direct =
      positions(op.shape()) * static_cast<double>(taps * inputs) * vectors(outputs);
  const double folded =
      positions(x) * vectors(taps * outputs) * (static_cast<double>(inputs) + kFoldCycles);
  if (folded > kWorthwhile * direct) return kNoMatch;
  const Shape products = {x[0], taps * outputs, x[2], x[3]};
  if (ElementCount(products) * ByteSize(op.element()) > kMostBytes) {
    return at.Refuse("is not folded: its products would take too much memory");
  }
  Builder& b = at.b();
  const std::vector<int64_t> ones = {1, 1}, none = {0, 0};
  const auto weights =
      b.Reshape(b.Transpose(at.operand(1), {2, 3, 1, 0}), {taps * outputs, inputs, 1, 1});
  const auto product =
      b.Make("conv", {at.operand(0), weights},
             {{"strides", ones}, {"dilations", ones}, {"pads_low", none}, {"pads_high", none}});
  return b.Make("fold", {product},
                {{"kernel", std::vector<int64_t>(w.begin() + 2, w.end())},
                 {"strides", ones},
                 {"dilations", ones},
                 {"pads_low", op.Ints("pads_low")},
                 {"pads_high", op.Ints("pads_high")},
                 {"input", std::vector<int64_t>(op.shape().begin() + 2, op.shape().end())}});
}

}  // namespace

Pass FoldConvTranspose(int lanes) {
  return MakeRewritePass("fold-conv-transpose",
                         "folds the products of transposed convolutions of few channels",
                         {{"fold-conv-transpose", "conv_transpose(x, w) = fold(conv(x, w'))",
                           [=](RewriteSite& at) { return Fold(at, lanes); }}});
}

}  // namespace kiln
