// use-winograd: a 3x3 or 5x5 convolution of stride 1 takes fewer products tile by tile.
//
//   conv(x, w) {pads, groups} = winograd_conv(x, winograd_weights(w)) {extents, pads_low, groups}
//   conv_transpose(x, w) {pads} =
//       winograd_conv(x, winograd_weights(w) {transposed}) {extents, pads_low = r - 1 - pads_low}
//
//   conv_weight_gradient(x, dy) {pads} = winograd_weight_gradient(x, dy) {pads_low}
//
// At the high end as much padding is read as whole tiles of m x m results need. The weights are
// transformed now when they are known, and otherwise in each call: those of a training step.
//
// Left alone: other kernels, strides and dilations, padding as wide as the kernel, groups whose
// channels do not fill vectors (the transforms would cost more than the products that they save),
// gradients whose transformed tiles would take much memory, and, under `auto`, what the cost model
// finds no faster.
#include <algorithm>

#include "ir/graph/op_def.h"
#include "ir/ops/winograd.h"
#include "passes/graph/constants.h"
#include "passes/graph/graph_passes.h"
#include "passes/rewrite.h"

namespace kiln {

namespace {

// The cost model counts in cycles of a core that starts one vector multiply-add in each.
// Bytes of weights that arrive from memory in a cycle.
constexpr double kWeightBytesPerCycle = 6;
// Cycles to transform one vector: its share of the arithmetic, and the way through the cache.
constexpr double kTransformCycles = 4.5;
// Cycles to transform one vector of weights in the call: nine strided reads for 36 results.
constexpr double kWeightCycles = 20;
// Bytes of transformed tiles that a gradient may take: they lie beside what training keeps anyway.
constexpr double kMostTileBytes = 64 << 20;
// A gain below this is not worth the larger weights.
constexpr double kWorthwhile = 0.9;
// Bytes of weights that no cache keeps from call to call. Where tiles of 4x4 have so many, and few
// products for each, those of 2x2, with less than half, are nearly as fast with one thread and as
// fast with two, which share the memory.
constexpr double kLargeWeights = 8 << 20;
constexpr double kFewProducts = 2;  // cycles, by those to load the weights
// The share of a model's weights beyond which such weights are too many: it would need far more
// memory than its peers.
constexpr double kMuch = 0.5;

struct ConvShape {
  ConvShape() = default;
  ConvShape(const Op& conv, bool weights_known)
      : images(static_cast<double>(conv.shape()[0])),
        inputs(static_cast<double>(conv.operand(0)->shape()[1])),
        outputs(static_cast<double>(conv.shape()[1])),
        weights(inputs * outputs / static_cast<double>(conv.Int("groups"))),
        weights_known(weights_known),
        kernel(conv.operand(1)->shape()[2]),
        height(conv.shape()[2]),
        width(conv.shape()[3]) {}
  double images = 0, inputs = 0, outputs = 0;
  double weights = 0;  ///< pairs of channels that meet
  bool weights_known = false;
  int64_t kernel = 0, height = 0, width = 0;
};

double DirectCycles(const ConvShape& s, int lanes) {
  const double weights = s.weights * static_cast<double>(s.kernel * s.kernel);
  const double products = s.images * static_cast<double>(s.height * s.width) * weights / lanes;
  return std::max(products, 4 * weights / kWeightBytesPerCycle);
}

double WeightBytes(const ConvShape& s, int64_t m) {
  const int64_t span = WinogradSpan(m, s.kernel);
  return 4 * static_cast<double>(span * span) * s.weights;
}

double Tiles(const ConvShape& s, int64_t m) {
  return s.images * static_cast<double>(((s.height + m - 1) / m) * ((s.width + m - 1) / m));
}

/// Of the transformed tiles on both sides of the products.
double TileBytes(const ConvShape& s, int64_t m) {
  const int64_t span = WinogradSpan(m, s.kernel);
  return 4 * static_cast<double>(span * span) * Tiles(s, m) * (s.inputs + s.outputs);
}

/// Whether tiles of 4x4 would mostly wait for their weights.
bool IsBoundByWeights(const ConvShape& s, int lanes) {
  const double bytes = WeightBytes(s, 4);
  const double products = bytes / 4 * Tiles(s, 4) / lanes;
  return s.weights_known && bytes > kLargeWeights &&
         products < kFewProducts * bytes / kWeightBytesPerCycle;
}

double WinogradCycles(const ConvShape& s, int64_t m, int lanes) {
  const int64_t span = WinogradSpan(m, s.kernel);
  const auto places = static_cast<double>(span * span);
  const double tiles = Tiles(s, m);
  const double products = places * tiles * s.weights / lanes;
  const double weights = WeightBytes(s, m) / kWeightBytesPerCycle;
  const double transforms = places * tiles * (s.inputs + s.outputs) / lanes * kTransformCycles;
  const double weight_transforms = s.weights_known ? 0 : places * s.weights / lanes * kWeightCycles;
  return std::max(products, weights) + transforms + weight_transforms;
}

struct Options {
  Winograd tiles;
  int lanes;
  bool save_memory;  ///< where tiles of 4x4 would mostly wait for their weights
};

/// The tile size to use; 0 for none.
int64_t ChooseTile(const ConvShape& shape, const Options& options) {
  const int lanes = options.lanes;
  const bool only_two = shape.kernel == 5;
  if (options.tiles == Winograd::kTile2) return 2;
  if (options.tiles == Winograd::kTile4) return only_two ? 2 : 4;
  const double two = WinogradCycles(shape, 2, lanes);
  const double four = only_two ? two : WinogradCycles(shape, 4, lanes);
  if (std::min(two, four) > kWorthwhile * DirectCycles(shape, lanes)) return 0;
  if (options.save_memory && IsBoundByWeights(shape, lanes) &&
      two <= kWorthwhile * DirectCycles(shape, lanes)) {
    return 2;
  }
  return four < two || (four == two && !only_two) ? 4 : 2;
}

bool AllAre(const std::vector<int64_t>& values, int64_t value) {
  return std::all_of(values.begin(), values.end(), [&](int64_t v) { return v == value; });
}

bool AllBelow(const std::vector<int64_t>& values, int64_t bound) {
  return std::all_of(values.begin(), values.end(), [&](int64_t v) { return v < bound; });
}

bool IsOfItsKind(const Op& op) {
  if (op.element() != ElementType::kF32 || op.type().rank() != 4) return false;
  const Shape& w = op.operand(1)->shape();
  return w[2] == w[3] && (w[2] == 3 || w[2] == 5) && AllAre(op.Ints("strides"), 1) &&
         AllAre(op.Ints("dilations"), 1) && AllBelow(op.Ints("pads_low"), w[2]) &&
         AllBelow(op.Ints("pads_high"), w[2]);
}

StatusOr<Op*> Weights(RewriteSite& at, int64_t m, bool transposed) {
  if (const Tensor* const w = KnownTensor(*at.operand(1), at.context())) {
    KILN_ASSIGN_OR_RETURN(const Tensor u, WinogradWeights(*w, m, transposed));
    return at.b().Constant(u);
  }
  return at.b().Make("winograd_weights", {at.operand(1)},
                     {{"tile", m}, {"transposed", transposed}});
}

/// The convolution that `at` is, with `pads_low` before x, in Winograd's form.
StatusOr<Op*> InTiles(RewriteSite& at, const std::vector<int64_t>& pads_low, bool transposed,
                      const Options& options) {
  if (options.tiles == Winograd::kOff) return kNoMatch;
  const Op& conv = at.op();
  const int64_t groups = conv.Int("groups");
  const int64_t inputs = conv.operand(0)->shape()[1] / groups, outputs = conv.shape()[1] / groups;
  if (inputs % options.lanes != 0 || outputs % options.lanes != 0) {
    return at.Refuse("stays direct: its channels do not fill vectors");
  }
  const ConvShape shape(conv, IsStatic(*conv.operand(1), at.context()));
  const int64_t m = ChooseTile(shape, options);
  if (m == 0) return at.Refuse("stays direct: that is as fast, by the cost model");
  KILN_ASSIGN_OR_RETURN(Op* const u, Weights(at, m, transposed));
  at.Explain(StrCat(Describe(conv), " computed in Winograd tiles of ", m, "x", m));
  const std::vector<int64_t> extents(conv.shape().begin() + 2, conv.shape().end());
  return at.b().Make(
      "winograd_conv", {at.operand(0), u},
      {{"extents", extents}, {"pads_low", pads_low}, {"tile", m}, {"groups", groups}});
}

StatusOr<Op*> Convolution(RewriteSite& at, const Options& options) {
  const Op& conv = at.op();
  if (!conv.Is("conv") || !IsOfItsKind(conv)) return kNoMatch;
  return InTiles(at, conv.Ints("pads_low"), /*transposed=*/false, options);
}

/// The shape of the convolution whose weight gradient `op` is.
ConvShape ShapeOfGradient(const Op& op) {
  ConvShape shape;
  const Op &x = *op.operand(0), &dy = *op.operand(1);
  shape.images = static_cast<double>(x.shape()[0]);
  shape.inputs = static_cast<double>(x.shape()[1]);
  shape.outputs = static_cast<double>(dy.shape()[1]);
  shape.weights = shape.inputs * shape.outputs;
  shape.kernel = op.shape()[2];
  shape.height = dy.shape()[2];
  shape.width = dy.shape()[3];
  return shape;
}

StatusOr<Op*> WeightGradient(RewriteSite& at, const Options& options) {
  const Op& op = at.op();
  if (options.tiles == Winograd::kOff || !op.Is("conv_weight_gradient") ||
      op.element() != ElementType::kF32 || op.type().rank() != 4 || op.Int("groups") != 1 ||
      !AllAre(op.Ints("kernel"), 3) || !AllAre(op.Ints("strides"), 1) ||
      !AllAre(op.Ints("dilations"), 1) || !AllBelow(op.Ints("pads_low"), 3) ||
      !AllBelow(op.Ints("pads_high"), 3)) {
    return kNoMatch;
  }
  const Shape &x = op.operand(0)->shape(), &dy = op.operand(1)->shape();
  if (x[1] % options.lanes != 0 || dy[1] % options.lanes != 0) {
    return at.Refuse("stays direct: its channels do not fill vectors");
  }
  const ConvShape shape = ShapeOfGradient(op);
  const int64_t m = ChooseTile(shape, options);
  if (m == 0) return at.Refuse("stays direct: that is as fast, by the cost model");
  if (TileBytes(shape, m) > kMostTileBytes) {
    return at.Refuse("stays direct: its transformed tiles would take too much memory");
  }
  at.Explain(StrCat(Describe(op), " computed in Winograd tiles of ", m, "x", m));
  return at.b().Make("winograd_weight_gradient", {at.operand(0), at.operand(1)},
                     {{"pads_low", op.Ints("pads_low")}, {"tile", m}});
}

StatusOr<Op*> TransposedConvolution(RewriteSite& at, const Options& options) {
  const Op& conv = at.op();
  if (!conv.Is("conv_transpose") || !IsOfItsKind(conv) || conv.Int("groups") != 1) return kNoMatch;
  std::vector<int64_t> pads_low;
  for (size_t d = 0; d < 2; ++d) {
    if (conv.Ints("output_padding")[d] > conv.Ints("pads_high")[d]) return kNoMatch;
    pads_low.push_back(conv.operand(1)->shape()[d + 2] - 1 - conv.Ints("pads_low")[d]);
  }
  return InTiles(at, pads_low, /*transposed=*/true, options);
}

/// Whether tiles of 4x4 that mostly wait for their weights would add much to the model's.
bool AddsMuch(const Module& module, int lanes, const PassContext& context) {
  double all = 0, waited_for = 0;
  for (const auto& [name, parameter] : module.parameters()) {
    all += static_cast<double>(parameter.value.type().bytes());
  }
  for (const auto& function : module.functions()) {
    for (const auto& op : function->ops()) {
      if (op->Is("constant")) all += static_cast<double>(op->type().bytes());
      if (!op->Is("conv") || !IsOfItsKind(*op)) continue;
      const ConvShape shape(*op, IsStatic(*op->operand(1), context));
      if (IsBoundByWeights(shape, lanes)) waited_for += WeightBytes(shape, 4);
    }
  }
  return waited_for > kMuch * all;
}

Pass MakePass(const Options& options) {
  return MakeRewritePass(
      "use-winograd", "computes 3x3 convolutions in Winograd's form where that is faster",
      {{"winograd", "conv(x, w) = winograd_conv(x, winograd_weights(w))",
        [=](RewriteSite& at) { return Convolution(at, options); }},
       {"winograd-transposed",
        "conv_transpose(x, w) = winograd_conv(x, winograd_weights(w) {transposed})",
        [=](RewriteSite& at) { return TransposedConvolution(at, options); }},
       {"winograd-weight-gradient", "conv_weight_gradient(x, dy) = winograd_weight_gradient(x, dy)",
        [=](RewriteSite& at) { return WeightGradient(at, options); }}});
}

}  // namespace

Pass UseWinograd(Winograd tiles, int lanes) {
  Pass pass = MakePass({tiles, lanes, false});
  pass.run = [=](Module& module, PassContext& context) {
    return MakePass({tiles, lanes, AddsMuch(module, lanes, context)}).run(module, context);
  };
  return pass;
}

}  // namespace kiln
