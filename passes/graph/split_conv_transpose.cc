// split-conv-transpose: a transposed convolution with strides is several without, one for each
// remainder of the result's position by the stride, because those meet different parts of the
// kernel. Where one of stride s has holes in its input to step over, these are plain sums of
// products over linear addresses.
//
//   y[s j + r] = sum over t of x[j + c - t] w[s t + e]     e = (r + pad_low) mod s
//                                                          c = (r + pad_low - e) / s
//
// Left alone: dilated kernels, and strides that would give more than kMaxParts convolutions.
#include <algorithm>

#include "ir/graph/op_def.h"
#include "passes/graph/graph_passes.h"
#include "passes/rewrite.h"

namespace kiln {

namespace {

constexpr int64_t kMaxParts = 16;

int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

class Splitter {
 public:
  explicit Splitter(RewriteSite& at) : op_(at.op()), b_(at.b()) {}

  /// y with the dimensions from `d` on complete, those before at the given remainders.
  StatusOr<Op*> Join(std::vector<int64_t> remainders) {
    const size_t d = remainders.size();
    if (d == op_.Ints("strides").size()) return Part(remainders);
    const int64_t stride = op_.Ints("strides")[d], extent = op_.shape()[d + 2];
    const int64_t rows = CeilDiv(extent, stride);
    const auto axis = static_cast<int64_t>(d + 2);
    std::vector<StatusOr<Op*>> parts;
    Shape shape;
    for (int64_t r = 0; r < stride; ++r) {
      std::vector<int64_t> inner = remainders;
      inner.push_back(r);
      KILN_ASSIGN_OR_RETURN(Op * part, Join(inner));
      if (stride == 1) return part;
      if (part->shape()[d + 2] < rows) {
        std::vector<int64_t> low(part->shape().size(), 0), high = low;
        high[d + 2] = rows - part->shape()[d + 2];
        KILN_ASSIGN_OR_RETURN(part, b_.Make("pad", {part}, {{"low", low}, {"high", high}}));
      }
      shape = part->shape();
      shape.insert(shape.begin() + axis + 1, 1);
      parts.push_back(b_.Reshape(part, shape));
    }
    shape.erase(shape.begin() + axis + 1);
    shape[d + 2] *= stride;
    const auto joined =
        b_.Reshape(b_.Make("concat", std::move(parts), {{"axis", axis + 1}}), shape);
    if (shape[d + 2] == extent) return joined;
    shape[d + 2] = extent;
    return Slice(joined, std::vector<int64_t>(shape.size(), 0), shape,
                 std::vector<int64_t>(shape.size(), 1));
  }

 private:
  StatusOr<Op*> Slice(const StatusOr<Op*>& x, std::vector<int64_t> starts, Shape sizes,
                      std::vector<int64_t> strides) {
    return b_.Make("slice", {x},
                   {{"starts", std::move(starts)},
                    {"sizes", std::move(sizes)},
                    {"strides", std::move(strides)}});
  }

  /// The positions that have these remainders.
  StatusOr<Op*> Part(const std::vector<int64_t>& remainders) {
    const Shape &x = op_.operand(0)->shape(), &w = op_.operand(1)->shape();
    Shape y = {op_.shape()[0], op_.shape()[1]}, taps = {w[0], w[1]};
    std::vector<int64_t> first = {0, 0}, steps = {1, 1}, low, high, padding;
    for (size_t d = 0; d < remainders.size(); ++d) {
      const int64_t stride = op_.Ints("strides")[d];
      const int64_t start = remainders[d] + op_.Ints("pads_low")[d];
      const int64_t tap = start % stride;
      y.push_back(CeilDiv(op_.shape()[d + 2] - remainders[d], stride));
      taps.push_back(tap < w[d + 2] ? CeilDiv(w[d + 2] - tap, stride) : 0);
      first.push_back(tap);
      steps.push_back(stride);
      low.push_back(start / stride);
      const int64_t rest = x[d + 2] + taps.back() - 1 - low.back() - y.back();
      high.push_back(std::max<int64_t>(rest, 0));
      padding.push_back(std::max<int64_t>(-rest, 0));
    }
    if (ElementCount(taps) == 0 || ElementCount(y) == 0) {
      return b_.Broadcast(b_.Scalar(op_.element(), 0), y);
    }
    const std::vector<int64_t> ones(remainders.size(), 1);
    return b_.Make("conv_transpose", {op_.operand(0), Slice(op_.operand(1), first, taps, steps)},
                   {{"strides", ones},
                    {"dilations", ones},
                    {"pads_low", low},
                    {"pads_high", high},
                    {"output_padding", padding},
                    {"groups", op_.Int("groups")}});
  }

  const Op& op_;
  Builder& b_;
};

StatusOr<Op*> Split(RewriteSite& at) {
  const Op& op = at.op();
  if (!op.Is("conv_transpose") || !IsFloat(op.element())) return kNoMatch;
  const std::vector<int64_t>& strides = op.Ints("strides");
  int64_t parts = 1;
  for (const int64_t stride : strides) parts = std::min(parts * stride, kMaxParts + 1);
  if (parts == 1) return kNoMatch;
  if (parts > kMaxParts) return at.Refuse("stays whole: its strides would give too many parts");
  const std::vector<int64_t>& dilations = op.Ints("dilations");
  if (std::any_of(dilations.begin(), dilations.end(), [](int64_t d) { return d != 1; })) {
    return at.Refuse("stays whole: its kernel is dilated");
  }
  return Splitter(at).Join({});
}

}  // namespace

Pass SplitConvTranspose() {
  return MakeRewritePass(
      "split-conv-transpose", "splits transposed convolutions with strides into some without",
      {{"split", "conv_transpose(x, w) {s} = interleaved conv_transposes {1}", Split}});
}

}  // namespace kiln
