// Layers that move elements: Concat, Slice, Split, Reshape, Flatten, Crop, Tile, Interp, ...
#include <algorithm>

#include "compiler/import/caffe/layer.h"
#include "compiler/import/foreign/build.h"
#include "compiler/import/foreign/movement.h"
#include "compiler/import/foreign/window.h"

namespace kiln::caffe_import {

namespace {

// The axis, or its deprecated form.
template <typename Param>
StatusOr<int64_t> ReadAxis(const Param& param, bool has_old, uint32_t old, int64_t rank) {
  return NormalAxis(has_old && !param.has_axis() ? int64_t{old} : int64_t{param.axis()}, rank);
}

Status Concat(Layer& n) {
  const caffe::ConcatParameter& param = n.proto().concat_param();
  KILN_ASSIGN_OR_RETURN(const std::vector<Op*> xs, n.bottoms());
  KILN_ASSIGN_OR_RETURN(const int64_t axis,
                        ReadAxis(param, param.has_concat_dim(), param.concat_dim(), Rank(xs[0])));
  if (xs.size() == 1) return n.Top(xs[0]);
  return n.Top(n.Make("concat", {xs.begin(), xs.end()}, {{"axis", axis}}));
}

// Where each top begins, and the end.
StatusOr<std::vector<int64_t>> SlicePoints(const caffe::SliceParameter& param, int64_t extent,
                                           int tops) {
  std::vector<int64_t> points = {0};
  if (param.slice_point_size() > 0) {
    if (param.slice_point_size() != tops - 1) {
      return InvalidInput("has ", param.slice_point_size(), " slice_point for ", tops, " tops");
    }
    for (const uint32_t point : param.slice_point()) {
      if (point <= points.back() || point >= extent) {
        return InvalidInput("slice_point ", point, " is out of order or past the extent ", extent);
      }
      points.push_back(point);
    }
  } else {
    if (extent % tops != 0) {
      return InvalidInput("an extent of ", extent, " does not divide into ", tops, " tops");
    }
    for (int i = 1; i < tops; ++i) points.push_back(extent / tops * i);
  }
  points.push_back(extent);
  return points;
}

Status Slice(Layer& n) {
  const caffe::SliceParameter& param = n.proto().slice_param();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.bottom(0));
  KILN_ASSIGN_OR_RETURN(const int64_t axis,
                        ReadAxis(param, param.has_slice_dim(), param.slice_dim(), Rank(x)));
  KILN_ASSIGN_OR_RETURN(const auto points, SlicePoints(param, x->shape()[axis], n.num_tops()));
  for (int i = 0; i < n.num_tops(); ++i) {
    KILN_RETURN_IF_ERROR(
        n.Top(i, SliceAxis(n.builder(), x, axis, points[i], points[i + 1] - points[i])));
  }
  return OkStatus();
}

Status Split(Layer& n) {
  for (int i = 0; i < n.num_tops(); ++i) KILN_RETURN_IF_ERROR(n.Top(i, n.bottom(0)));
  return OkStatus();
}

// Takes its bottoms, gives nothing.
Status Nothing(Layer&) { return OkStatus(); }

Status Flatten(Layer& n) {
  const caffe::FlattenParameter& param = n.proto().flatten_param();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.bottom(0));
  KILN_ASSIGN_OR_RETURN(const int64_t first, NormalAxis(param.axis(), Rank(x)));
  KILN_ASSIGN_OR_RETURN(const int64_t last, NormalAxis(param.end_axis(), Rank(x)));
  if (first > last) return InvalidInput("axis ", first, " is behind end_axis ", last);
  const auto begin = x->shape().begin();
  Shape shape(begin, begin + first);
  shape.push_back(ElementCount({begin + first, begin + last + 1}));
  shape.insert(shape.end(), begin + last + 1, x->shape().end());
  return n.Top(n.builder().Reshape(x, shape));
}

