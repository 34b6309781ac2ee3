// Resize and Upsample.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "compiler/import/foreign/build.h"
#include "compiler/import/onnx/node.h"

namespace kiln::onnx_import {

namespace {

// What is asked of each dimension.
struct Extents {
  std::vector<double> scales;
  Shape sizes;
};

StatusOr<Extents> FromScales(const Shape& from, std::vector<double> scales) {
  Extents extents{std::move(scales), {}};
  for (size_t d = 0; d < from.size(); ++d) {
    const double scale = extents.scales[d];
    // Rounded to f32 as the format's scales are, so that 3 * (1/3) is 1.
    const double size = std::floor(static_cast<float>(static_cast<double>(from[d]) * scale));
    if (!(scale > 0) || size > 1e15) return InvalidInput("a scale of ", scale, " is out of range");
    extents.sizes.push_back(static_cast<int64_t>(size));
  }
  return extents;
}

StatusOr<Extents> FromSizes(const Shape& from, Shape sizes) {
  Extents extents{{}, std::move(sizes)};
  for (size_t d = 0; d < from.size(); ++d) {
    if (extents.sizes[d] < 0 || (from[d] == 0 && extents.sizes[d] != 0)) {
      return InvalidInput("sizes ", FormatInts(extents.sizes), " do not fit ", FormatInts(from));
    }
    extents.scales.push_back(
        from[d] == 0 ? 1.0 : static_cast<double>(extents.sizes[d]) / static_cast<double>(from[d]));
  }
  return extents;
}

// One scale for all `axes`, so that the result is not larger, or not smaller, than `sizes`.
StatusOr<Extents> KeepAspect(const Shape& from, const std::vector<int64_t>& axes, Shape sizes,
                             bool not_larger) {
  double scale = not_larger ? HUGE_VAL : 0.0;
  for (const int64_t axis : axes) {
    if (from[axis] == 0) return InvalidInput("dimension ", axis, " is 0");
    const double own = static_cast<double>(sizes[axis]) / static_cast<double>(from[axis]);
    scale = not_larger ? std::min(scale, own) : std::max(scale, own);
  }
  std::vector<double> scales(from.size(), 1.0);
  for (const int64_t axis : axes) {
    scales[axis] = scale;
    const double size = std::floor(scale * static_cast<double>(from[axis]) + 0.5);
    if (!(size >= 0 && size < 1e15)) return InvalidInput("operand 'sizes' is out of range");
    sizes[axis] = static_cast<int64_t>(size);
  }
  return Extents{std::move(scales), std::move(sizes)};
}

// The values of operand `name`, one per axis.
StatusOr<std::vector<double>> PerAxis(Node& n, int i, const std::string& name, size_t count) {
  KILN_ASSIGN_OR_RETURN(const Tensor value, n.Known(i, name));
  if (value.type().count() == static_cast<int64_t>(count)) return value.ToDoubles();
  return InvalidInput("operand '", name, "' is ", value.type().ToString(), ", expected ",
                      static_cast<int64_t>(count), " numbers");
}

StatusOr<bool> IsGiven(Node& n, int i) {
  if (!n.Has(i)) return false;
  KILN_ASSIGN_OR_RETURN(const TensorType type, n.OperandType(i));
  return type.count() > 0;
}

StatusOr<Extents> FromSizesOperand(Node& n, const Shape& from, const std::vector<int64_t>& axes,
                                   int operand) {
  KILN_ASSIGN_OR_RETURN(const std::vector<double> given, PerAxis(n, operand, "sizes", axes.size()));
  Shape sizes = from;
  for (size_t i = 0; i < axes.size(); ++i) {
    if (!(given[i] >= 0 && given[i] < 1e15)) return InvalidInput("operand 'sizes' is out of range");
    sizes[axes[i]] = static_cast<int64_t>(given[i]);
  }
  const std::string policy = n.String("keep_aspect_ratio_policy", "stretch");
  if (policy == "stretch") return FromSizes(from, std::move(sizes));
  if (policy == "not_larger" || policy == "not_smaller") {
    return KeepAspect(from, axes, std::move(sizes), policy == "not_larger");
  }
  return InvalidInput("attribute 'keep_aspect_ratio_policy' is ", Quote(policy));
}

StatusOr<Extents> ReadExtents(Node& n, const Shape& from, const std::vector<int64_t>& axes) {
  const int scales_at = n.opset() < 11 ? 1 : 2;
  KILN_ASSIGN_OR_RETURN(const bool by_sizes, IsGiven(n, 3));
  KILN_ASSIGN_OR_RETURN(const bool by_scales, IsGiven(n, scales_at));
  if (by_sizes == by_scales) return InvalidInput("needs either scales or sizes");
  if (by_sizes) return FromSizesOperand(n, from, axes, 3);
  KILN_ASSIGN_OR_RETURN(const auto given, PerAxis(n, scales_at, "scales", axes.size()));
  std::vector<double> scales(from.size(), 1.0);
  for (size_t i = 0; i < axes.size(); ++i) scales[axes[i]] = given[i];
  return FromScales(from, std::move(scales));
}

// Starts of all dimensions, then ends; only tf_crop_and_resize looks at it.
StatusOr<std::vector<double>> ReadRegion(Node& n, size_t rank, const std::vector<int64_t>& axes) {
  std::vector<double> region(2 * rank, 0.0);
  std::fill(region.begin() + static_cast<int64_t>(rank), region.end(), 1.0);
  KILN_ASSIGN_OR_RETURN(const auto given, PerAxis(n, 1, "roi", 2 * axes.size()));
  for (size_t i = 0; i < axes.size(); ++i) {
    region[axes[i]] = given[i];
    region[rank + axes[i]] = given[axes.size() + i];
  }
  return region;
}

struct Sampling {
  std::string coordinates, nearest;
};

// tf_half_pixel_for_nn has coordinates half a pixel behind half_pixel's, so rounding half down
// there is rounding up here, and rounding down is rounding half up.
StatusOr<Sampling> NormalSampling(Sampling sampling) {
  if (sampling.coordinates != "tf_half_pixel_for_nn") return sampling;
  if (sampling.nearest == "round_prefer_floor") return Sampling{"half_pixel", "ceil"};
  if (sampling.nearest == "floor") return Sampling{"half_pixel", "round_prefer_ceil"};
  return Unsupported("tf_half_pixel_for_nn with nearest_mode ", sampling.nearest,
                     " is not supported");
}

StatusOr<Op*> MakeResize(Node& n, Op* x, const Extents& extents, const Sampling& sampling,
                         std::vector<double> region) {
  return n.Make("resize", {x},
                {{"scales", extents.scales},
                 {"sizes", extents.sizes},
                 {"mode", n.String("mode", "nearest")},
                 {"coordinate_mode", sampling.coordinates},
                 {"nearest_mode", sampling.nearest},
                 {"cubic_coeff", n.Float("cubic_coeff_a", -0.75)},
                 {"exclude_outside", n.Int("exclude_outside") != 0},
                 {"roi", std::move(region)},
                 {"extrapolation_value", n.Float("extrapolation_value", 0)}});
}

/// Where the sample of result index i lies in the operand: step * i + first.
struct Places {
  double step, first;
};

StatusOr<Places> PlacesOf(const std::string& coordinates, double scale, double from, double to) {
  const double exact = scale * from;  // `to` before it was rounded down
  if (coordinates == "asymmetric") return Places{1 / scale, 0};
  if (coordinates == "align_corners") return Places{exact > 1 ? (from - 1) / (exact - 1) : 0, 0};
  if (coordinates == "pytorch_half_pixel" && exact <= 1) return Places{0, -0.5};
  const Places half_pixel = {1 / scale, 0.5 / scale - 0.5};
  if (coordinates == "half_pixel" || coordinates == "pytorch_half_pixel") return half_pixel;
  if (coordinates == "half_pixel_symmetric") {
    return Places{half_pixel.step, half_pixel.first + from / 2 * (1 - to / exact)};
  }
  return Unsupported("antialias with ", coordinates, " is not supported");
}

// The weight of a sample at a distance: a triangle, or the cubic convolution kernel.
StatusOr<Op*> Filter(Node& n, const StatusOr<Op*>& distance, bool cubic) {
  Builder& b = n.builder();
  const StatusOr<Op*> d = n.Make("abs", {distance});
  const auto scalar = [&](double value) { return b.Scalar(ElementType::kF64, value); };
  if (!cubic) return n.Make("max", {b.Sub(scalar(1), d), scalar(0)});
  const double a = n.Float("cubic_coeff_a", -0.75);
  const auto polynomial = [&](double c3, double c2, double c1, double c0) {
    const StatusOr<Op*> y = b.Mul(b.AddScalar(b.MulScalar(d, c3), c2), d);
    return b.AddScalar(b.Mul(b.AddScalar(y, c1), d), c0);
  };
  const StatusOr<Op*> far = n.Make(
      "where", {n.Make("less", {d, scalar(2)}), polynomial(a, -5 * a, 8 * a, -4 * a), scalar(0)});
  return n.Make("where",
                {n.Make("less_equal", {d, scalar(1)}), polynomial(a + 2, -(a + 3), 0, 1), far});
}

// A dimension that shrinks, through a filter as wide as the steps between samples: a product with
// a matrix of weights, made of ops because a small file must not make the import allocate much.
StatusOr<Op*> Shrink(Node& n, Op* x, int64_t axis, double scale, int64_t size,
                     const std::string& coordinates) {
  Builder& b = n.builder();
  const bool cubic = n.String("mode") == "cubic";
  const auto extent = static_cast<double>(x->shape()[axis]);
  KILN_ASSIGN_OR_RETURN(const Places places,
                        PlacesOf(coordinates, scale, extent, static_cast<double>(size)));
  // How far the filter reaches; outside the image it reads the outermost sample again, or nothing.
  const bool outside = n.Int("exclude_outside") == 0;
  const double reach = outside ? std::ceil((cubic ? 2 : 1) / scale) + 1 : 0;
  if (!(reach < 4096)) return Unsupported("antialias with a scale of ", scale, " is not supported");
  const auto margin = static_cast<int64_t>(reach);
  if (margin > 0) {
    std::vector<int64_t> pads(Rank(x), 0);
    pads[axis] = margin;
    KILN_ASSIGN_OR_RETURN(
        x, n.Make("pad", {x}, {{"low", pads}, {"high", pads}, {"mode", std::string("edge")}}));
  }
  const StatusOr<Op*> sample = b.AddScalar(IotaAlong(b, 2, 0, x->shape()[axis], ElementType::kF64),
                                           -static_cast<double>(margin));
  const StatusOr<Op*> place = b.AddScalar(
      b.MulScalar(IotaAlong(b, 2, 1, size, ElementType::kF64), places.step), places.first);
  const StatusOr<Op*> weights = Filter(n, b.MulScalar(b.Sub(sample, place), scale), cubic);
  const StatusOr<Op*> shares = b.Div(weights, Reduce(b, "reduce_sum", weights, {0}, true));
  std::vector<int64_t> order = AxesFrom(0, Rank(x));
  std::swap(order[axis], order.back());
  KILN_ASSIGN_OR_RETURN(Op* const samples, b.Transpose(x, order));
  KILN_ASSIGN_OR_RETURN(Op* const matrix, b.Cast(shares, x->element()));
  return b.Transpose(MatMulNumpy(b, samples, matrix), order);
}

Status Resize(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op * x, n.operand(0));
  std::vector<int64_t> axes = AxesFrom(0, Rank(x));
  if (n.HasAttribute("axes")) {
    axes = n.Ints("axes");
    KILN_RETURN_IF_ERROR(NormalAxes(axes, Rank(x)).status());
    for (int64_t& axis : axes) axis += axis < 0 ? Rank(x) : 0;
  }
  KILN_ASSIGN_OR_RETURN(Extents extents, ReadExtents(n, x->shape(), axes));
  if (n.opset() < 11) return n.Result(MakeResize(n, x, extents, {"asymmetric", "floor"}, {}));
  KILN_ASSIGN_OR_RETURN(const Sampling sampling,
                        NormalSampling({n.String("coordinate_transformation_mode", "half_pixel"),
                                        n.String("nearest_mode", "round_prefer_floor")}));
  if (n.Int("antialias") != 0 && n.String("mode", "nearest") != "nearest") {
    for (int64_t d = 0; d < Rank(x); ++d) {
      double& scale = extents.scales[d];
      if (scale >= 1 || extents.sizes[d] == 0) continue;
      KILN_ASSIGN_OR_RETURN(x, Shrink(n, x, d, scale, extents.sizes[d], sampling.coordinates));
      scale = 1;
    }
  }
  std::vector<double> region;
  if (sampling.coordinates == "tf_crop_and_resize") {
    KILN_ASSIGN_OR_RETURN(region, ReadRegion(n, x->shape().size(), axes));
  }
  return n.Result(MakeResize(n, x, extents, sampling, std::move(region)));
}

Status Upsample(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.operand(0));
  std::vector<double> scales = n.Floats("scales");
  if (n.opset() >= 9) {
    KILN_ASSIGN_OR_RETURN(scales, PerAxis(n, 1, "scales", x->shape().size()));
  }
  if (scales.size() != x->shape().size()) {
    return InvalidInput("needs ", Rank(x), " scales, found ", static_cast<int64_t>(scales.size()));
  }
  KILN_ASSIGN_OR_RETURN(const Extents extents, FromScales(x->shape(), std::move(scales)));
  return n.Result(MakeResize(n, x, extents, {"asymmetric", "floor"}, {}));
}

}  // namespace

std::vector<OnnxOp> ResizeOps() {
  std::vector<OnnxOp> ops;
  ops.push_back(
      {.name = "Resize",
       .handler = Resize,
       .operands = {1, 4},
       .attributes = {String("mode"), Since(11, String("coordinate_transformation_mode")),
                      Since(11, String("nearest_mode")), Since(11, Float("cubic_coeff_a")),
                      Since(11, Int("exclude_outside")), Since(11, Float("extrapolation_value")),
                      Since(18, Ints("axes")), Since(18, Int("antialias")),
                      Since(18, String("keep_aspect_ratio_policy"))},
       .first = 10,
       .limits = "known scales or sizes"});
  ops.push_back({.name = "Upsample",
                 .handler = Upsample,
                 .operands = {1, 2},
                 .attributes = {String("mode"), Required(Until(8, Floats("scales")))},
                 .first = 7,
                 .last = 9,
                 .limits = "known scales"});
  return ops;
}

}  // namespace kiln::onnx_import
