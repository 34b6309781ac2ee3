// upsample_*, pixel_shuffle and its kin.
#include "compiler/import/foreign/build.h"
#include "compiler/import/pytorch/node.h"

namespace kiln::pytorch_import {

namespace {

// The extents of the result: given, or the operand's times the factors.
StatusOr<Shape> ReadSizes(Node& n, const Op* x, std::vector<double>* factors) {
  const size_t rank = x->shape().size() - 2;
  Shape sizes = n.Ints("output_size");
  *factors = n.Floats("scale_factors");
  for (const char* const name : {"scales", "scales_d", "scales_h", "scales_w"}) {
    if (n.Has(name)) factors->push_back(n.Float(name));
  }
  KILN_RETURN_IF_ERROR(n.Problem());
  if (factors->size() != rank) factors->clear();
  if (sizes.empty()) {
    if (factors->empty()) return InvalidInput("has neither output_size nor scale_factors");
    for (size_t d = 0; d < rank; ++d) {
      const double size = static_cast<double>(x->shape()[d + 2]) * (*factors)[d];
      if (!(size >= 1 && size < 1e9)) return InvalidInput("a scale is ", (*factors)[d]);
      sizes.push_back(static_cast<int64_t>(size));
    }
  }
  if (sizes.size() != rank) {
    return InvalidInput("output_size ", FormatInts(sizes), " does not fit ", x->type().ToString());
  }
  Shape shape = {x->shape()[0], x->shape()[1]};
  shape.insert(shape.end(), sizes.begin(), sizes.end());
  KILN_RETURN_IF_ERROR(CheckedByteSize(x->element(), shape).status());
  return shape;
}

// Factors that are given count for the positions even where they do not divide.
Status Upsample(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x,
                        n.tensor(n.op().arguments.starts_with("self") ? "self" : "input"));
  if (Rank(x) < 3) return InvalidInput("needs spatial dimensions: ", x->type().ToString());
  std::vector<double> factors;
  KILN_ASSIGN_OR_RETURN(const Shape shape, ReadSizes(n, x, &factors));
  const std::string mode = n.op().kind;
  const bool exact = n.op().name.find("nearest_exact") != std::string::npos;
  const char* const coordinates = mode == "nearest"         ? (exact ? "half_pixel" : "asymmetric")
                                  : n.Bool("align_corners") ? "align_corners"
                                                            : "half_pixel";
  const char* const nearest = exact ? "round_prefer_ceil" : "floor";
  if (factors.empty()) return n.Output(ResizeTo(b, x, shape, mode, coordinates, nearest));
  std::vector<double> scales = {1, 1};
  scales.insert(scales.end(), factors.begin(), factors.end());
  return n.Output(n.Make("resize", {x},
                         {{"scales", scales},
                          {"sizes", shape},
                          {"mode", mode},
                          {"coordinate_mode", coordinates},
                          {"nearest_mode", nearest}}));
}

// [.., C r r, H, W] as [.., C, H r, W r].
Status PixelShuffle(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("self"));
  const int64_t r = n.Int("upscale_factor");
  if (Rank(x) < 3 || r < 1 || r > 1 << 15 || x->shape()[Rank(x) - 3] % (r * r) != 0) {
    return InvalidInput("a factor of ", r, " does not fit ", x->type().ToString());
  }
  Shape shape(x->shape().begin(), x->shape().end() - 3);
  const int64_t h = x->shape()[Rank(x) - 2], w = x->shape()[Rank(x) - 1];
  const int64_t channels = x->shape()[Rank(x) - 3] / (r * r);
  const int64_t outer = ElementCount(shape);
  const auto split = b.Reshape(x, {outer, channels, r, r, h, w});
  shape.insert(shape.end(), {channels, h * r, w * r});
  return n.Output(b.Reshape(b.Transpose(split, {0, 1, 4, 2, 5, 3}), shape));
}

// [.., C, H r, W r] as [.., C r r, H, W].
Status PixelUnshuffle(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("self"));
  const int64_t r = n.Int("downscale_factor");
  if (Rank(x) < 3 || r < 1 || r > 1 << 15 || x->shape()[Rank(x) - 2] % r != 0 ||
      x->shape()[Rank(x) - 1] % r != 0) {
    return InvalidInput("a factor of ", r, " does not fit ", x->type().ToString());
  }
  Shape shape(x->shape().begin(), x->shape().end() - 3);
  const int64_t h = x->shape()[Rank(x) - 2] / r, w = x->shape()[Rank(x) - 1] / r;
  const int64_t channels = x->shape()[Rank(x) - 3];
  const int64_t outer = ElementCount(shape);
  const auto split = b.Reshape(x, {outer, channels, h, r, w, r});
  shape.insert(shape.end(), {channels * r * r, h, w});
  return n.Output(b.Reshape(b.Transpose(split, {0, 1, 3, 5, 2, 4}), shape));
}

// Channels of g groups are dealt out in turn.
Status ChannelShuffle(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("self"));
  const int64_t groups = n.Int("groups");
  if (Rank(x) < 2 || groups < 1 || x->shape()[1] % groups != 0) {
    return InvalidInput(groups, " groups do not fit ", x->type().ToString());
  }
  const int64_t rest = ElementCount({x->shape().begin() + 2, x->shape().end()});
  const auto split = b.Reshape(x, {x->shape()[0], groups, x->shape()[1] / groups, rest});
  return n.Output(b.Reshape(b.Transpose(split, {0, 2, 1, 3}), x->shape()));
}

}  // namespace

std::vector<PytorchOp> ResizeOps() {
  std::vector<PytorchOp> ops;
  struct Row {
    const char* name;
    const char* kind;
  };
  const std::string corners = " output_size align_corners",
                    scales = " scales scales_d scales_h scales_w";
  for (const Row& row : std::initializer_list<Row>{{"upsample_nearest1d", "nearest"},
                                                   {"upsample_nearest2d", "nearest"},
                                                   {"upsample_nearest3d", "nearest"},
                                                   {"_upsample_nearest_exact1d", "nearest"},
                                                   {"_upsample_nearest_exact2d", "nearest"},
                                                   {"upsample_linear1d", "linear"},
                                                   {"upsample_bilinear2d", "linear"},
                                                   {"upsample_trilinear3d", "linear"},
                                                   {"upsample_bicubic2d", "cubic"}}) {
    ops.push_back({.name = StrCat("aten.", row.name, ".default"),
                   .handler = Upsample,
                   .kind = row.kind,
                   .arguments = StrCat("self", corners, scales)});
    ops.push_back({.name = StrCat("aten.", row.name, ".vec"),
                   .handler = Upsample,
                   .kind = row.kind,
                   .arguments = StrCat("input", corners, " scale_factors")});
  }
  ops.push_back({.name = "aten.pixel_shuffle.default",
                 .handler = PixelShuffle,
                 .arguments = "self upscale_factor"});
  ops.push_back({.name = "aten.pixel_unshuffle.default",
                 .handler = PixelUnshuffle,
                 .arguments = "self downscale_factor"});
  for (const char* const name : {"channel_shuffle", "native_channel_shuffle"}) {
    ops.push_back({.name = StrCat("aten.", name, ".default"),
                   .handler = ChannelShuffle,
                   .arguments = "self groups"});
  }
  return ops;
}

}  // namespace kiln::pytorch_import
