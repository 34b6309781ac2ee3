// reduce-1x1: work over extents of 1 becomes less work, a product, or nothing.
//
//   pool(x) {kernel 1}         = x, or slice(x) with steps     average and maximum
//   avg_pool(x), max_pool(x)   = reduce_mean(x), reduce_max(x) the window is the image
//   conv(x, w) {pads}          = conv(x, slice(w))             x is one pixel, which one tap sees
//   conv(x, w)                 = reshape(matmul(reshape(x), w')) x and kernel are one pixel
//   f(reshape(x), c)           = reshape(f(x, c'))             x [N, C], reshape to one pixel
//   mean(conv(x, w) + b)       = conv(mean(x), w) + b          1x1 conv, mean over the image
//   conv(conv(x, a), b)        = conv(x, b a)                  1x1 both, where b a is smaller
//   conv(x, w) {strides}       = conv(slice(x) with steps, w)  1x1, where rows are too short
//
// A 1x1 convolution of an image is a product over all its positions as it is: with no padding
// around its image or result, scheduling makes one loop of them (tests/compiler/schedule_test.cc).
//
// Kept: chains whose product is larger, means behind anything that is not linear, groups.
#include <algorithm>

#include "ir/graph/op_def.h"
#include "passes/graph/constants.h"
#include "passes/graph/graph_passes.h"
#include "passes/rewrite.h"

