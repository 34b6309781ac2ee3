#include "ir/ops/winograd.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <limits>

#include "ir/ops/op_table.h"
#include "ir/ops/shape_util.h"
#include "ir/ops/winograd_stages.h"
#include "ir/ops/winograd_tiles.h"
#include "ir/support/bytes.h"
#include "ir/support/parallel.h"

namespace kiln {

using winograd::kMaxKernel;
using winograd::kMaxSpan;
using winograd::kMaxTile;
using winograd::Tiling;
using winograd::TransformInput;
using winograd::TransformOutput;
using winograd::TransformWeights;
using winograd::ZerosAround;

namespace {

/// Whether tiles of m x m results can be computed with a kernel of r x r.
bool IsSupported(int64_t m, int64_t r) {
  return (r == 3 && (m == 2 || m == 4)) || (r == 5 && m == 2);
}

StatusOr<TensorType> InferWinograd(const Op& op) {
  const TensorType &x = op.operand(0)->type(), &u = op.operand(1)->type();
  if (x.element != ElementType::kF32 || u.element != ElementType::kF32) {
    return OpError(op, "operands must be f32");
  }
  if (x.rank() != 4 || u.rank() != 4) return OpError(op, "operands must have rank 4");
  const int64_t span = u.shape[0], m = op.Int("tile"), groups = op.Int("groups");
  if (u.shape[1] != span || span > kMaxSpan || m < 1 || m > span || !IsSupported(m, span - m + 1)) {
    return OpError(op, "tile=", m, " and weights ", u.ToString(),
                   " must be of a 3x3 kernel and 2 or 4, or of a 5x5 kernel and 2");
  }
  KILN_RETURN_IF_ERROR(CheckRange(op, "groups", groups, 1, std::numeric_limits<int32_t>::max()));
  if (x.shape[1] % groups != 0 || x.shape[1] / groups != u.shape[2] || u.shape[2] == 0 ||
      u.shape[3] == 0 || u.shape[3] % groups != 0) {
    return OpError(op, "input of ", x.shape[1], " channels in groups=", groups,
                   " does not fit weights ", u.ToString());
  }
  const std::vector<int64_t>& extents = op.Ints("extents");
  const std::vector<int64_t>& pads_low = op.Ints("pads_low");
  KILN_RETURN_IF_ERROR(CheckLength(op, "extents", extents.size(), 2));
  KILN_RETURN_IF_ERROR(CheckLength(op, "pads_low", pads_low.size(), 2));
  Shape shape = {x.shape[0], u.shape[3]};
  for (size_t d = 0; d < 2; ++d) {
    KILN_RETURN_IF_ERROR(CheckRange(op, "pads_low", pads_low[d], 0, span - m));
    KILN_RETURN_IF_ERROR(CheckRange(op, "extents", extents[d], 1, x.shape[d + 2] + pads_low[d]));
    shape.push_back(extents[d]);
  }
  return TensorType{ElementType::kF32, std::move(shape)};
}

TensorType WinogradWeightsType(const Shape& w, int64_t m, bool transposed) {
  const int64_t span = WinogradSpan(m, w[2]);
  return {ElementType::kF32, {span, span, w[transposed ? 0 : 1], w[transposed ? 1 : 0]}};
}

StatusOr<TensorType> InferWeights(const Op& op) {
  const TensorType& w = op.operand(0)->type();
  if (w.element != ElementType::kF32 || w.rank() != 4 || w.shape[2] != w.shape[3]) {
    return OpError(op, "weights must be f32 [_,_,3,3] or [_,_,5,5], found ", w.ToString());
  }
  const int64_t m = op.Int("tile"), r = w.shape[2];
  if (!IsSupported(m, r)) {
    return OpError(op, "tile must be 2 or 4 for a 3x3 kernel and 2 for a 5x5 kernel, found ", m,
                   " for ", w.ToString());
  }
  return WinogradWeightsType(w.shape, m, op.Bool("transposed"));
}

Status EvaluateWeights(const Op& op, std::span<const Array* const> in, Array& result) {
  KILN_ASSIGN_OR_RETURN(const Tensor u,
                        WinogradWeights(in[0]->ToTensor(), op.Int("tile"), op.Bool("transposed")));
  result = Array::FromTensor(u);
  return OkStatus();
}

/// G w G^T of one pair of channels; `g(i, j)` is w's element. Calls `put(i, j, u)`.
template <typename T, typename Get, typename Put>
void TransformKernel(int64_t m, int64_t r, const Get& get, const Put& put) {
  const int64_t span = WinogradSpan(m, r);
  std::array<std::array<T, kMaxSpan>, kMaxKernel> half{};
  std::array<T, kMaxKernel> column{};
  for (int64_t j = 0; j < r; ++j) {
    for (int64_t i = 0; i < r; ++i) column[i] = get(i, j);
    half[j] = TransformWeights(span, r, column);
  }
  for (int64_t i = 0; i < span; ++i) {
    for (int64_t j = 0; j < r; ++j) column[j] = half[j][i];
    const auto line = TransformWeights(span, r, column);
    for (int64_t j = 0; j < span; ++j) put(i, j, line[j]);
  }
}

/// V = B^T d B of one tile and channel; `d(i, j)` is its element.
template <typename Get>
void InputTile(const Tiling& t, const Get& d,
               std::array<std::array<double, kMaxSpan>, kMaxSpan>& v) {
  std::array<std::array<double, kMaxSpan>, kMaxSpan> half{};
  for (int64_t j = 0; j < t.span; ++j) {
    std::array<double, kMaxSpan> column{};
    for (int64_t i = 0; i < t.span; ++i) column[i] = d(i, j);
    column = TransformInput(t.span, column);
    for (int64_t i = 0; i < t.span; ++i) half[i][j] = column[i];
  }
  for (int64_t i = 0; i < t.span; ++i) v[i] = TransformInput(t.span, half[i]);
}

/// y = A^T p A of one tile.
void OutputTile(const Tiling& t, const std::array<std::array<double, kMaxSpan>, kMaxSpan>& p,
                std::array<std::array<double, kMaxTile>, kMaxTile>& y) {
  std::array<std::array<double, kMaxSpan>, kMaxTile> half{};
  for (int64_t j = 0; j < t.span; ++j) {
    std::array<double, kMaxSpan> column{};
    for (int64_t i = 0; i < t.span; ++i) column[i] = p[i][j];
    const std::array<double, kMaxTile> transformed = TransformOutput(t.span, t.m, column);
    for (int64_t i = 0; i < t.m; ++i) half[i][j] = transformed[i];
  }
  for (int64_t i = 0; i < t.m; ++i) y[i] = TransformOutput(t.span, t.m, half[i]);
}

Status EvaluateWinograd(const Op& op, std::span<const Array* const> in, Array& result) {
  const Tiling t = Tiling::OfConvolution(op);
  const Shape& x_shape = op.operand(0)->shape();
  const std::vector<double>&x = in[0]->floats, &u = in[1]->floats;
  std::array<std::array<double, kMaxSpan>, kMaxSpan> v{}, products{};
  std::array<std::array<double, kMaxTile>, kMaxTile> y{};
  for (Index at({t.images, t.outputs, t.rows, t.columns}); at.valid(); at.Next()) {
    for (auto& row : products) row.fill(0);
    const int64_t group_inputs = t.inputs / t.groups;
    const int64_t first = at[1] / (t.outputs / t.groups) * group_inputs;
    for (int64_t c = 0; c < group_inputs; ++c) {
      const auto element = [&](int64_t i, int64_t j) {
        const int64_t row = at[2] * t.m + i - t.pads_low[0];
        const int64_t column = at[3] * t.m + j - t.pads_low[1];
        const bool inside = row >= 0 && row < x_shape[2] && column >= 0 && column < x_shape[3];
        return inside ? x[Offset(x_shape, {at[0], first + c, row, column})] : 0;
      };
      InputTile(t, element, v);
      for (int64_t i = 0; i < t.span; ++i) {
        for (int64_t j = 0; j < t.span; ++j) {
          products[i][j] += v[i][j] * u[Offset(op.operand(1)->shape(), {i, j, c, at[1]})];
        }
      }
    }
    OutputTile(t, products, y);
    for (int64_t i = 0; i < std::min(t.m, t.height - at[2] * t.m); ++i) {
      for (int64_t j = 0; j < std::min(t.m, t.width - at[3] * t.m); ++j) {
        result.floats[Offset(op.shape(), {at[0], at[1], at[2] * t.m + i, at[3] * t.m + j})] =
            y[i][j];
      }
    }
  }
  return OkStatus();
}

/// Values of several output channels, computed together: what the compiler makes vectors of.
struct Lanes {
  static constexpr int64_t kCount = 16;  // a cache line of results
  std::array<double, kCount> values{};

