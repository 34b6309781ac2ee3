#include "compiler/import/onnx/ops/sampling.h"

#include "compiler/import/foreign/build.h"

namespace kiln::onnx_import {

namespace {

constexpr double kCubic = -0.75;

// c0 + d (c1 + d (c2 + d c3))
StatusOr<Op*> Polynomial(Builder& b, const StatusOr<Op*>& d, double c0, double c1, double c2,
                         double c3) {
  StatusOr<Op*> y = b.AddScalar(b.MulScalar(d, c3), c2);
  y = b.AddScalar(b.Mul(y, d), c1);
  return b.AddScalar(b.Mul(y, d), c0);
}

// The cubic convolution kernel at a distance up to 1, and from 1 to 2.
StatusOr<Op*> Near(Builder& b, const StatusOr<Op*>& d) {
  return Polynomial(b, d, 1, 0, -(kCubic + 3), kCubic + 2);
}
StatusOr<Op*> Far(Builder& b, const StatusOr<Op*>& d) {
  return Polynomial(b, d, -4 * kCubic, 8 * kCubic, -5 * kCubic, kCubic);
}

}  // namespace

StatusOr<Op*> SampledAxis::Pixels(const StatusOr<Op*>& coordinates) {
  if (align_) return b_.MulScalar(b_.AddScalar(coordinates, 1), (extent_ - 1) / 2);
  return b_.AddScalar(b_.MulScalar(b_.AddScalar(coordinates, 1), extent_ / 2), -0.5);
}

StatusOr<std::vector<Tap>> SampledAxis::Taps(const StatusOr<Op*>& positions,
                                             const std::string& mode) {
  KILN_RETURN_IF_ERROR(positions.status());
  const StatusOr<Op*> one = b_.Scalar((*positions)->element(), 1);
  if (mode == "nearest") return std::vector<Tap>{{n_.Make("round", {positions}), one}};
  const StatusOr<Op*> base = n_.Make("floor", {positions});
  const StatusOr<Op*> t = b_.Sub(positions, base);
  if (mode == "bilinear" || mode == "linear") {
    return std::vector<Tap>{{base, b_.Sub(one, t)}, {b_.AddScalar(base, 1), t}};
  }
  if (mode != "bicubic" && mode != "cubic") {
    return InvalidInput("attribute 'mode' is ", Quote(mode));
  }
  const StatusOr<Op*> rest = b_.Sub(one, t);
  return std::vector<Tap>{{b_.AddScalar(base, -1), Far(b_, b_.AddScalar(t, 1))},
                          {base, Near(b_, t)},
                          {b_.AddScalar(base, 1), Near(b_, rest)},
                          {b_.AddScalar(base, 2), Far(b_, b_.AddScalar(rest, 1))}};
}

Status SampledAxis::Pad(const std::string& padding, Tap& tap) {
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

// Folds the line back and forth between the image's first and last centres (or outer edges).
StatusOr<Op*> SampledAxis::Reflect(const StatusOr<Op*>& x) {
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

StatusOr<Op*> SampleImage(Node& n, Op* image, const std::vector<std::vector<Tap>>& taps) {
  Builder& b = n.builder();
  const Shape extents(image->shape().begin() + 2, image->shape().end());
  /// One choice of a tap along each axis: where the pixel lies in the flat image, and its weight.
  struct Pixel {
    StatusOr<Op*> index, weight;
  };
  std::vector<Pixel> pixels;
  for (const Tap& tap : taps[0]) {
    pixels.push_back({b.Cast(tap.position, ElementType::kI64), tap.weight});
  }
  for (size_t d = 1; d < taps.size(); ++d) {
    const StatusOr<Op*> extent = b.Constant(Tensor::FromInts(ElementType::kI64, {}, {extents[d]}));
    std::vector<Pixel> finer;
    for (const Pixel& pixel : pixels) {
      for (const Tap& tap : taps[d]) {
        finer.push_back({b.Add(b.Mul(pixel.index, extent), b.Cast(tap.position, ElementType::kI64)),
                         b.Mul(pixel.weight, tap.weight)});
      }
    }
    pixels = std::move(finer);
  }
  KILN_RETURN_IF_ERROR(pixels[0].index.status());
  const Shape points = (*pixels[0].index)->shape();
  const int64_t batch = image->shape()[0], channels = image->shape()[1];
  const int64_t count = batch == 0 ? 0 : ElementCount(points) / batch;
  const Shape beside = {batch, 1, count};
  const StatusOr<Op*> flat = b.Reshape(image, {batch, channels, ElementCount(extents)});
  StatusOr<Op*> sum = nullptr;
  for (const Pixel& pixel : pixels) {
    const StatusOr<Op*> index =
        b.Broadcast(b.Reshape(pixel.index, beside), {batch, channels, count});
    const StatusOr<Op*> weight = b.Reshape(b.Broadcast(pixel.weight, points), beside);
    const StatusOr<Op*> part = b.Mul(n.Make("gather_elements", {flat, index}, {{"axis", 2}}),
                                     b.Cast(weight, image->element()));
    KILN_RETURN_IF_ERROR(part.status());
    sum = *sum == nullptr ? part : b.Add(sum, part);
    KILN_RETURN_IF_ERROR(sum.status());
  }
  return sum;
}

}  // namespace kiln::onnx_import
