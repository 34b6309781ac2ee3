// Pools and resampling.
#include "compiler/import/foreign/build.h"
#include "compiler/import/mxnet/node.h"
#include "compiler/import/mxnet/ops/window.h"

namespace kiln::mxnet_import {

namespace {

StatusOr<Op*> GlobalPool(Node& n, Op* x, const std::string& type) {
  Builder& b = n.builder();
  const auto axes = AxesFrom(2, Rank(x));
  if (type == "max") return Reduce(b, "reduce_max", x, axes, true);
  if (type == "avg") return Reduce(b, "reduce_mean", x, axes, true);
  if (type == "sum") return Reduce(b, "reduce_sum", x, axes, true);
  return Unsupported("pool_type ", Quote(type), " is not supported");
}

StatusOr<Op*> WindowPool(Node& n, Op* x, const std::string& type) {
  KILN_ASSIGN_OR_RETURN(const Shape spatial, SpatialShape(x->type()));
  KILN_ASSIGN_OR_RETURN(Window window, ReadWindow(n, n.Ints("kernel"), spatial.size()));
  const std::string convention = n.String("pooling_convention", "valid");
  std::vector<int64_t> added(window.rank(), 0);
  if (convention == "full") {
    added = RoundUp(window, spatial, /*clip=*/false);
  } else if (convention == "same") {
    PadSame(window, spatial, /*upper=*/true);
  } else if (convention != "valid") {
    return Unsupported("pooling_convention ", Quote(convention), " is not supported");
  }
  AttributeMap attributes = window.PoolAttributes();
  if (type == "max") return n.Make("max_pool", {x}, std::move(attributes));
  if (type == "avg") {
    attributes.emplace("count_include_pad", n.Bool("count_include_pad", true));
    attributes.emplace("ceil_pads_high", added);
    return n.Make("avg_pool", {x}, std::move(attributes));
  }
  if (type == "sum") {  // the mean over all of the window, times its size
    attributes.emplace("count_include_pad", true);
    return n.builder().MulScalar(n.Make("avg_pool", {x}, std::move(attributes)),
                                 static_cast<double>(ElementCount(window.kernel)));
  }
  if (type == "lp") {
    attributes.emplace("p", n.Int("p_value", 2));
    return n.Make("lp_pool", {x}, std::move(attributes));
  }
  return Unsupported("pool_type ", Quote(type), " is not supported");
}

Status Pooling(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(const bool channels_last, IsChannelsLast(n));
  KILN_ASSIGN_OR_RETURN(Op* const given, n.input(0));
  KILN_ASSIGN_OR_RETURN(Op* const x, channels_last ? ChannelsFirst(b, given) : given);
  if (Rank(x) < 3) return InvalidInput("needs spatial dimensions: ", x->type().ToString());
  const std::string type = n.String("pool_type", "max");
  const auto y = n.Bool("global_pool") ? GlobalPool(n, x, type) : WindowPool(n, x, type);
  return n.Output(channels_last ? ChannelsLast(b, y) : y);
}

StatusOr<Op*> ResizePlanes(Node& n, Op* x, int64_t height, int64_t width, const char* mode,
                           const char* coordinates) {
  if (Rank(x) != 4) return InvalidInput("needs [N, C, H, W], found ", x->type().ToString());
  if (height < 1 || width < 1 || height > kMaxExtent || width > kMaxExtent) {
    return InvalidInput("cannot be resized to ", height, " x ", width);
  }
  return ResizeTo(n.builder(), x, {x->shape()[0], x->shape()[1], height, width}, mode, coordinates);
}

Status UpSampling(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  if (n.num_inputs() > 1 || n.String("sample_type") != "nearest") {
    return Unsupported("only nearest neighbours of one input are supported");
  }
  const int64_t scale = n.Int("scale");
  if (scale < 1 || scale > 1024) return InvalidInput("scale is ", scale);
  if (Rank(x) != 4) return InvalidInput("needs [N, C, H, W], found ", x->type().ToString());
  return n.Output(
      ResizePlanes(n, x, x->shape()[2] * scale, x->shape()[3] * scale, "nearest", "asymmetric"));
}

Status BilinearResize(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  const char* const coordinates = n.Bool("align_corners", true) ? "align_corners" : "half_pixel";
  return n.Output(ResizePlanes(n, x, n.Int("height", 1), n.Int("width", 1), "linear", coordinates));
}

// The mean over bins; only where they are of one size.
Status AdaptiveAvgPool(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  if (Rank(x) != 4) return InvalidInput("needs [N, C, H, W], found ", x->type().ToString());
  std::vector<int64_t> bins = n.Ints("output_size");
  if (bins.size() == 1) bins.push_back(bins[0]);
  if (bins.empty()) bins = {1, 1};
  KILN_RETURN_IF_ERROR(n.Problem());
  std::vector<int64_t> kernel;
  for (size_t d = 0; d < 2; ++d) {
    if (bins.size() != 2 || bins[d] < 1 || x->shape()[d + 2] % bins[d] != 0) {
      return Unsupported("output_size ", FormatInts(bins), " of ", x->type().ToString(),
                         " is not supported");
    }
    kernel.push_back(x->shape()[d + 2] / bins[d]);
  }
  const Window window = {kernel, kernel, {1, 1}, {0, 0}, {0, 0}};
  return n.Output(n.Make("avg_pool", {x}, window.PoolAttributes()));
}

}  // namespace

std::vector<MxnetOp> PoolOps() {
  std::vector<MxnetOp> ops;
  for (const char* const name : {"Pooling", "Pooling_v1"}) {
    ops.push_back({.name = name,
                   .handler = Pooling,
                   .attributes = {"kernel", "stride", "pad", "pool_type", "global_pool",
                                  "pooling_convention", "count_include_pad", "p_value", "layout"},
                   .limits = "1 to 3 spatial dimensions"});
  }
  ops.push_back({.name = "UpSampling",
                 .handler = UpSampling,
                 .inputs = {1, kAny},
                 .attributes = {"scale", "sample_type", "num_filter", "multi_input_mode"},
                 .limits = "nearest neighbours of one input"});
  ops.push_back({.name = "_contrib_BilinearResize2D",
                 .handler = BilinearResize,
                 .attributes = {"height", "width", "align_corners"}});
  ops.push_back({.name = "_contrib_AdaptiveAvgPooling2D",
                 .handler = AdaptiveAvgPool,
                 .attributes = {"output_size"},
                 .limits = "bins of one size"});
  return ops;
}

}  // namespace kiln::mxnet_import
