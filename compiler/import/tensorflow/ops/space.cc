// Space exchanged with batch or channels. A convolution between SpaceToBatchND and BatchToSpaceND
// is a dilated one.
#include <algorithm>

#include "compiler/import/foreign/build.h"
#include "compiler/import/tensorflow/graph_importer.h"
#include "compiler/import/tensorflow/node.h"
#include "compiler/import/tensorflow/ops/convolution.h"
#include "compiler/import/tensorflow/ops/window.h"

namespace kiln::tensorflow_import {

namespace {

// The block's extents and the pairs of pads or crops of a node, for data of `rank` dimensions.
struct Blocks {
  std::vector<int64_t> block, low, high;
};

StatusOr<Blocks> ReadBlocks(Values& values, const std::vector<std::string>& names, int64_t rank) {
  Blocks blocks;
  KILN_ASSIGN_OR_RETURN(const Tensor block, values.Known(names[0]));
  KILN_ASSIGN_OR_RETURN(const Tensor pairs, values.Known(names[1]));
  blocks.block = block.ToInts();
  const std::vector<int64_t> flat = pairs.ToInts();
  if (blocks.block.empty() || static_cast<int64_t>(blocks.block.size()) + 1 > rank ||
      flat.size() != 2 * blocks.block.size()) {
    return InvalidInput("block ", FormatInts(blocks.block), " and pairs ", FormatInts(flat),
                        " do not fit the data");
  }
  for (size_t i = 0; i < flat.size(); ++i) {
    if (flat[i] < 0 || flat[i] > kMaxExtent) return InvalidInput("pads or crops are out of range");
    (i % 2 == 0 ? blocks.low : blocks.high).push_back(flat[i]);
  }
  for (const int64_t extent : blocks.block) {
    if (extent < 1 || extent > kMaxExtent) return InvalidInput("a block is out of range");
  }
  return blocks;
}

std::vector<std::string> BlockInputs(const Node& n) { return {n.input_name(1), n.input_name(2)}; }

// [N, H, W, C] padded, then [N, H/b, b, W/b, b, C] to [b, b, N, H/b, W/b, C].
Status SpaceToBatch(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  KILN_ASSIGN_OR_RETURN(const Blocks blocks, ReadBlocks(n.values(), BlockInputs(n), Rank(x)));
  const size_t m = blocks.block.size();
  std::vector<int64_t> low(x->shape().size(), 0), high = low;
  for (size_t d = 0; d < m; ++d) {
    low[d + 1] = blocks.low[d];
    high[d + 1] = blocks.high[d];
  }
  KILN_ASSIGN_OR_RETURN(Op* const padded, n.Make("pad", {x}, {{"low", low}, {"high", high}}));
  const Shape& s = padded->shape();
  Shape apart = {s[0]}, shape = {s[0]};
  std::vector<int64_t> order, rest = {0};
  for (size_t d = 0; d < m; ++d) {
    const int64_t block = blocks.block[d];
    if (s[d + 1] % block != 0) {
      return InvalidInput("an extent of ", s[d + 1], " does not divide into blocks of ", block);
    }
    apart.insert(apart.end(), {s[d + 1] / block, block});
    shape.push_back(s[d + 1] / block);
    shape[0] *= block;
    order.push_back(static_cast<int64_t>(2 * d + 2));
    rest.push_back(static_cast<int64_t>(2 * d + 1));
  }
  for (size_t d = m + 1; d < s.size(); ++d) {
    rest.push_back(static_cast<int64_t>(apart.size()));
    apart.push_back(s[d]);
    shape.push_back(s[d]);
  }
  order.insert(order.end(), rest.begin(), rest.end());
  return n.Output(b.Reshape(b.Transpose(b.Reshape(padded, apart), order), shape));
}

// x [N, H, W, C] without what the blocks crop.
StatusOr<Op*> Cropped(Node& n, Op* x, const Blocks& blocks) {
  for (size_t d = 0; d < blocks.block.size(); ++d) {
    const auto axis = static_cast<int64_t>(d + 1);
    const int64_t size = x->shape()[axis] - blocks.low[d] - blocks.high[d];
    if (size < 0) return InvalidInput("crops are larger than the data");
    KILN_ASSIGN_OR_RETURN(x, SliceAxis(n.builder(), x, axis, blocks.low[d], size));
  }
  return x;
}

// [b*b*N, H, W, C] as [b, b, N, H, W, C], then [N, H, b, W, b, C].
StatusOr<Op*> Gathered(Node& n, Op* x, const Blocks& blocks) {
  Builder& b = n.builder();
  const Shape& s = x->shape();
  const size_t m = blocks.block.size();
  Shape apart = blocks.block;
  int64_t product = 1;
  for (const int64_t block : blocks.block) product *= block;
  if (product < 1 || s[0] % product != 0) {
    return InvalidInput("a batch of ", s[0], " does not divide into blocks of ",
                        FormatInts(blocks.block));
  }
  const auto batch = static_cast<int64_t>(m);
  std::vector<int64_t> order = {batch};
  apart.push_back(s[0] / product);
  apart.insert(apart.end(), s.begin() + 1, s.end());
  Shape shape = {s[0] / product};
  for (size_t d = 0; d < m; ++d) {
    order.push_back(batch + 1 + static_cast<int64_t>(d));
    order.push_back(static_cast<int64_t>(d));
    shape.push_back(s[d + 1] * blocks.block[d]);
  }
  for (size_t d = m + 1; d < s.size(); ++d) {
    order.push_back(batch + static_cast<int64_t>(d));
    shape.push_back(s[d]);
  }
  return b.Reshape(b.Transpose(b.Reshape(x, apart), order), shape);
}

/// A convolution between a SpaceToBatchND and this BatchToSpaceND, found by looking back.
struct Spread {
  const FlatNode* conv;
  const FlatNode* bias;  // between the convolution and us; null: none
  const FlatNode* space_to_batch;
};

std::optional<Spread> FindSpread(Node& n) {
  const FlatGraph& graph = n.importer().graph();
  const auto producer = [&graph](const FlatNode* node) -> const FlatNode* {
    if (node == nullptr || node->inputs.empty()) return nullptr;
    return graph.Find(graph.Resolve(node->inputs[0]).node);
  };
  Spread spread{n.Producer(0), nullptr, nullptr};
  if (spread.conv != nullptr && spread.conv->op == "BiasAdd") {
    spread.bias = spread.conv;
    spread.conv = producer(spread.bias);
  }
  if (spread.conv == nullptr ||
      (spread.conv->op != "Conv2D" && spread.conv->op != "DepthwiseConv2dNative") ||
      StringAttribute(*spread.conv, "padding", "") != "VALID" ||
      StringAttribute(*spread.conv, "data_format", "NHWC") != "NHWC") {
    return std::nullopt;
  }
  for (const char* const name : {"strides", "dilations"}) {
    for (const int64_t value : IntsAttribute(*spread.conv, name)) {
      if (value != 1) return std::nullopt;
    }
  }
  spread.space_to_batch = producer(spread.conv);
  if (spread.space_to_batch == nullptr || spread.space_to_batch->op != "SpaceToBatchND" ||
      spread.space_to_batch->inputs.size() != 3 || spread.conv->inputs.size() != 2) {
    return std::nullopt;
  }
  return spread;
}

// BatchToSpaceND(conv(SpaceToBatchND(x))) = crop(dilated conv(pad(x))), dilated by the block.
StatusOr<Op*> DilatedConv(Node& n, const Spread& spread, const Blocks& crops) {
  Builder& b = n.builder();
  const auto name = [&](const FlatNode* node, int i) {
    return n.importer().graph().Resolve(node->inputs[i]).ToString();
  };
  KILN_ASSIGN_OR_RETURN(Op* const x,
                        ChannelsFirst(b, n.values().Get(name(spread.space_to_batch, 0))));
  KILN_ASSIGN_OR_RETURN(
      const Blocks pads,
      ReadBlocks(n.values(), {name(spread.space_to_batch, 1), name(spread.space_to_batch, 2)},
                 Rank(x)));
  const auto given = n.values().Get(name(spread.conv, 1));
  KILN_ASSIGN_OR_RETURN(Op* const w, spread.conv->op == "Conv2D" ? ConvWeights(b, given)
                                                                 : DepthwiseWeights(b, given));
  KILN_ASSIGN_OR_RETURN(const Shape kernel, SpatialShape(w->type()));
  const bool fits = pads.block == crops.block && pads.block.size() == kernel.size();
  if (!fits) return nullptr;
  Window window = {kernel, std::vector<int64_t>(kernel.size(), 1), pads.block, pads.low, pads.high};
  Blocks left = crops;
  for (size_t d = 0; d < kernel.size(); ++d) {  // what padding would only be cropped again
    const int64_t low = std::min(window.pads_low[d], left.low[d]);
    const int64_t high = std::min(window.pads_high[d], left.high[d]);
    window.pads_low[d] -= low;
    left.low[d] -= low;
    window.pads_high[d] -= high;
    left.high[d] -= high;
  }
  StatusOr<Op*> y = ChannelsLast(b, GroupedConv(b, x, w, window));
  if (spread.bias != nullptr) y = b.Add(y, n.values().Get(name(spread.bias, 1)));
  KILN_RETURN_IF_ERROR(y.status());
  return Cropped(n, *y, left);
}

Status BatchToSpace(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  KILN_ASSIGN_OR_RETURN(const Blocks crops, ReadBlocks(n.values(), BlockInputs(n), Rank(x)));
  if (const auto spread = FindSpread(n)) {
    KILN_ASSIGN_OR_RETURN(Op* const y, DilatedConv(n, *spread, crops));
    if (y != nullptr) return n.Output(y);
  }
  KILN_ASSIGN_OR_RETURN(Op* const y, Gathered(n, x, crops));
  return n.Output(Cropped(n, y, crops));
}

// [N, H, W, C] and [N, H/b, W/b, b*b*C].
Status SpaceAndDepth(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  const int64_t block = n.Int("block_size");
  if (n.ChannelsComeFirst()) return Unsupported("data_format NCHW is not supported");
  if (Rank(x) != 4 || block < 1 || block > 1 << 15) {
    return InvalidInput("block_size ", block, " does not fit ", x->type().ToString());
  }
  const Shape& s = x->shape();
  if (n.op().name == "SpaceToDepth") {
    if (s[1] % block != 0 || s[2] % block != 0) {
      return InvalidInput("block_size ", block, " does not divide ", x->type().ToString());
    }
    const auto apart = b.Reshape(x, {s[0], s[1] / block, block, s[2] / block, block, s[3]});
    return n.Output(b.Reshape(b.Transpose(apart, {0, 1, 3, 2, 4, 5}),
                              {s[0], s[1] / block, s[2] / block, block * block * s[3]}));
  }
  if (s[3] % (block * block) != 0) {
    return InvalidInput("block_size ", block, " does not divide ", x->type().ToString());
  }
  const int64_t depth = s[3] / (block * block);
  const auto apart = b.Reshape(x, {s[0], s[1], s[2], block, block, depth});
  return n.Output(
      b.Reshape(b.Transpose(apart, {0, 1, 3, 2, 4, 5}), {s[0], s[1] * block, s[2] * block, depth}));
}

}  // namespace

std::vector<TensorflowOp> SpaceOps() {
  std::vector<TensorflowOp> ops;
  ops.push_back({.name = "SpaceToBatchND",
                 .handler = SpaceToBatch,
                 .inputs = {3, 3},
                 .limits = "known block and pads"});
  ops.push_back({.name = "BatchToSpaceND",
                 .handler = BatchToSpace,
                 .inputs = {3, 3},
                 .limits = "known block and crops"});
  for (const char* const name : {"SpaceToDepth", "DepthToSpace"}) {
    ops.push_back({.name = name, .handler = SpaceAndDepth, .limits = "NHWC"});
  }
  return ops;
}

}  // namespace kiln::tensorflow_import