// A dim of 0 is copied from the bottom, one of -1 is what is left.
Status Reshape(Layer& n) {
  const caffe::ReshapeParameter& param = n.proto().reshape_param();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.bottom(0));
  const int64_t rank = Rank(x);
  const int64_t first = param.axis() < 0 ? param.axis() + rank + 1 : param.axis();
  if (first < 0 || first > rank) {
    return InvalidInput("axis ", param.axis(), " is out of range for ", rank, " dimensions");
  }
  if (param.num_axes() < -1 || first + param.num_axes() > rank) {
    return InvalidInput("num_axes ", param.num_axes(), " from axis ", first, " passes the end of ",
                        x->type().ToString());
  }
  const int64_t end = param.num_axes() == -1 ? rank : first + param.num_axes();
  const auto begin = x->shape().begin();
  Shape shape(begin, begin + first);
  for (int i = 0; i < param.shape().dim_size(); ++i) {
    const int64_t dim = param.shape().dim(i);
    if (dim != 0) {
      shape.push_back(dim);
    } else if (first + i < rank) {
      shape.push_back(x->shape()[first + i]);
    } else {
      return InvalidInput("dim ", i, " is to be copied from a dimension that is not there");
    }
  }
  shape.insert(shape.end(), begin + end, x->shape().end());
  KILN_ASSIGN_OR_RETURN(shape, CompleteShape(shape, x->type().count()));
  return n.Top(n.builder().Reshape(x, shape));
}

// Cuts bottom 0 to the extents of bottom 1, from `axis` on.
Status Crop(Layer& n) {
  const caffe::CropParameter& param = n.proto().crop_param();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.bottom(0));
  KILN_ASSIGN_OR_RETURN(Op* const like, n.bottom(1));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(param.axis(), Rank(x)));
  if (Rank(like) != Rank(x)) return InvalidInput("bottoms differ in their number of dimensions");
  const int64_t cropped = Rank(x) - axis;
  if (param.offset_size() > 1 && param.offset_size() != cropped) {
    return InvalidInput("has ", param.offset_size(), " offsets for ", cropped, " dimensions");
  }
  StatusOr<Op*> y = x;
  for (int64_t d = axis; d < Rank(x); ++d) {
    const int64_t offset = param.offset_size() == 0   ? 0
                           : param.offset_size() == 1 ? param.offset(0)
                                                      : param.offset(static_cast<int>(d - axis));
    if (offset + like->shape()[d] > x->shape()[d]) {
      return InvalidInput("the crop passes the end of dimension ", d, ": offset ", offset,
                          ", extents ", like->shape()[d], " of ", x->shape()[d]);
    }
    KILN_RETURN_IF_ERROR(y.status());
    y = SliceAxis(n.builder(), *y, d, offset, like->shape()[d]);
  }
  return n.Top(y);
}

// All of the dimensions from `axis` on, `tiles` times.
Status Tile(Layer& n) {
  const caffe::TileParameter& param = n.proto().tile_param();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.bottom(0));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(param.axis(), Rank(x)));
  if (param.tiles() < 1) return InvalidInput("tiles must be at least 1, found ", param.tiles());
  std::vector<int64_t> repeats(Rank(x), 1);
  repeats[axis] = param.tiles();
  return n.Top(foreign::Tile(n.builder(), x, repeats));
}

Status BatchReindex(Layer& n) {
  const auto indices = n.builder().Cast(n.bottom(1), ElementType::kI64);
  return n.Top(n.Make("gather", {n.bottom(0), indices}, {{"axis", 0}}));
}

Status Permute(Layer& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.bottom(0));
  const auto& order = n.proto().permute_param().order();
  std::vector<int64_t> permutation(order.begin(), order.end());
  // Dimensions that are not named keep their order, behind the others.
  for (int64_t d = 0; d < Rank(x); ++d) {
    if (std::ranges::count(permutation, d) == 0) permutation.push_back(d);
  }
  return n.Top(n.builder().Transpose(x, permutation));
}

// [N, groups * c, ...] to [N, c * groups, ...].
Status ShuffleChannel(Layer& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.bottom(0));
  const int64_t groups = n.proto().shuffle_channel_param().group();
  if (Rank(x) < 2 || groups < 1 || x->shape()[1] % groups != 0) {
    return InvalidInput(x->type().ToString(), " does not divide into ", groups, " groups");
  }
  const int64_t rest = ElementCount({x->shape().begin() + 2, x->shape().end()});
  const auto apart = b.Reshape(x, {x->shape()[0], groups, x->shape()[1] / groups, rest});
  return n.Top(b.Reshape(b.Transpose(apart, {0, 2, 1, 3}), x->shape()));
}

