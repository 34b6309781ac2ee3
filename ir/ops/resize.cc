// Resampling by nearest neighbour, linear or cubic interpolation, with ONNX's ways to map
// coordinates. Source: the ONNX specification of Resize and its reference code.
//
// A result position x of a dimension maps to a real coordinate in the input; the neighbours of
// that coordinate (taps) are read with clamped indices and weighted, dimension by dimension.
// Coordinates are computed in double precision by the operations of the reference, in its order,
// so that roundings fall the same way.
#include <algorithm>
#include <cmath>

#include "ir/ops/gradient.h"
#include "ir/ops/op_table.h"
#include "ir/ops/shape_util.h"

namespace kiln {

using loop::Cast;
using loop::Const;
using loop::Expr;
using loop::Unary;
using loop::UnaryOp;

namespace {

constexpr ElementType kF64 = ElementType::kF64;

enum class Mode { kNearest, kLinear, kCubic };
enum class Coordinate {
  kHalfPixel,
  kPytorchHalfPixel,
  kAlignCorners,
  kAsymmetric,
  kHalfPixelSymmetric,
  kCropAndResize,
  kTfHalfPixel,
};
enum class Rounding { kPreferFloor, kPreferCeil, kFloor, kCeil };

const std::vector<std::string_view>& ModeNames() {
  static const auto* const names = new std::vector<std::string_view>{"nearest", "linear", "cubic"};
  return *names;
}

const std::vector<std::string_view>& CoordinateNames() {
  static const auto* const names = new std::vector<std::string_view>{
      "half_pixel",           "pytorch_half_pixel", "align_corners",       "asymmetric",
      "half_pixel_symmetric", "tf_crop_and_resize", "tf_half_pixel_for_nn"};
  return *names;
}

const std::vector<std::string_view>& RoundingNames() {
  static const auto* const names =
      new std::vector<std::string_view>{"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"};
  return *names;
}

/// The enumerator of type E whose name the attribute holds; requires that it is one of `names`.
template <typename E>
E Choice(const Op& op, std::string_view attribute, const std::vector<std::string_view>& names) {
  return static_cast<E>(std::find(names.begin(), names.end(), op.String(attribute)) -
                        names.begin());
}

Mode ModeOf(const Op& op) { return Choice<Mode>(op, "mode", ModeNames()); }

/// Everything about one dimension.
struct ResizeDim {
  int64_t input;
  int64_t output;
  double scale;
  double length;  ///< the output's extent as the formulas see it: scale * input, maybe fractional
  double roi_start;
  double roi_end;
  Coordinate coordinate;

