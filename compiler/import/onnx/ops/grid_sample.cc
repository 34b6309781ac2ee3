// GridSample: reads an image at the points that a grid names, in units of -1 .. 1.
#include "compiler/import/foreign/build.h"
#include "compiler/import/onnx/node.h"

namespace kiln::onnx_import {

namespace {

/// A pixel beside a point along one axis: its position (an integer, as a float; it may lie outside
/// the image) and how much it counts; both [N, H_out, W_out].
struct Tap {
  StatusOr<Op*> position, weight;
};

/// The work along one axis of the image.
class Axis {
 public:
  Axis(Node& node, int64_t extent)
      : n_(node),
        b_(node.builder()),
        extent_(static_cast<double>(extent)),
        align_(node.Int("align_corners") != 0) {}

  /// Grid coordinates as pixel positions: -1 and 1 are the centres of the outer pixels
  /// (align_corners), or their outer edges.
  StatusOr<Op*> Pixels(const StatusOr<Op*>& grid) {
    if (align_) return b_.MulScalar(b_.AddScalar(grid, 1), (extent_ - 1) / 2);
    return b_.AddScalar(b_.MulScalar(b_.AddScalar(grid, 1), extent_ / 2), -0.5);
  }

  StatusOr<std::vector<Tap>> Taps(const StatusOr<Op*>& x, const std::string& mode) {
    KILN_RETURN_IF_ERROR(x.status());
    const StatusOr<Op*> one = b_.Scalar((*x)->element(), 1);
    if (mode == "nearest") return std::vector<Tap>{{n_.Make("round", {x}), one}};
    const StatusOr<Op*> base = n_.Make("floor", {x});
    const StatusOr<Op*> t = b_.Sub(x, base);
    if (mode == "bilinear" || mode == "linear") {
      return std::vector<Tap>{{base, b_.Sub(one, t)}, {b_.AddScalar(base, 1), t}};
    }
    if (mode != "bicubic" && mode != "cubic") {
      return InvalidInput("attribute 'mode' is ", Quote(mode));
    }
    return std::vector<Tap>{{b_.AddScalar(base, -1), Far(b_.AddScalar(t, 1))},
                            {base, Near(t)},
                            {b_.AddScalar(base, 1), Near(b_.Sub(one, t))},
                            {b_.AddScalar(base, 2), Far(b_.AddScalar(b_.Sub(one, t), 1))}};
  }

  /// Brings a tap inside the image as the padding mode says.
  Status Pad(const std::string& padding, Tap& tap) {
    if (padding == "zeros") {
      KILN_RETURN_IF_ERROR(tap.position.status());
      const ElementType type = (*tap.position)->element();
      const StatusOr<Op*> inside =
          n_.Make("and", {n_.Make("greater_equal", {tap.position, b_.Scalar(type, 0)}),
                          n_.Make("less_equal", {tap.position, b_.Scalar(type, extent_ - 1)})});
      tap.weight = n_.Make("where", {inside, tap.weight, b_.Scalar(type, 0)});
    } else if (padding == "reflection") {
      tap.position = Reflect(tap.position);
    } else if (padding != "border") {
      return InvalidInput("attribute 'padding_mode' is ", Quote(padding));
    }
    tap.position = n_.Make("clip", {tap.position}, {{"min", 0.0}, {"max", extent_ - 1}});
    return tap.position.status();
  }

 private:
  static constexpr double kCubic = -0.75;

  // c0 + d (c1 + d (c2 + d c3))
  StatusOr<Op*> Polynomial(const StatusOr<Op*>& d, double c0, double c1, double c2, double c3) {
    StatusOr<Op*> y = b_.AddScalar(b_.MulScalar(d, c3), c2);
    y = b_.AddScalar(b_.Mul(y, d), c1);
    return b_.AddScalar(b_.Mul(y, d), c0);
  }

  // The cubic convolution kernel at a distance up to 1, and from 1 to 2.
  StatusOr<Op*> Near(const StatusOr<Op*>& d) {
    return Polynomial(d, 1, 0, -(kCubic + 3), kCubic + 2);
  }
  StatusOr<Op*> Far(const StatusOr<Op*>& d) {
    return Polynomial(d, -4 * kCubic, 8 * kCubic, -5 * kCubic, kCubic);
  }

