// GridSample, which reads an image at the points that a grid names in units of -1 .. 1, and
// AffineGrid, which makes such grids.
#include "compiler/import/foreign/build.h"
#include "compiler/import/onnx/node.h"
#include "compiler/import/onnx/ops/sampling.h"

namespace kiln::onnx_import {

namespace {

// Coordinates in the grid's last dimension come in the opposite order of the image's axes.
Status GridSample(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.operand(0));
  KILN_ASSIGN_OR_RETURN(Op* const grid, n.operand(1));
  const int64_t rank = Rank(x);
  if (rank < 3 || rank > 5 || Rank(grid) != rank) {
    return Unsupported("only images of 3 to 5 dimensions are supported, found ",
                       x->type().ToString(), " and ", grid->type().ToString());
  }
  const Shape image = x->shape(), points = grid->shape();
  if (points[0] != image[0] || points.back() != rank - 2 || ElementCount(image) == 0) {
    return InvalidInput("a grid of ", grid->type().ToString(), " does not fit ",
                        x->type().ToString());
  }
  std::vector<std::vector<Tap>> taps;
  for (int64_t d = 2; d < rank; ++d) {
    SampledAxis axis(n, image[d], n.Int("align_corners") != 0);
    KILN_ASSIGN_OR_RETURN(taps.emplace_back(),
                          axis.Taps(axis.Pixels(SelectAxis(b, grid, rank - 1, rank - 1 - d)),
                                    n.String("mode", "bilinear")));
    for (Tap& tap : taps.back()) {
      KILN_RETURN_IF_ERROR(axis.Pad(n.String("padding_mode", "zeros"), tap));
    }
  }
  Shape shape = {image[0], image[1]};
  shape.insert(shape.end(), points.begin() + 1, points.end() - 1);
  return n.Result(b.Reshape(SampleImage(n, x, taps), shape));
}

// The grid of theta: at each pixel, theta (x, y[, z], 1).
Status AffineGrid(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const theta, n.operand(0));
  KILN_ASSIGN_OR_RETURN(const Shape size, n.KnownInts(1, "size"));
  const auto axes = static_cast<int64_t>(size.size()) - 2;
  KILN_RETURN_IF_ERROR(CheckedByteSize(theta->element(), size).status());
  if (axes < 2 || axes > 3 || theta->shape() != Shape{size[0], axes, axes + 1}) {
    return InvalidInput("theta of ", theta->type().ToString(), " does not fit the size ",
                        FormatInts(size));
  }
  Shape part(size.begin() + 2, size.end());
  const int64_t points = ElementCount(part);
  part.push_back(1);
  const bool align = n.Int("align_corners") != 0;
  std::vector<StatusOr<Op*>> parts;
  for (int64_t d = axes; d-- > 0;) {
    const auto extent = static_cast<double>(size[2 + d]);
    const StatusOr<Op*> pixel = IotaAlong(b, axes + 1, d, size[2 + d], theta->element());
    // Between outer centres, or between outer edges; one pixel is the centre of both.
    const double step = align ? (extent > 1 ? 2 / (extent - 1) : 0) : 2 / extent;
    const double first = -step * (extent - 1) / 2;
    parts.push_back(b.Broadcast(b.AddScalar(b.MulScalar(pixel, step), first), part));
  }
  parts.push_back(b.Broadcast(b.Scalar(theta->element(), 1), part));
  const StatusOr<Op*> position =
      b.Reshape(n.Make("concat", parts, {{"axis", axes}}), {points, axes + 1});
  Shape shape = size;
  shape.erase(shape.begin() + 1);
  shape.push_back(axes);
  return n.Result(b.Reshape(n.Make("matmul", {position, theta}, {{"transpose_b", true}}), shape));
}

}  // namespace

std::vector<OnnxOp> GridSampleOps() {
  std::vector<OnnxOp> ops;
  ops.push_back({.name = "GridSample",
                 .handler = GridSample,
                 .operands = {2, 2},
                 .attributes = {String("mode"), String("padding_mode"), Int("align_corners")},
                 .limits = "1 to 3 spatial dimensions"});
  ops.push_back({.name = "AffineGrid",
                 .handler = AffineGrid,
                 .operands = {2, 2},
                 .attributes = {Int("align_corners")},
                 .limits = "known size"});
  return ops;
}

}  // namespace kiln::onnx_import