StatusOr<Op*> ResizePlanes(Layer& n, Op* x, int64_t height, int64_t width, const char* mode,
                           const char* coordinates) {
  if (height < 1 || width < 1 || height > kMaxExtent || width > kMaxExtent) {
    return InvalidInput("cannot be resized to ", height, " x ", width);
  }
  return ResizeTo(n.builder(), x, {x->shape()[0], x->shape()[1], height, width}, mode, coordinates);
}

// Bilinear, corners on corners.
Status Interp(Layer& n) {
  const caffe::InterpParameter& param = n.proto().interp_param();
  KILN_ASSIGN_OR_RETURN(Op * x, n.bottom(0));
  if (Rank(x) != 4) return InvalidInput("needs [N, C, H, W], found ", x->type().ToString());
  if (param.pad_beg() != 0 || param.pad_end() != 0) {
    const std::vector<int64_t> low = {0, 0, param.pad_beg(), param.pad_beg()};
    const std::vector<int64_t> high = {0, 0, param.pad_end(), param.pad_end()};
    KILN_ASSIGN_OR_RETURN(x, n.Make("pad", {x}, {{"low", low}, {"high", high}}));
  }
  if (param.shrink_factor() < 1 || param.zoom_factor() < 1) {
    return InvalidInput("zoom_factor and shrink_factor must be at least 1");
  }
  const auto scaled = [&](int64_t extent) {
    const int64_t shrunk = std::min((extent - 1) / param.shrink_factor() + 1, kMaxExtent);
    return shrunk + (shrunk - 1) * (param.zoom_factor() - 1);
  };
  const bool given = param.height() > 0 && param.width() > 0;
  return n.Top(ResizePlanes(n, x, given ? param.height() : scaled(x->shape()[2]),
                            given ? param.width() : scaled(x->shape()[3]), "linear",
                            "align_corners"));
}

Status Upsample(Layer& n) {
  const caffe::UpsampleParameter& param = n.proto().upsample_param();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.bottom(0));
  if (Rank(x) != 4) return InvalidInput("needs [N, C, H, W], found ", x->type().ToString());
  const int64_t h = param.has_scale_h() ? param.scale_h() : param.scale();
  const int64_t w = param.has_scale_w() ? param.scale_w() : param.scale();
  if (h < 1 || w < 1 || h > 1024 || w > 1024) return InvalidInput("scale is out of range");
  return n.Top(ResizePlanes(n, x, x->shape()[2] * h, x->shape()[3] * w, "nearest", "asymmetric"));
}

}  // namespace

std::vector<CaffeLayer> ShapeLayers() {
  std::vector<CaffeLayer> layers;
  layers.push_back({.name = "Concat", .handler = Concat, .bottoms = {1, kAny}});
  layers.push_back({.name = "Slice", .handler = Slice, .tops = {1, kAny}});
  layers.push_back({.name = "Split", .handler = Split, .tops = {1, kAny}});
  layers.push_back({.name = "Silence", .handler = Nothing, .bottoms = {1, kAny}, .tops = {0, 0}});
  layers.push_back({.name = "HDF5Output",
                    .handler = Nothing,
                    .bottoms = {1, kAny},
                    .tops = {0, 0},
                    .limits = "nothing is written"});
  layers.push_back({.name = "Flatten", .handler = Flatten});
  layers.push_back({.name = "Reshape", .handler = Reshape});
  layers.push_back({.name = "Crop", .handler = Crop, .bottoms = {2, 2}});
  layers.push_back({.name = "Tile", .handler = Tile});
  layers.push_back({.name = "BatchReindex", .handler = BatchReindex, .bottoms = {2, 2}});
  layers.push_back({.name = "Filter",
                    .bottoms = {2, kAny},
                    .tops = {1, kAny},
                    .limits = "the shape of its result depends on data"});
  layers.push_back({.name = "Permute", .handler = Permute});
  layers.push_back({.name = "ShuffleChannel", .handler = ShuffleChannel});
  layers.push_back({.name = "Interp", .handler = Interp});
  layers.push_back({.name = "Upsample", .handler = Upsample, .limits = "nearest neighbours"});
  return layers;
}

}  // namespace kiln::caffe_import
