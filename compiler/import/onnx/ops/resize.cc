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

Status Resize(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.operand(0));
  std::vector<int64_t> axes = AxesFrom(0, Rank(x));
  if (n.HasAttribute("axes")) {
    axes = n.Ints("axes");
    KILN_RETURN_IF_ERROR(NormalAxes(axes, Rank(x)).status());
    for (int64_t& axis : axes) axis += axis < 0 ? Rank(x) : 0;
  }
  KILN_ASSIGN_OR_RETURN(const Extents extents, ReadExtents(n, x->shape(), axes));
  const bool shrinks = std::any_of(extents.scales.begin(), extents.scales.end(),
                                   [](double scale) { return scale < 1; });
  if (n.Int("antialias") != 0 && shrinks && n.String("mode", "nearest") != "nearest") {
    return Unsupported("attribute 'antialias' is not supported where sizes shrink");
  }
  if (n.opset() < 11) return n.Result(MakeResize(n, x, extents, {"asymmetric", "floor"}, {}));
  KILN_ASSIGN_OR_RETURN(const Sampling sampling,
                        NormalSampling({n.String("coordinate_transformation_mode", "half_pixel"),
                                        n.String("nearest_mode", "round_prefer_floor")}));
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
       .limits = "known scales or sizes; no antialias where sizes shrink"});
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