  friend Lanes operator+(const Lanes& a, const Lanes& b) { return Map(a, b, std::plus<>()); }
  friend Lanes operator-(const Lanes& a, const Lanes& b) { return Map(a, b, std::minus<>()); }
  friend Lanes Times(double factor, const Lanes& value) {
    return Map(value, value, [factor](double v, double) { return factor * v; });
  }

 private:
  template <typename F>
  static Lanes Map(const Lanes& a, const Lanes& b, const F& f) {
    Lanes result;
    for (size_t i = 0; i < kCount; ++i) result.values[i] = f(a.values[i], b.values[i]);
    return result;
  }
};

/// Where the weights of a convolution, or of a transposed one, lie in a row-major tensor.
struct KernelReader {
  KernelReader(const Tensor& w, bool transposed)
      : data(w.bytes().data()), extent(w.shape()[2]), transposed(transposed) {
    const int64_t rows = w.shape()[1] * extent * extent;
    output_stride = transposed ? extent * extent : rows;
    input_stride = transposed ? rows : extent * extent;
  }

  float operator()(int64_t o, int64_t c, int64_t i, int64_t j) const {
    const int64_t place = i * extent + j;
    const int64_t at =
        o * output_stride + c * input_stride + (transposed ? extent * extent - 1 - place : place);
    float value;
    std::memcpy(&value, data + at * static_cast<int64_t>(sizeof(value)), sizeof(value));
    return value;
  }

