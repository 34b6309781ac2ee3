// Signals: Fourier transforms as products with matrices of sines and cosines, and mel weights.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "compiler/import/foreign/build.h"
#include "compiler/import/onnx/node.h"

namespace kiln::onnx_import {

namespace {

constexpr int64_t kMaxLength = 2048;  // the matrices have its square of elements

/// A complex value by its parts, of one shape; `im` is null where it is 0.
struct Complex {
  Op* re;
  Op* im;
};

StatusOr<Op*> Integer(Builder& b, int64_t value) {
  return b.Constant(Tensor::FromInts(ElementType::kI64, {}, {value}));
}

// scale * wave(2 pi i k / period), [rows, columns]. Ops, not a constant: a small file must not make
// the import allocate much. The product is reduced while it is an integer, so the angle is
// exact; the waves are those of double precision.
StatusOr<Op*> Waves(Builder& b, ElementType element, int64_t rows, int64_t columns, int64_t period,
                    std::string_view wave, double scale) {
  const StatusOr<Op*> steps = b.Mul(IotaAlong(b, 2, 0, rows, ElementType::kI64),
                                    IotaAlong(b, 2, 1, columns, ElementType::kI64));
  const StatusOr<Op*> phase = b.Cast(b.Make("mod", {steps, Integer(b, period)}), ElementType::kF64);
  const StatusOr<Op*> angle =
      b.MulScalar(phase, 2 * std::numbers::pi / static_cast<double>(period));
  return b.Cast(b.MulScalar(b.Make(wave, {angle}), scale), element);
}

// The transform along the last dimension, of which `bins` results are wanted:
// X_k = sum over i of x_i e^(-2 pi I i k / length); the inverse has +, and divides by length.
StatusOr<Complex> Transform(Node& n, const Complex& x, int64_t bins, bool inverse) {
  Builder& b = n.builder();
  const int64_t length = x.re->shape().back();
  if (length < 1 || length > kMaxLength) {
    return Unsupported("transforms of ", length, " samples are not supported, only 1 to ",
                       kMaxLength);
  }
  const double scale = inverse ? 1.0 / static_cast<double>(length) : 1.0;
  const ElementType element = x.re->element();
  const StatusOr<Op*> cosine = Waves(b, element, length, bins, length, "cos", scale);
  const StatusOr<Op*> sine =
      Waves(b, element, length, bins, length, "sin", inverse ? scale : -scale);
  const auto times = [&](Op* part, const StatusOr<Op*>& waves) {
    return n.Make("matmul", {part, waves});
  };
  StatusOr<Op*> re = times(x.re, cosine), im = times(x.re, sine);
  if (x.im != nullptr) {
    re = b.Sub(re, times(x.im, sine));
    im = b.Add(im, times(x.im, cosine));
  }
  KILN_RETURN_IF_ERROR(re.status());
  KILN_RETURN_IF_ERROR(im.status());
  return Complex{*re, *im};
}

// The real signal of `length` samples whose spectrum begins with the bins of x, along the last
// dimension: x_i = sum over k of w_k (re X_k cos - im X_k sin)(2 pi i k / length) / length. Bins
// that have a mirror image, all but the first and (of an even length) the last, count twice.
StatusOr<Op*> RealSignal(Node& n, const Complex& x, int64_t length) {
  Builder& b = n.builder();
  const int64_t bins = length / 2 + 1;
  std::vector<double> counts(bins, 2.0);
  counts[0] = 1;
  if (length % 2 == 0) counts[bins - 1] = 1;
  const ElementType element = x.re->element();
  const StatusOr<Op*> weights =
      b.Cast(b.Constant(Tensor::FromDoubles(ElementType::kF64, {bins, 1}, counts)), element);
  const auto times = [&](Op* part, std::string_view wave) {
    const double scale = 1 / static_cast<double>(length);
    return n.Make("matmul",
                  {part, b.Mul(Waves(b, element, bins, length, length, wave, scale), weights)});
  };
  const StatusOr<Op*> re = times(x.re, "cos");
  return x.im == nullptr ? re : b.Sub(re, times(x.im, "sin"));
}

// [.., 1 or 2] split into its parts.
StatusOr<Complex> Parts(Builder& b, Op* x) {
  const int64_t last = Rank(x) - 1;
  if (last < 1 || x->shape()[last] < 1 || x->shape()[last] > 2) {
    return InvalidInput("a signal must be [.., 1] or [.., 2], found ", x->type().ToString());
  }
  Complex parts{nullptr, nullptr};
  KILN_ASSIGN_OR_RETURN(parts.re, SelectAxis(b, x, last, 0));
  if (x->shape()[last] == 2) {
    KILN_ASSIGN_OR_RETURN(parts.im, SelectAxis(b, x, last, 1));
  }
  return parts;
}

StatusOr<Op*> Join(Node& n, const Complex& x) {
  Shape shape = x.re->shape();
  shape.push_back(1);
  const int64_t axis = Rank(x.re);
  return n.Make("concat", {n.builder().Reshape(x.re, shape), n.builder().Reshape(x.im, shape)},
                {{"axis", axis}});
}

// Swaps dimension `axis` and the last one.
StatusOr<Op*> SwapLast(Builder& b, Op* x, int64_t axis) {
  if (axis == Rank(x) - 1) return x;
  std::vector<int64_t> order = AxesFrom(0, Rank(x));
  std::swap(order[axis], order.back());
  return b.Transpose(x, order);
}

// Cut or padded with zeros to `length` along the last dimension.
StatusOr<Op*> Fit(Node& n, Op* x, int64_t length) {
  const int64_t axis = Rank(x) - 1;
  std::vector<int64_t> low(Rank(x), 0), high(Rank(x), 0);
  high[axis] = length - x->shape()[axis];
  if (high[axis] == 0) return x;
  return n.Make("pad", {x}, {{"low", low}, {"high", high}});
}

Status Dft(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.operand(0));
  int64_t axis = n.opset() < 20 ? n.Int("axis", 1) : -2;
  if (n.opset() >= 20 && n.Has(2)) {
    KILN_ASSIGN_OR_RETURN(axis, n.KnownInt(2, "axis"));
  }
  KILN_ASSIGN_OR_RETURN(axis, NormalAxis(axis, Rank(x)));
  if (axis == Rank(x) - 1) return InvalidInput("the axis is that of the parts");
  KILN_ASSIGN_OR_RETURN(Complex parts, Parts(b, x));
  const bool one_sided = n.Int("onesided") != 0, inverse = n.Int("inverse") != 0;
  const bool to_real = one_sided && inverse;
  int64_t length = to_real ? 2 * (x->shape()[axis] - 1) : x->shape()[axis];
  if (n.Has(1)) {
    KILN_ASSIGN_OR_RETURN(length, n.KnownInt(1, "dft_length"));
  }
  if (length < 1 || length > kMaxLength) {
    return Unsupported("transforms of ", length, " samples are not supported, only 1 to ",
                       kMaxLength);
  }
  for (Op** const part : {&parts.re, &parts.im}) {
    if (*part == nullptr) continue;
    KILN_ASSIGN_OR_RETURN(*part, SwapLast(b, *part, axis));
    KILN_ASSIGN_OR_RETURN(*part, Fit(n, *part, to_real ? length / 2 + 1 : length));
  }
  if (to_real) {
    KILN_ASSIGN_OR_RETURN(Op* const signal, RealSignal(n, parts, length));
    KILN_ASSIGN_OR_RETURN(Op* const y, SwapLast(b, signal, axis));
    Shape shape = y->shape();
    shape.push_back(1);
    return n.Result(b.Reshape(y, shape));
  }
  KILN_ASSIGN_OR_RETURN(parts, Transform(n, parts, one_sided ? length / 2 + 1 : length, inverse));
  KILN_ASSIGN_OR_RETURN(parts.re, SwapLast(b, parts.re, axis));
  KILN_ASSIGN_OR_RETURN(parts.im, SwapLast(b, parts.im, axis));
  return n.Result(Join(n, parts));
}

// Transforms of windows of the signal [batch, samples, 1 or 2]: [batch, frames, bins, 2].
Status Stft(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op * signal, n.operand(0));
  if (Rank(signal) == 2) {
    KILN_ASSIGN_OR_RETURN(signal, b.Reshape(signal, {signal->shape()[0], signal->shape()[1], 1}));
  }
  if (Rank(signal) != 3) return InvalidInput("the signal is ", signal->type().ToString());
  KILN_ASSIGN_OR_RETURN(const int64_t step, n.KnownInt(1, "frame_step"));
  int64_t length = 0;
  if (n.Has(3)) {
    KILN_ASSIGN_OR_RETURN(length, n.KnownInt(3, "frame_length"));
  } else if (n.Has(2)) {
    KILN_ASSIGN_OR_RETURN(const TensorType window, n.OperandType(2));
    length = window.count();
  }
  const int64_t samples = signal->shape()[1];
  if (step < 1 || length < 1 || length > std::min(samples, kMaxLength)) {
    return InvalidInput("frames of ", length, " samples every ", step, " in a signal of ", samples,
                        "; a frame may have up to ", kMaxLength);
  }
  const int64_t frames = (samples - length) / step + 1;
  KILN_ASSIGN_OR_RETURN(
      Op* const positions,
      b.Add(b.Mul(IotaAlong(b, 2, 0, frames, ElementType::kI64), Integer(b, step)),
            IotaAlong(b, 2, 1, length, ElementType::kI64)));
  KILN_ASSIGN_OR_RETURN(Complex parts, Parts(b, signal));
  for (Op** const part : {&parts.re, &parts.im}) {
    if (*part == nullptr) continue;
    KILN_ASSIGN_OR_RETURN(*part, n.Make("gather", {*part, positions}, {{"axis", int64_t{1}}}));
    if (n.Has(2)) {
      KILN_ASSIGN_OR_RETURN(*part, b.Mul(*part, n.operand(2)));
    }
  }
  const bool one_sided = n.Int("onesided", 1) != 0;
  KILN_ASSIGN_OR_RETURN(parts, Transform(n, parts, one_sided ? length / 2 + 1 : length, false));
  return n.Result(Join(n, parts));
}

