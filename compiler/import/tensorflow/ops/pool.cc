// Pools and resampling.
#include "compiler/import/foreign/build.h"
#include "compiler/import/tensorflow/node.h"
#include "compiler/import/tensorflow/ops/window.h"

namespace kiln::tensorflow_import {

namespace {

Status Pool(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, DataChannelsFirst(n, 0));
  KILN_ASSIGN_OR_RETURN(const Shape spatial, SpatialShape(x->type()));
  KILN_ASSIGN_OR_RETURN(const auto kernel, SpatialNumbers(n, "ksize", spatial.size()));
  KILN_ASSIGN_OR_RETURN(const Window window, ReadWindow(n, spatial, kernel));
  return n.Output(AsDataFormat(n, n.Make(n.op().kind, {x}, window.PoolAttributes())));
}

// Planes of [N, H, W, C] to the height and width in input 1.
StatusOr<Shape> ResizedShape(Node& n, const Op* x) {
  KILN_ASSIGN_OR_RETURN(const auto sizes, n.KnownInts(1));
  if (sizes.size() != 2 || Rank(x) != 4) {
    return InvalidInput("needs [N, H, W, C] and two sizes, found ", x->type().ToString(), " and ",
                        FormatInts(sizes));
  }
  return Shape{x->shape()[0], sizes[0], sizes[1], x->shape()[3]};
}

Status ResizeBilinear(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  KILN_ASSIGN_OR_RETURN(const Shape shape, ResizedShape(n, x));
  const char* const mode = n.Bool("align_corners")        ? "align_corners"
                           : n.Bool("half_pixel_centers") ? "half_pixel"
                                                          : "asymmetric";
  return n.Output(
      ResizeTo(n.builder(), n.builder().Cast(x, ElementType::kF32), shape, "linear", mode));
}

Status ResizeNearest(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  KILN_ASSIGN_OR_RETURN(const Shape shape, ResizedShape(n, x));
  if (n.Bool("align_corners")) {  // rounded half up
    return n.Output(
        ResizeTo(n.builder(), x, shape, "nearest", "align_corners", "round_prefer_ceil"));
  }
  const char* const mode = n.Bool("half_pixel_centers") ? "tf_half_pixel_for_nn" : "asymmetric";
  return n.Output(ResizeTo(n.builder(), x, shape, "nearest", mode));
}

}  // namespace

std::vector<TensorflowOp> PoolOps() {
  std::vector<TensorflowOp> ops;
  for (const char* const name : {"MaxPool", "MaxPool3D"}) {
    ops.push_back({.name = name, .handler = Pool, .kind = "max_pool"});
  }
  for (const char* const name : {"AvgPool", "AvgPool3D"}) {
    ops.push_back({.name = name, .handler = Pool, .kind = "avg_pool"});
  }
  ops.push_back({.name = "ResizeBilinear",
                 .handler = ResizeBilinear,
                 .inputs = {2, 2},
                 .limits = "known sizes"});
  ops.push_back({.name = "ResizeNearestNeighbor",
                 .handler = ResizeNearest,
                 .inputs = {2, 2},
                 .limits = "known sizes"});
  return ops;
}

}  // namespace kiln::tensorflow_import
