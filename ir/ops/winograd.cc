#include "ir/ops/winograd.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <limits>

#include "ir/graph/recipe.h"
#include "ir/ops/op_table.h"
#include "ir/ops/shape_util.h"
#include "ir/ops/winograd_stages.h"
#include "ir/ops/winograd_tiles.h"
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

/// Transforms known weights. The results lie row-major, [s, s, C, O], or packed, s s O/B I B.
class WeightsRecipe : public TensorRecipe {
 public:
  /// `block` is B, or O for row-major.
  WeightsRecipe(Tensor w, TensorType type, int64_t m, bool transposed, int64_t block)
      : w_(std::move(w)), type_(std::move(type)), m_(m), transposed_(transposed), block_(block) {}

  void Write(char* to) const override {
    auto* const u = reinterpret_cast<float*>(to);
    const int64_t blocks = (outputs() + Lanes::kCount - 1) / Lanes::kCount;
    ParallelFor(transposed_ ? inputs() : blocks, type_.bytes(), [&](int64_t begin, int64_t end) {
      RowReader reader(w_);
      for (int64_t i = begin; i < end; ++i) {
        if (transposed_) {
          WriteInput(reader, i, u);
        } else {
          WriteOutputs(reader, i * Lanes::kCount, u);
        }
      }
    });
  }

  std::shared_ptr<const TensorRecipe> InLayoutOf(const TensorType& type) const override {
    const Layout& layout = type.layout;
    const bool packed = layout.order == std::vector<int>{0, 1, 3, 2} && layout.blocks.size() == 1 &&
                        layout.blocks[0].dim == 3 && layout.padding.empty();
    if (!packed || type.shape != type_.shape) return nullptr;
    const int64_t block = layout.blocks[0].size;
    if (outputs() % block != 0 || Lanes::kCount % block != 0) return nullptr;
    return std::make_shared<WeightsRecipe>(w_, type, m_, transposed_, block);
  }

 private:
  int64_t inputs() const { return type_.shape[2]; }
  int64_t outputs() const { return type_.shape[3]; }
  int64_t kernel() const { return w_.shape()[2]; }

  // From the row of input channel `c` of a transposed convolution's weights, [C, O, r, r].
  void WriteInput(RowReader& reader, int64_t c, float* u) const {
    const char* const row = reader.Rows(c, c + 1);
    for (int64_t o = 0; o < outputs(); o += Lanes::kCount) {
      const int64_t size = kernel() * kernel();
      WriteChannels(row + o * size * kFloat, size, c, o, u);
    }
  }

  // From the rows of the output channels from `o` on of a convolution's weights, [O, C, r, r].
  void WriteOutputs(RowReader& reader, int64_t o, float* u) const {
    const int64_t size = kernel() * kernel();
    const char* const rows = reader.Rows(o, std::min(o + Lanes::kCount, outputs()));
    for (int64_t c = 0; c < inputs(); ++c) {
      WriteChannels(rows + c * size * kFloat, inputs() * size, c, o, u);
    }
  }

  // The kernels of output channels from `o` on with input channel `c`: the first is at `from`,
  // which is not aligned, the others are `stride` elements apart.
  void WriteChannels(const char* from, int64_t stride, int64_t c, int64_t o, float* u) const {
    const int64_t r = kernel(), span = type_.shape[0];
    const int64_t count = std::min(Lanes::kCount, outputs() - o);
    const int64_t run = std::min(count, block_);
    TransformKernel<Lanes>(
        m_, r,
        [&](int64_t i, int64_t j) {
          const int64_t place = transposed_ ? r * r - 1 - (i * r + j) : i * r + j;
          Lanes g;
          for (int64_t lane = 0; lane < count; ++lane) {
            float value;
            std::memcpy(&value, from + (lane * stride + place) * kFloat, sizeof(value));
            g.values[lane] = value;
          }
          return g;
        },
        [&](int64_t i, int64_t j, const Lanes& value) {
          for (int64_t k = 0; k < count; k += run) {
            const int64_t block = (i * span + j) * (outputs() / block_) + (o + k) / block_;
            float* const to = u + (block * inputs() + c) * block_ + (o + k) % block_;
            for (int64_t l = 0; l < run; ++l) to[l] = static_cast<float>(value.values[k + l]);
          }
        });
  }

  static constexpr int64_t kFloat = sizeof(float);

  const Tensor w_;
  const TensorType type_;
  const int64_t m_;
  const bool transposed_;
  const int64_t block_;
};

}  // namespace

StatusOr<Tensor> WinogradWeights(const Tensor& w, int64_t m, bool transposed) {
  const Shape& shape = w.shape();
  if (shape.size() != 4 || shape[2] != shape[3] || !IsSupported(m, shape[2]) ||
      w.type().element != ElementType::kF32 || !w.type().layout.IsRowMajor() || !w.known()) {
    return InternalError("Winograd weights cannot be made of ", w.type().ToString());
  }
  const TensorType type = WinogradWeightsType(shape, m, transposed);
  return Tensor::Deferred(
      type, std::make_shared<WeightsRecipe>(w, type, m, transposed, /*block=*/type.shape[3]));
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