namespace kiln {

namespace {

// Fewer positions in a row than this leave a register tile short of rows.
constexpr int64_t kShortRow = 4;

bool AllAre(const std::vector<int64_t>& values, int64_t value) {
  return std::all_of(values.begin(), values.end(), [=](int64_t v) { return v == value; });
}

Shape Spatial(const Op& image) { return {image.shape().begin() + 2, image.shape().end()}; }
Shape KernelOf(const Op& conv) { return Spatial(*conv.operand(1)); }

bool IsUnpadded(const Op& window) {
  return AllAre(window.Ints("pads_low"), 0) && AllAre(window.Ints("pads_high"), 0);
}

// A 1x1 convolution without groups or padding.
bool IsPointwise(const Op& op) {
  return op.Is("conv") && op.Int("groups") == 1 && AllAre(KernelOf(op), 1) && IsUnpadded(op);
}

bool IsPool(const Op& op) { return op.Is("max_pool") || op.Is("avg_pool"); }

// Every n-th position of an image, by `strides` in its spatial dimensions.
StatusOr<Op*> Gathered(Builder& b, Op* x, const std::vector<int64_t>& strides,
                       const Shape& positions) {
  const size_t rank = x->shape().size();
  std::vector<int64_t> steps(rank, 1), sizes = x->shape();
  for (size_t d = 0; d < strides.size(); ++d) {
    steps[d + 2] = strides[d];
    sizes[d + 2] = positions[d];
  }
  return b.Make("slice", {x},
                {{"starts", std::vector<int64_t>(rank, 0)}, {"sizes", sizes}, {"strides", steps}});
}

StatusOr<Op*> PoolOfOne(RewriteSite& at) {
  const Op& pool = at.op();
  if (!IsPool(pool) || !AllAre(pool.Ints("kernel"), 1) || !IsUnpadded(pool)) return kNoMatch;
  if (AllAre(pool.Ints("strides"), 1)) return at.operand(0);
  return Gathered(at.b(), at.operand(0), pool.Ints("strides"), Spatial(pool));
}

StatusOr<Op*> PoolOfAll(RewriteSite& at) {
  const Op& pool = at.op();
  if (!IsPool(pool) || pool.Ints("kernel") != Spatial(*at.operand(0)) || !IsUnpadded(pool)) {
    return kNoMatch;
  }
  if (!AllAre(Spatial(pool), 1) || pool.type().count() == 0) return kNoMatch;
  std::vector<int64_t> axes;
  for (int64_t d = 2; d < pool.type().rank(); ++d) axes.push_back(d);
  return at.b().Make(pool.Is("max_pool") ? "reduce_max" : "reduce_mean", {at.operand(0)},
                     {{"axes", axes}, {"keep_dims", true}});
}

StatusOr<Op*> OneTap(RewriteSite& at) {
  const Op& conv = at.op();
  if (!conv.Is("conv") || !AllAre(Spatial(*at.operand(0)), 1) || !AllAre(Spatial(conv), 1)) {
    return kNoMatch;
  }
  if (AllAre(KernelOf(conv), 1) && IsUnpadded(conv)) return kNoMatch;
  // The pixel lies at position pad_low of the window.
  std::vector<int64_t> starts(conv.shape().size(), 0), sizes = at.operand(1)->shape();
  for (size_t d = 0; d + 2 < sizes.size(); ++d) {
    const int64_t tap = conv.Ints("pads_low")[d];
    if (tap % conv.Ints("dilations")[d] != 0) return kNoMatch;
    starts[d + 2] = tap / conv.Ints("dilations")[d];
    if (starts[d + 2] >= sizes[d + 2]) return kNoMatch;
    sizes[d + 2] = 1;
  }
  const std::vector<int64_t> ones(sizes.size(), 1);
  const auto weights = at.b().Make("slice", {at.operand(1)},
                                   {{"starts", starts}, {"sizes", sizes}, {"strides", ones}});
  AttributeMap attributes = conv.attributes();
  for (const char* const name : {"strides", "dilations"}) {
    attributes.insert_or_assign(name, std::vector<int64_t>(sizes.size() - 2, 1));
  }
  for (const char* const name : {"pads_low", "pads_high"}) {
    attributes.insert_or_assign(name, std::vector<int64_t>(sizes.size() - 2, 0));
  }
  return at.b().Make("conv", {at.operand(0), weights}, std::move(attributes));
}

StatusOr<Op*> ProductOfPixels(RewriteSite& at) {
  const Op& conv = at.op();
  if (!IsPointwise(conv) || !AllAre(Spatial(*at.operand(0)), 1)) return kNoMatch;
  const Shape& w = at.operand(1)->shape();
  const auto x = at.b().Reshape(at.operand(0), {conv.shape()[0], w[1]});
  const auto weights = at.b().Reshape(at.operand(1), {w[0], w[1]});
  return at.b().Reshape(at.b().Make("matmul", {x, weights}, {{"transpose_b", true}}), conv.shape());
}

// [N, C] as an image of one pixel.
bool IsToPixel(const Op& op) {
  return op.Is("reshape") && op.operand(0)->shape().size() == 2 && op.shape().size() > 2 &&
         op.shape()[0] == op.operand(0)->shape()[0] && op.shape()[1] == op.operand(0)->shape()[1];
}

StatusOr<Op*> PixelOutwards(RewriteSite& at) {
  const Op& op = at.op();
  if (!op.HasTrait(kElementwise)) return kNoMatch;
  bool found = false;
  for (const Op* const operand : op.operands()) {
    const bool pixel = operand->shape() == op.shape() && IsToPixel(*operand);
    if (!pixel && !IsStatic(*operand, at.context())) return kNoMatch;
    found |= pixel && !IsStatic(*operand, at.context());
  }
  if (!found) return kNoMatch;
  std::vector<Op*> operands;
  for (Op* const operand : op.operands()) {
    if (operand->shape() == op.shape() && IsToPixel(*operand)) {
      operands.push_back(operand->operand(0));
      continue;
    }
    // Aligned at the right, as broadcasting does; then the ones behind the channels go.
    Shape shape(op.shape().size() - operand->shape().size(), 1);
    shape.insert(shape.end(), operand->shape().begin(), operand->shape().end());
    KILN_ASSIGN_OR_RETURN(Op* const flat, at.b().Reshape(operand, {shape[0], shape[1]}));
    operands.push_back(flat);
  }
  return at.b().Reshape(at.b().CloneOp(op, operands), op.shape());
}

bool IsMeanOfImage(const Op& op) {
  if (!op.Is("reduce_mean") || op.type().count() == 0) return false;
  std::vector<int64_t> axes = op.Ints("axes");
  std::sort(axes.begin(), axes.end());
  const Shape& x = op.operand(0)->shape();
  if (x.size() < 3 || axes.size() != x.size() - 2) return false;
  for (size_t i = 0; i < axes.size(); ++i) {
    if (axes[i] != static_cast<int64_t>(i) + 2) return false;
  }
  return true;
}

StatusOr<Op*> MeanBeforeProduct(RewriteSite& at) {
  if (!IsMeanOfImage(at.op()) || AllAre(Spatial(*at.operand(0)), 1)) return kNoMatch;
  Op* conv = at.operand(0);
  Op* bias = nullptr;
  if (conv->Is("add")) {
    for (const size_t i : {0, 1}) {
      Op* const other = conv->operand(1 - i);
      if (bias == nullptr && IsPointwise(*conv->operand(i)) && IsStatic(*other, at.context()) &&
          VariesOnlyAlong(*other, conv->shape(), 1)) {
        bias = other;
      }
    }
    if (bias == nullptr) return kNoMatch;
    if (!HasOneUse(*conv)) return at.Refuse(StrCat("stays behind: ", OtherUse(*conv, at.op())));
    conv = conv->operand(conv->operand(0) == bias ? 1 : 0);
  }
  if (!IsPointwise(*conv) || !AllAre(conv->Ints("strides"), 1)) return kNoMatch;
  if (!HasOneUse(*conv)) {
    return at.Refuse(StrCat("stays behind ", Describe(*conv), ": it is read by others too"));
  }
  AttributeMap mean = at.op().attributes();
  mean.insert_or_assign("keep_dims", true);
  StatusOr<Op*> result =
      at.b().Make("conv", {at.b().Make("reduce_mean", {conv->operand(0)}, mean), conv->operand(1)},
                  conv->attributes());
  if (bias != nullptr) result = at.b().Add(result, bias);
  return at.op().Bool("keep_dims") ? result : at.b().Reshape(result, at.op().shape());
}

StatusOr<Op*> LinearChain(RewriteSite& at) {
  const Op& outer = at.op();
  if (!IsPointwise(outer) || !IsPointwise(*at.operand(0))) return kNoMatch;
  const Op& inner = *at.operand(0);
  if (!AllAre(inner.Ints("strides"), 1)) return kNoMatch;
  const int64_t in = inner.operand(0)->shape()[1], middle = inner.shape()[1],
                out = outer.shape()[1];
  if (!IsStatic(*inner.operand(1), at.context()) || !IsStatic(*outer.operand(1), at.context())) {
    return at.Refuse(StrCat("not merged with ", Describe(inner), ": their weights are not known"));
  }
  if (!HasOneUse(inner)) {
    return at.Refuse(StrCat("not merged with ", Describe(inner), ": ", OtherUse(inner, outer)));
  }
  if (in * out >= middle * (in + out)) {
    return at.Refuse(StrCat("not merged with ", Describe(inner), ": ", in, " x ", out,
                            " products a position are no fewer than ", middle, " x ", in + out));
  }
  const auto a = at.b().Reshape(inner.operand(1), {middle, in});
  const auto b = at.b().Reshape(outer.operand(1), {out, middle});
  Shape shape = outer.operand(1)->shape();
  shape[1] = in;
  return at.b().Make("conv",
                     {inner.operand(0), at.b().Reshape(at.b().Make("matmul", {b, a}), shape)},
                     outer.attributes());
}

StatusOr<Op*> GatherFirst(RewriteSite& at) {
  const Op& conv = at.op();
  if (!IsPointwise(conv) || AllAre(conv.Ints("strides"), 1)) return kNoMatch;
  const Shape positions = Spatial(conv);
  if (ElementCount(positions) == 0) return kNoMatch;
  if (positions.back() >= kShortRow || ElementCount(positions) < 2 * positions.back()) {
    return at.Refuse("reads every n-th position where it lies: its rows fill register tiles");
  }
  AttributeMap attributes = conv.attributes();
  attributes.insert_or_assign("strides", std::vector<int64_t>(positions.size(), 1));
  const auto gathered = Gathered(at.b(), at.operand(0), conv.Ints("strides"), positions);
  return at.b().Make("conv", {gathered, at.operand(1)}, std::move(attributes));
}

}  // namespace

Pass Reduce1x1() {
  static const auto* const rules = new std::vector<RewriteRule>{
      {"pool-of-one", "pool(x) {kernel 1} = x, or slice(x)", PoolOfOne},
      {"pool-of-all", "a pool whose window is the image = a reduction", PoolOfAll},
      {"one-tap", "conv(pixel, w) {pads} = conv(pixel, slice(w))", OneTap},
      {"product-of-pixels", "conv(pixel, w) = matmul(pixel, w)", ProductOfPixels},
      {"pixel-outwards", "f(reshape(x), c) = reshape(f(x, c))", PixelOutwards},
      {"mean-before-product", "mean(conv(x, w) + b) = conv(mean(x), w) + b", MeanBeforeProduct},
      {"linear-chain", "conv(conv(x, a), b) = conv(x, b a)", LinearChain},
      {"gather-first", "conv(x, w) {strides} = conv(slice(x), w)", GatherFirst},
  };
  return MakeRewritePass("reduce-1x1", "reduces work over extents of 1", *rules);
}

}  // namespace kiln