  const char* data;  // not aligned
  int64_t extent;
  bool transposed;
  int64_t output_stride, input_stride;
};

}  // namespace

StatusOr<Tensor> WinogradWeights(const Tensor& w, int64_t m, bool transposed) {
  const Shape& shape = w.shape();
  if (shape.size() != 4 || shape[2] != shape[3] || !IsSupported(m, shape[2]) ||
      w.type().element != ElementType::kF32 || !w.type().layout.IsRowMajor() || !w.known()) {
    return InternalError("Winograd weights cannot be made of ", w.type().ToString());
  }
  const TensorType type = WinogradWeightsType(shape, m, transposed);
  const int64_t span = type.shape[0], inputs = type.shape[2], outputs = type.shape[3];
  const auto size = static_cast<size_t>(type.bytes());
  const std::shared_ptr<char> bytes = AllocateBytes(size);
  auto* const u = reinterpret_cast<float*>(bytes.get());
  const KernelReader read(w, transposed);
  const auto transform = [&](int64_t c, int64_t o) {
    const int64_t count = std::min(Lanes::kCount, outputs - o);
    TransformKernel<Lanes>(
        m, shape[2],
        [&](int64_t i, int64_t j) {
          Lanes g;
          for (int64_t lane = 0; lane < count; ++lane) g.values[lane] = read(o + lane, c, i, j);
          return g;
        },
        [&](int64_t i, int64_t j, const Lanes& value) {
          float* const to = u + ((i * span + j) * inputs + c) * outputs + o;
          for (int64_t k = 0; k < count; ++k) to[k] = static_cast<float>(value.values[k]);
        });
  };
  ParallelFor(inputs, type.bytes(), [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) {
      for (int64_t o = 0; o < outputs; o += Lanes::kCount) transform(c, o);
    }
  });
  return Tensor(type, bytes, {bytes.get(), size});
}

std::vector<OpDef> WinogradOps() {
  constexpr char kAfterwards[] = "convolutions take this form after they have been differentiated";
  std::vector<OpDef> ops;
  ops.push_back({.name = "winograd_weights",
                 .doc =
                     "The weights of winograd_conv: u[:,:,c,o] = G w[o,c] G^T, [s, s, C, O], from "
                     "those of a convolution, w [O, C, r, r]. With `transposed` from those of a "
                     "conv_transpose, w [C, O, r, r], whose kernels are turned by 180 degrees.",
                 .operands = {{"w"}},
                 .attributes = {{"tile", Attribute::Kind::kInt, {}, "m, 2 or 4"},
                                {"transposed", Attribute::Kind::kBool, Attribute(false),
                                 "w is that of a conv_transpose"}},
                 .infer = InferWeights,
                 .evaluate = EvaluateWeights,
                 .stages = [](const Op& op, const StageContext& context) -> StatusOr<Stages> {
                   return winograd::WeightStages(op, context);
                 },
                 .no_gradient = kAfterwards});
  ops.push_back(
      {.name = "winograd_conv",
       .doc = "Convolution of stride 1 in Winograd's form: x [N, C, H, W] with transformed weights "
              "u [s, s, C/groups, O]. y = A^T [sum over c of u[:,:,c,o] * (B^T x B)] A for each "
              "tile of m x m results. Around x, pads_low before it and behind it as far as whole "
              "tiles reach, zeros are read. A NaN or infinity in x spreads over its tile.",
       .operands = {{"x"}, {"u"}},
       .attributes = {{"extents", Attribute::Kind::kInts, {}, "height and width of y, >= 1"},
                      {"pads_low", Attribute::Kind::kInts, Attribute(std::vector<int64_t>{0, 0}),
                       "padding above and left of x"},
                      {"tile", Attribute::Kind::kInt, {}, "m: 2, or 4 where s = 6"},
                      {"groups", Attribute::Kind::kInt, Attribute(1),
                       "channels are split into this many groups that do not mix, >= 1"}},
       .traits = kContraction,
       .infer = InferWinograd,
       .evaluate = EvaluateWinograd,
       .stages = [](const Op& op, const StageContext& context) -> StatusOr<Stages> {
         return winograd::ConvolutionStages(op, context);
       },
       .zeros_read =
           [](const Op& op) {
             return ZerosAround(op.operand(0)->shape(), Tiling::OfConvolution(op));
           },
       .no_gradient = kAfterwards});
  return ops;
}

}  // namespace kiln