  /// Whether every position reads its own.
  bool IsIdentity() const {
    const bool maps_to_itself = coordinate == Coordinate::kCropAndResize
                                    ? roi_start == 0 && roi_end == 1
                                    : coordinate != Coordinate::kTfHalfPixel;
    return input == output && scale == 1 && maps_to_itself;
  }
};

ResizeDim DimOf(const Op& op, size_t d) {
  const size_t rank = op.Ints("sizes").size();
  const std::vector<double>& roi = op.Doubles("roi");
  ResizeDim dim{.input = op.operand(0)->shape()[d],
                .output = op.Ints("sizes")[d],
                .scale = op.Doubles("scales")[d],
                .roi_start = roi.empty() ? 0 : roi[d],
                .roi_end = roi.empty() ? 1 : roi[rank + d],
                .coordinate = Choice<Coordinate>(op, "coordinate_mode", CoordinateNames())};
  dim.length = dim.scale * static_cast<double>(dim.input);
  // A scale made from sizes gives back the size but for the rounding of the division.
  if (std::abs(dim.length - static_cast<double>(dim.output)) < 1e-6) {
    dim.length = static_cast<double>(dim.output);
  }
  return dim;
}

Status CheckResizeDim(const Op& op, size_t d) {
  const ResizeDim dim = DimOf(op, d);
  if (!(dim.scale >= 1e-6 && dim.scale <= 1e6)) {
    return OpError(op, "scales must be from 1e-6 to 1e6, found ", dim.scale);
  }
  if (!(std::abs(dim.length - static_cast<double>(dim.output)) <= 1)) {
    return OpError(op, "sizes must be about scale * extent, found ", dim.output, " for ", dim.scale,
                   " * ", dim.input, " in dimension ", d);
  }
  if ((dim.input == 0) != (dim.output == 0)) {
    return OpError(op, "an extent of 0 must stay 0, found ", dim.input, " to ", dim.output);
  }
  if (!(std::abs(dim.roi_start) <= 1e6 && std::abs(dim.roi_end) <= 1e6)) {
    return OpError(op, "roi must be from -1e6 to 1e6, found ", dim.roi_start, " and ", dim.roi_end);
  }
  return OkStatus();
}

int64_t TapCount(Mode mode) { return mode == Mode::kNearest ? 1 : mode == Mode::kLinear ? 2 : 4; }

Status CheckAttributes(const Op& op) {
  const size_t rank = op.operand(0)->shape().size();
  KILN_RETURN_IF_ERROR(CheckLength(op, "scales", op.Doubles("scales").size(), rank));
  KILN_RETURN_IF_ERROR(CheckLength(op, "sizes", op.Ints("sizes").size(), rank));
  KILN_RETURN_IF_ERROR(CheckChoice(op, "mode", ModeNames()));
  KILN_RETURN_IF_ERROR(CheckChoice(op, "coordinate_mode", CoordinateNames()));
  KILN_RETURN_IF_ERROR(CheckChoice(op, "nearest_mode", RoundingNames()));
  const bool crops = op.String("coordinate_mode") == "tf_crop_and_resize";
  if (crops || !op.Doubles("roi").empty()) {
    KILN_RETURN_IF_ERROR(CheckLength(op, "roi", op.Doubles("roi").size(), 2 * rank));
  }
  for (const char* const name : {"cubic_coeff", "extrapolation_value"}) {
    if (!(std::abs(op.Double(name)) <= 1e15)) {
      return OpError(op, name, " must be from -1e15 to 1e15, found ", op.Double(name));
    }
  }
  return OkStatus();
}

constexpr int64_t kMaxTaps = 256;

StatusOr<TensorType> InferResize(const Op& op) {
  KILN_RETURN_IF_ERROR(CheckAttributes(op));
  const TensorType& x = op.operand(0)->type();
  const Mode mode = ModeOf(op);
  if (mode != Mode::kNearest) KILN_RETURN_IF_ERROR(CheckFloat(op));
  KILN_RETURN_IF_ERROR(CheckShape(op, x.element, op.Ints("sizes")));
  int64_t taps = 1;
  for (size_t d = 0; d < x.shape.size(); ++d) {
    KILN_RETURN_IF_ERROR(CheckResizeDim(op, d));
    if (!DimOf(op, d).IsIdentity()) taps *= TapCount(mode);
    if (taps > kMaxTaps) {
      return OpError(op, "an element may be interpolated from at most ", kMaxTaps, " others");
    }
  }
  return TensorType{x.element, op.Ints("sizes"), x.layout};
}

// Reference.

double SourceCoordinate(const ResizeDim& dim, int64_t x) {
  const auto position = static_cast<double>(x);
  const auto input = static_cast<double>(dim.input);
  switch (dim.coordinate) {
    case Coordinate::kHalfPixel: return (position + 0.5) / dim.scale - 0.5;
    case Coordinate::kPytorchHalfPixel:
      return dim.length == 1 ? 0 : (position + 0.5) / dim.scale - 0.5;
    case Coordinate::kAlignCorners:
      return dim.length == 1 ? 0 : position * (input - 1) / (dim.length - 1);
    case Coordinate::kAsymmetric: return position / dim.scale;
    case Coordinate::kTfHalfPixel: return (position + 0.5) / dim.scale;
    case Coordinate::kHalfPixelSymmetric: {
      const double adjustment = static_cast<double>(dim.output) / dim.length;
      return input / 2 * (1 - adjustment) + (position + 0.5) / dim.scale - 0.5;
    }
    case Coordinate::kCropAndResize: {
      const double span = dim.roi_end - dim.roi_start;
      const double within = dim.length == 1 ? span * (input - 1) / 2
                                            : position * span * (input - 1) / (dim.length - 1);
      return within + dim.roi_start * (input - 1);
    }
  }
  return 0;
}

double RoundCoordinate(Rounding rounding, double x) {
  switch (rounding) {
    case Rounding::kPreferFloor: return std::ceil(x - 0.5);
    case Rounding::kPreferCeil: return std::floor(x + 0.5);
    case Rounding::kFloor: return std::floor(x);
    case Rounding::kCeil: return std::ceil(x);
  }
  return x;
}

/// The weights of a coordinate's taps, where `ratio` is its distance from the one at its floor.
std::vector<double> TapWeights(Mode mode, double ratio, double a) {
  if (mode == Mode::kLinear) return {1 - ratio, ratio};
  const auto near = [a](double t) { return ((a + 2) * t - (a + 3)) * t * t + 1; };
  const auto far = [a](double t) { return ((a * t - 5 * a) * t + 8 * a) * t - 4 * a; };
  return {far(ratio + 1), near(ratio), near(1 - ratio), far(2 - ratio)};
}

/// Where one result position reads along one dimension.
struct Taps {
  std::vector<int64_t> indices;
  std::vector<double> weights;
  bool outside = false;  ///< what tf_crop_and_resize extrapolates
};

Taps FindTaps(const Op& op, const ResizeDim& dim, int64_t x) {
  if (dim.IsIdentity()) return {{x}, {1}};
  const double source = SourceCoordinate(dim, x);
  const Mode mode = ModeOf(op);
  Taps taps;
  taps.outside = dim.coordinate == Coordinate::kCropAndResize &&
                 (source < 0 || source > static_cast<double>(dim.input - 1));
  const auto clamped = [&](double position) {
    return static_cast<int64_t>(std::clamp(position, 0.0, static_cast<double>(dim.input - 1)));
  };
  if (mode == Mode::kNearest) {
    const auto rounding = Choice<Rounding>(op, "nearest_mode", RoundingNames());
    return {{clamped(RoundCoordinate(rounding, source))}, {1}, taps.outside};
  }
  taps.weights = TapWeights(mode, source - std::floor(source), op.Double("cubic_coeff"));
  double sum = 0;
  for (size_t t = 0; t < taps.weights.size(); ++t) {
    const double position =
        std::floor(source) + static_cast<double>(t) - (mode == Mode::kCubic ? 1 : 0);
    taps.indices.push_back(clamped(position));
    const bool exists = position >= 0 && position < static_cast<double>(dim.input);
    if (op.Bool("exclude_outside") && !exists) taps.weights[t] = 0;
    sum += taps.weights[t];
  }
  if (op.Bool("exclude_outside")) {
    for (double& weight : taps.weights) weight /= sum;
  }
  return taps;
}

/// result[at] from the taps of each dimension.
void Interpolate(const std::vector<const Taps*>& taps, const Array& x, int64_t at, Array& result) {
  Shape counts;
  for (const Taps* const dim : taps) counts.push_back(static_cast<int64_t>(dim->indices.size()));
  for (Index t(counts); t.valid(); t.Next()) {
    std::vector<int64_t> from;
    double weight = 1;
    for (size_t d = 0; d < taps.size(); ++d) {
      from.push_back(taps[d]->indices[t[d]]);
      weight *= taps[d]->weights[t[d]];
    }
    if (ElementCount(counts) == 1) {
      result.CopyElement(at, x, Offset(x.shape, from));
    } else {
      result.floats[at] += weight * x.floats[Offset(x.shape, from)];
    }
  }
}

Status EvaluateResize(const Op& op, std::span<const Array* const> in, Array& result) {
  const double extrapolation = op.Double("extrapolation_value");
  std::vector<std::vector<Taps>> table(result.shape.size());
  for (size_t d = 0; d < table.size(); ++d) {
    const ResizeDim dim = DimOf(op, d);
    for (int64_t x = 0; x < dim.output; ++x) table[d].push_back(FindTaps(op, dim, x));
  }
  for (Index y(result.shape); y.valid(); y.Next()) {
    std::vector<const Taps*> taps;
    bool outside = false;
    for (size_t d = 0; d < table.size(); ++d) {
      taps.push_back(&table[d][y[d]]);
      outside = outside || taps.back()->outside;
    }
    if (!outside) {
      Interpolate(taps, *in[0], y.linear(), result);
    } else if (result.is_float()) {
      result.floats[y.linear()] = extrapolation;
    } else {
      result.ints[y.linear()] = WrapInt(result.element, static_cast<int64_t>(extrapolation));
    }
  }
  return OkStatus();
}

// Lowering.

Expr F64(double value) { return Const(kF64, value); }

Expr SourceCoordinateExpr(const ResizeDim& dim, const Expr& x) {
  const Expr position = Cast(kF64, x);
  const auto input = static_cast<double>(dim.input);
  switch (dim.coordinate) {
    case Coordinate::kPytorchHalfPixel:
      if (dim.length == 1) return F64(0);
      [[fallthrough]];
    case Coordinate::kHalfPixel: return (position + F64(0.5)) / F64(dim.scale) - F64(0.5);
    case Coordinate::kAlignCorners:
      if (dim.length == 1) return F64(0);
      return position * F64(input - 1) / F64(dim.length - 1);
    case Coordinate::kAsymmetric: return position / F64(dim.scale);
    case Coordinate::kTfHalfPixel: return (position + F64(0.5)) / F64(dim.scale);
    case Coordinate::kHalfPixelSymmetric: {
      const double adjustment = static_cast<double>(dim.output) / dim.length;
      return F64(input / 2 * (1 - adjustment)) + (position + F64(0.5)) / F64(dim.scale) - F64(0.5);
    }
    case Coordinate::kCropAndResize: {
      const double span = dim.roi_end - dim.roi_start, start = dim.roi_start * (input - 1);
      if (dim.length == 1) return F64(span * (input - 1) / 2 + start);
      return position * F64(span) * F64(input - 1) / F64(dim.length - 1) + F64(start);
    }
  }
  return position;
}

Expr RoundExpr(Rounding rounding, const Expr& x) {
  switch (rounding) {
    case Rounding::kPreferFloor: return Unary(UnaryOp::kCeil, x - F64(0.5));
    case Rounding::kPreferCeil: return Unary(UnaryOp::kFloor, x + F64(0.5));
    case Rounding::kFloor: return Unary(UnaryOp::kFloor, x);
    case Rounding::kCeil: return Unary(UnaryOp::kCeil, x);
  }
  return x;
}

/// The factor s when nearest neighbour reads x / s (rounded down) by integer arithmetic: growing
/// by a whole number, with a mapping and a rounding under which each element is repeated s times.
std::optional<int64_t> RepeatFactor(const ResizeDim& dim, Rounding rounding) {
  const auto factor = static_cast<int64_t>(dim.scale);
  if (dim.scale != static_cast<double>(factor) || dim.output != dim.input * factor) return {};
  const bool rounds = rounding == Rounding::kPreferFloor || rounding == Rounding::kPreferCeil;
  switch (dim.coordinate) {
    case Coordinate::kHalfPixel:
    case Coordinate::kPytorchHalfPixel:
    case Coordinate::kHalfPixelSymmetric: return rounds ? std::optional(factor) : std::nullopt;
    case Coordinate::kAsymmetric:
      return rounding == Rounding::kFloor ? std::optional(factor) : std::nullopt;
    default: return {};
  }
}

struct TapExprs {
  std::vector<Expr> indices;
  std::vector<Expr> weights;  ///< empty when there is one tap, of weight 1
  Expr inside;                ///< undefined where nothing is extrapolated
};

/// `position` + offset, clamped to [0, input), with the clamps that some result position needs.
/// `lowest` and `highest` bound the position (rounded coordinates are monotonic).
Expr ClampExpr(const ResizeDim& dim, const Expr& position, double lowest, double highest,
               int64_t offset) {
  Expr index = position + offset;
  const auto shift = static_cast<double>(offset);
  if (lowest + shift < 0) index = Max(index, 0);
  if (highest + shift > static_cast<double>(dim.input - 1)) index = Min(index, dim.input - 1);
  return index;
}

/// The weights as TapWeights has them, in the type that elements are computed in.
std::vector<Expr> WeightExprs(Mode mode, const Expr& ratio, double coefficient) {
  const ElementType type = ratio.type();
  const auto c = [type](double value) { return Const(type, value); };
  if (mode == Mode::kLinear) return {c(1) - ratio, ratio};
  const double a = coefficient;
  const auto near = [&](const Expr& t) { return (c(a + 2) * t - c(a + 3)) * t * t + c(1); };
  const auto far = [&](const Expr& t) {
    return ((c(a) * t - c(5 * a)) * t + c(8 * a)) * t - c(4 * a);
  };
  return {far(ratio + c(1)), near(ratio), near(c(1) - ratio), far(c(2) - ratio)};
}

/// Weights of taps that do not exist become 0, the others are scaled to a sum of 1.
void ExcludeOutside(const ResizeDim& dim, const std::vector<Expr>& positions,
                    std::vector<Expr>& weights) {
  Expr sum;
  for (size_t t = 0; t < weights.size(); ++t) {
    const Expr exists = And(Ge(positions[t], 0), Lt(positions[t], dim.input));
    weights[t] = Select(exists, weights[t], loop::ConstInt(weights[t].type(), 0));
    sum = sum.defined() ? sum + weights[t] : weights[t];
  }
  for (Expr& weight : weights) weight = weight / sum;
}

TapExprs MakeTapExprs(const Op& op, const ResizeDim& dim, const Expr& x, ElementType type) {
  if (dim.IsIdentity()) return {{x}, {}, {}};
  const Mode mode = ModeOf(op);
  const auto rounding = Choice<Rounding>(op, "nearest_mode", RoundingNames());
  if (mode == Mode::kNearest) {
    if (const auto factor = RepeatFactor(dim, rounding)) return {{FloorDiv(x, *factor)}, {}, {}};
  }
  const auto round = mode == Mode::kNearest ? rounding : Rounding::kFloor;
  const Expr source = SourceCoordinateExpr(dim, x), rounded = RoundExpr(round, source);
  const Expr position = Cast(ElementType::kI64, rounded);
  const double first = RoundCoordinate(round, SourceCoordinate(dim, 0));
  const double last = RoundCoordinate(round, SourceCoordinate(dim, dim.output - 1));
  const double lowest = std::min(first, last), highest = std::max(first, last);

  TapExprs taps;
  if (dim.coordinate == Coordinate::kCropAndResize) {
    taps.inside = And(Ge(source, F64(0)), Le(source, F64(static_cast<double>(dim.input - 1))));
  }
  std::vector<Expr> positions;
  for (int64_t t = 0; t < TapCount(mode); ++t) {
    const int64_t offset = mode == Mode::kCubic ? t - 1 : t;
    positions.push_back(position + offset);
    taps.indices.push_back(ClampExpr(dim, position, lowest, highest, offset));
  }
  if (mode == Mode::kNearest) return taps;
  taps.weights = WeightExprs(mode, Cast(type, source - rounded), op.Double("cubic_coeff"));
  if (op.Bool("exclude_outside")) ExcludeOutside(dim, positions, taps.weights);
  return taps;
}

/// The weighted sum over the taps of the dimensions from index.size() on.
Expr InterpolateExpr(const std::vector<TapExprs>& taps, const Reader& read,
                     std::vector<Expr>& index) {
  if (index.size() == taps.size()) return read(0, index);
  const TapExprs& dim = taps[index.size()];
  Expr sum;
  for (size_t t = 0; t < dim.indices.size(); ++t) {
    index.push_back(dim.indices[t]);
    Expr value = InterpolateExpr(taps, read, index);
    index.pop_back();
    if (!dim.weights.empty()) value = dim.weights[t] * value;
    sum = sum.defined() ? sum + value : value;
  }
  return sum;
}

Expr ResizeElement(const Op& op, const Reader& read, const std::vector<Expr>& index) {
  const ElementType type = ComputeType(op.element());
  std::vector<TapExprs> taps;
  Expr inside;
  for (size_t d = 0; d < index.size(); ++d) {
    taps.push_back(MakeTapExprs(op, DimOf(op, d), index[d], type));
    if (!taps.back().inside.defined()) continue;
    inside = inside.defined() ? And(inside, taps.back().inside) : taps.back().inside;
  }
  std::vector<Expr> at;
  const Expr value = InterpolateExpr(taps, read, at);
  if (!inside.defined()) return value;
  const double extrapolation = op.Double("extrapolation_value");
  return Select(inside, value,
                IsFloat(type)
                    ? Const(type, extrapolation)
                    : loop::ConstInt(type, WrapInt(type, static_cast<int64_t>(extrapolation))));
}

// Resampling is linear along each dimension: dx is dy times the transposed weights.
StatusOr<Op*> ResizeGradient(Builder& b, Op& op, size_t k, Op* dy) {
  const GradientSite at{b, op, k, dy};
  Term dx = at.dy();
  for (size_t d = 0; d < op.shape().size(); ++d) {
    const ResizeDim dim = DimOf(op, d);
    if (dim.IsIdentity()) continue;
    std::vector<double> weights(static_cast<size_t>(dim.input * dim.output), 0);
    for (int64_t x = 0; x < dim.output; ++x) {
      const Taps taps = FindTaps(op, dim, x);
      for (size_t t = 0; t < taps.indices.size() && !taps.outside; ++t) {
        weights[static_cast<size_t>(taps.indices[t] * dim.output + x)] += taps.weights[t];
      }
    }
    dx = Apply(weights, dim.input, dx, static_cast<int64_t>(d));
  }
  return dx.op();
}

std::string Choices(const std::vector<std::string_view>& names) { return StrJoin(names, ", "); }

}  // namespace

std::vector<OpDef> ResizeOps() {
  using Kind = Attribute::Kind;
  std::vector<OpDef> ops;
  ops.push_back(
      {.name = "resize",
       .doc = "x resampled to the shape `sizes`. Per dimension, result position p maps to the "
              "coordinate c in x: half_pixel (p+0.5)/scale - 0.5; pytorch_half_pixel the same, but "
              "0 for a result of length 1; align_corners p*(in-1)/(out-1); asymmetric p/scale; "
              "tf_half_pixel_for_nn (p+0.5)/scale; "
              "half_pixel_symmetric in/2*(1 - size/out) + (p+0.5)/scale - 0.5; tf_crop_and_resize "
              "p*(end-start)*(in-1)/(out-1) + start*(in-1) with start and end from roi; where out "
              "= scale*in. nearest reads x at c rounded; linear weighs the two elements around c "
              "by 1-r and r, r = c - floor(c); cubic weighs four by the kernel with coefficient "
              "cubic_coeff. Positions outside x read its edge.",
       .operands = {{"x"}},
       .attributes =
           {{"scales", Kind::kDoubles, {}, "growth of each dimension, 1e-6 to 1e6"},
            {"sizes", Kind::kInts, {}, "the result's shape, within 1 of scale * extent"},
            {"mode", Kind::kString, {}, Choices(ModeNames())},
            {"coordinate_mode", Kind::kString, {}, Choices(CoordinateNames())},
            {"nearest_mode", Kind::kString, Attribute("round_prefer_floor"),
             Choices(RoundingNames())},
            {"cubic_coeff", Kind::kDouble, Attribute(-0.75), "the cubic kernel's coefficient"},
            {"exclude_outside", Kind::kBool, Attribute(false),
             "positions outside x get weight 0 and the others are scaled to a sum of 1"},
            {"roi", Kind::kDoubles, Attribute(std::vector<double>{}),
             "tf_crop_and_resize: the starts, then the ends of the region, 1 being the far edge"},
            {"extrapolation_value", Kind::kDouble, Attribute(0.0),
             "tf_crop_and_resize: the result where c lies outside x"}},
       .infer = InferResize,
       .evaluate = EvaluateResize,
       .element = ResizeElement,
       .gradient = ResizeGradient});
  return ops;
}

}  // namespace kiln