// [dft_length/2+1, mel bins]: triangles around points that are equally far apart in mel.
Status MelWeightMatrix(Node& n) {
  constexpr int64_t kMaxMelBins = 512;
  KILN_ASSIGN_OR_RETURN(const int64_t mel_bins, n.KnownInt(0, "num_mel_bins"));
  KILN_ASSIGN_OR_RETURN(const int64_t length, n.KnownInt(1, "dft_length"));
  KILN_ASSIGN_OR_RETURN(const int64_t rate, n.KnownInt(2, "sample_rate"));
  KILN_ASSIGN_OR_RETURN(const double low, n.KnownDouble(3, "lower_edge_hertz"));
  KILN_ASSIGN_OR_RETURN(const double high, n.KnownDouble(4, "upper_edge_hertz"));
  KILN_ASSIGN_OR_RETURN(const ElementType element,
                        n.TypeAttribute("output_datatype", ElementType::kF32));
  const int64_t bins = length / 2 + 1;
  if (mel_bins < 1 || mel_bins > kMaxMelBins || length < 1 || length > kMaxLength || rate < 1 ||
      !(low >= 0) || !(high > low)) {
    return InvalidInput("no mel weights for ", mel_bins, " bins, length ", length, ", rate ", rate,
                        ", ", low, " to ", high, " Hz");
  }
  const auto mel = [](double hertz) { return 2595 * std::log10(1 + hertz / 700); };
  const double first = mel(low);
  const double step = (mel(high) - first) / static_cast<double>(mel_bins + 2);
  std::vector<int64_t> edges;  // in bins of the spectrum
  for (int64_t i = 0; i < mel_bins + 2; ++i) {
    const double hertz = 700 * (std::pow(10, (first + static_cast<double>(i) * step) / 2595) - 1);
    edges.push_back(static_cast<int64_t>(
        std::floor(static_cast<double>(length + 1) * hertz / static_cast<double>(rate))));
  }
  if (edges.back() > bins) return InvalidInput("the upper edge lies beyond the spectrum");
  std::vector<double> values(bins * mel_bins, 0);
  for (int64_t i = 0; i < mel_bins; ++i) {
    const int64_t left = edges[i], centre = edges[i + 1], right = edges[i + 2];
    if (centre == left && centre < bins) values[centre * mel_bins + i] = 1;
    for (int64_t k = left; centre > left && k <= centre && k < bins; ++k) {
      values[k * mel_bins + i] = static_cast<double>(k - left) / static_cast<double>(centre - left);
    }
    for (int64_t k = centre; right > centre && k < right && k < bins; ++k) {
      values[k * mel_bins + i] =
          static_cast<double>(right - k) / static_cast<double>(right - centre);
    }
  }
  return n.ConstantResult(Tensor::FromDoubles(element, {bins, mel_bins}, values));
}

}  // namespace

std::vector<OnnxOp> SignalOps() {
  std::vector<OnnxOp> ops;
  const std::string samples = StrCat("up to ", kMaxLength, " samples");
  ops.push_back({.name = "DFT",
                 .handler = Dft,
                 .operands = {1, 3},
                 .attributes = {Until(19, Int("axis")), Int("inverse"), Int("onesided")},
                 .first = 17,
                 .limits = samples});
  ops.push_back({.name = "STFT",
                 .handler = Stft,
                 .operands = {2, 4},
                 .attributes = {Int("onesided")},
                 .first = 17,
                 .limits = samples + " a frame"});
  ops.push_back({.name = "MelWeightMatrix",
                 .handler = MelWeightMatrix,
                 .operands = {5, 5},
                 .attributes = {Int("output_datatype")},
                 .first = 17,
                 .limits = "known operands"});
  return ops;
}

}  // namespace kiln::onnx_import
