// Pools and resampling.
#include "compiler/import/caffe2/node.h"
#include "compiler/import/caffe2/window.h"
#include "compiler/import/foreign/build.h"

namespace kiln::caffe2_import {

namespace {

Status Pool(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.IsNhwc() ? ChannelsFirst(b, n.input(0)) : n.input(0));
  KILN_ASSIGN_OR_RETURN(const Shape spatial, SpatialShape(x->type()));
  const bool max = n.op().kind == "max_pool";
  const auto finish = [&](const StatusOr<Op*>& y) {
    return n.Output(n.IsNhwc() ? ChannelsLast(b, y) : y);
  };
  if (n.Int("global_pooling") != 0) {
    return finish(Reduce(b, max ? "reduce_max" : "reduce_mean", x, AxesFrom(2, Rank(x)), true));
  }
  KILN_ASSIGN_OR_RETURN(const auto read, ReadWindow(n, spatial, {}));
  AttributeMap attributes = read.window.PoolAttributes();
  if (!max) {
    attributes.emplace("count_include_pad", n.Int("count_include_pad") != 0);
    attributes.emplace("ceil_pads_high", read.ceil_pads_high);
  }
  return finish(n.Make(n.op().kind, {x}, std::move(attributes)));
}

Status Resize(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.IsNhwc() ? ChannelsFirst(b, n.input(0)) : n.input(0));
  if (Rank(x) != 4) return InvalidInput("needs 4 dimensions, found ", x->type().ToString());
  Shape sizes = x->shape();
  const double scales[] = {n.Float("height_scale", 1), n.Float("width_scale", 1)};
  for (int d = 0; d < 2; ++d) {
    const double extent = static_cast<double>(sizes[d + 2]) * scales[d];
    if (!(extent >= 1 && extent <= static_cast<double>(kMaxExtent))) {
      return InvalidInput("scale ", scales[d], " is out of range");
    }
    sizes[d + 2] = static_cast<int64_t>(extent);
  }
  const bool nearest = n.op().name == "ResizeNearest";
  const auto y = ResizeTo(b, x, sizes, nearest ? "nearest" : "linear",
                          nearest ? "asymmetric" : "align_corners");
  return n.Output(n.IsNhwc() ? ChannelsLast(b, y) : y);
}

}  // namespace

std::vector<Caffe2Op> PoolOps() {
  std::vector<Caffe2Op> ops;
  for (const char* const dims : {"", "1D", "2D", "3D"}) {
    ops.push_back({.name = StrCat("MaxPool", dims),
                   .handler = Pool,
                   .kind = "max_pool",
                   .arguments = WindowArguments({"global_pooling"})});
    ops.push_back({.name = StrCat("AveragePool", dims),
                   .handler = Pool,
                   .kind = "avg_pool",
                   .arguments = WindowArguments({"global_pooling", "count_include_pad"})});
  }
  for (const char* const name : {"ResizeNearest", "UpsampleBilinear"}) {
    ops.push_back(
        {.name = name, .handler = Resize, .arguments = {"width_scale", "height_scale", "order"}});
  }
  return ops;
}

}  // namespace kiln::caffe2_import