  // Folds the line back and forth between the image's first and last centres (or outer edges).
  StatusOr<Op*> Reflect(const StatusOr<Op*>& x) {
    const double low = align_ ? 0 : -0.5;
    const double range = align_ ? extent_ - 1 : extent_;
    if (range <= 0) return b_.MulScalar(x, 0);
    const StatusOr<Op*> distance = n_.Make("abs", {b_.AddScalar(x, -low)});
    KILN_RETURN_IF_ERROR(distance.status());
    const StatusOr<Op*> phase =
        n_.Make("mod", {distance, b_.Scalar((*distance)->element(), 2 * range)});
    // A triangle wave: range - |phase - range|.
    const StatusOr<Op*> wave = n_.Make("abs", {b_.AddScalar(phase, -range)});
    return b_.AddScalar(n_.Make("neg", {wave}), range + low);
  }

  Node& n_;
  Builder& b_;
  double extent_;
  bool align_;
};

/// Reads the image [N, C, H*W] at row and column [N, H_out, W_out]: [N, C, H_out*W_out].
StatusOr<Op*> ReadPixels(Node& n, Op* flat, const StatusOr<Op*>& row, const StatusOr<Op*>& column,
                         int64_t width) {
  Builder& b = n.builder();
  const StatusOr<Op*> wide = b.Constant(Tensor::FromInts(ElementType::kI64, {}, {width}));
  KILN_ASSIGN_OR_RETURN(Op* const index, b.Add(b.Mul(b.Cast(row, ElementType::kI64), wide),
                                               b.Cast(column, ElementType::kI64)));
  const int64_t points = index->shape()[1] * index->shape()[2];
  const Shape& from = flat->shape();
  return n.Make(
      "gather_elements",
      {flat, b.Broadcast(b.Reshape(index, {from[0], 1, points}), {from[0], from[1], points})},
      {{"axis", 2}});
}

Status GridSample(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.operand(0));
  KILN_ASSIGN_OR_RETURN(Op* const grid, n.operand(1));
  if (Rank(x) != 4 || Rank(grid) != 4) {
    return Unsupported("only images of 4 dimensions are supported, found ", x->type().ToString(),
                       " and ", grid->type().ToString());
  }
  const Shape image = x->shape(), points = grid->shape();
  if (points[0] != image[0] || points[3] != 2 || ElementCount(image) == 0) {
    return InvalidInput("a grid of ", grid->type().ToString(), " does not fit ",
                        x->type().ToString());
  }
  const std::string mode = n.String("mode", "bilinear");
  const std::string padding = n.String("padding_mode", "zeros");
  Axis vertical(n, image[2]), horizontal(n, image[3]);
  KILN_ASSIGN_OR_RETURN(std::vector<Tap> rows,
                        vertical.Taps(vertical.Pixels(SelectAxis(b, grid, 3, 1)), mode));
  KILN_ASSIGN_OR_RETURN(std::vector<Tap> columns,
                        horizontal.Taps(horizontal.Pixels(SelectAxis(b, grid, 3, 0)), mode));
  for (Tap& tap : rows) KILN_RETURN_IF_ERROR(vertical.Pad(padding, tap));
  for (Tap& tap : columns) KILN_RETURN_IF_ERROR(horizontal.Pad(padding, tap));
  KILN_ASSIGN_OR_RETURN(Op* const flat, b.Reshape(x, {image[0], image[1], image[2] * image[3]}));
  const Shape beside = {points[0], 1, points[1] * points[2]};
  StatusOr<Op*> sum = nullptr;
  for (const Tap& row : rows) {
    for (const Tap& column : columns) {
      const StatusOr<Op*> weight =
          b.Broadcast(b.Mul(row.weight, column.weight), {points[0], points[1], points[2]});
      const StatusOr<Op*> part = b.Mul(ReadPixels(n, flat, row.position, column.position, image[3]),
                                       b.Cast(b.Reshape(weight, beside), x->element()));
      KILN_RETURN_IF_ERROR(part.status());
      sum = *sum == nullptr ? part : b.Add(sum, part);
      KILN_RETURN_IF_ERROR(sum.status());
    }
  }
  return n.Result(b.Reshape(sum, {image[0], image[1], points[1], points[2]}));
}

}  // namespace

std::vector<OnnxOp> GridSampleOps() {
  std::vector<OnnxOp> ops;
  ops.push_back({.name = "GridSample",
                 .handler = GridSample,
                 .operands = {2, 2},
                 .attributes = {String("mode"), String("padding_mode"), Int("align_corners")},
                 .limits = "2 spatial dimensions"});
  return ops;
}

}  // namespace kiln::onnx_import
