// Pools and resampling.
#include <algorithm>
#include <cmath>

#include "compiler/export/onnx/node_writer.h"

namespace kiln::onnx_export {

namespace {

Attributes WindowOf(const Op& op, const std::vector<int64_t>& pads_high) {
  std::vector<int64_t> pads = op.Ints("pads_low");
  pads.insert(pads.end(), pads_high.begin(), pads_high.end());
  return {Ints("kernel_shape", op.Ints("kernel")), Ints("strides", op.Ints("strides")),
          Ints("pads", pads)};
}

bool IsDilated(const Op& op) {
  return std::ranges::any_of(op.Ints("dilations"), [](int64_t d) { return d != 1; });
}

// What stands behind the window's attributes where it is dilated.
void AddDilations(const Op& op, Attributes& attributes) {
  if (IsDilated(op)) attributes.push_back(Ints("dilations", op.Ints("dilations")));
}

// The operand with the window's padding as zeros.
std::string Padded(NodeWriter& n) {
  const std::vector<int64_t>&low = n.op().Ints("pads_low"), &high = n.op().Ints("pads_high");
  std::vector<int64_t> pads = {0, 0};
  pads.insert(pads.end(), low.begin(), low.end());
  pads.insert(pads.end(), {0, 0});
  pads.insert(pads.end(), high.begin(), high.end());
  return n.Node("Pad", {n.operand(0), n.Indices(pads)});
}

// The window without its padding.
Attributes WindowWithinOperand(const Op& op) {
  Attributes window = {Ints("kernel_shape", op.Ints("kernel")),
                       Ints("strides", op.Ints("strides"))};
  AddDilations(op, window);
  return window;
}

Status MaxPool(NodeWriter& n) {
  if (n.op().Bool("zero_padding")) {
    return n.Result("MaxPool", {Padded(n)}, WindowWithinOperand(n.op()));
  }
  Attributes attributes = WindowOf(n.op(), n.op().Ints("pads_high"));
  AddDilations(n.op(), attributes);
  return n.Result("MaxPool", {n.operand(0)}, attributes);
}

Status MaxPoolIndices(NodeWriter& n) {
  Attributes attributes = WindowOf(n.op(), n.op().Ints("pads_high"));
  AddDilations(n.op(), attributes);
  attributes.push_back(Int("storage_order", n.op().Int("storage_order")));
  return n.ResultOf("MaxPool", {n.operand(0)}, attributes, 1);
}

// How many elements of a window count in the mean, along dimension `d` at position `p`.
int64_t Counted(const Op& op, size_t d, int64_t p) {
  const auto& ceil = op.Ints("ceil_pads_high");
  const int64_t extent = op.operand(0)->shape()[d + 2];
  const bool pads = op.Bool("count_include_pad");
  const int64_t low = pads ? -op.Ints("pads_low")[d] : 0;
  const int64_t high = extent + (pads ? op.Ints("pads_high")[d] - (ceil.empty() ? 0 : ceil[d]) : 0);
  const int64_t start = p * op.Ints("strides")[d] - op.Ints("pads_low")[d];
  int64_t count = 0;
  for (int64_t k = 0; k < op.Ints("kernel")[d]; ++k) {
    const int64_t at = start + k * op.Ints("dilations")[d];
    count += at >= low && at < high;
  }
  return count;
}

// The mean over the whole of each window of the padded operand, times what the window has over what
// counts: for padding that ceil_mode, which is one for all dimensions, cannot say.
Status AvgPoolOfPadded(NodeWriter& n) {
  const Op& op = n.op();
  const Shape& shape = op.shape();
  const std::string mean = n.Node("AveragePool", {Padded(n)}, WindowWithinOperand(op));
  Shape ratio_shape = shape;
  ratio_shape[0] = ratio_shape[1] = 1;
  std::vector<double> ratios(static_cast<size_t>(ElementCount(ratio_shape)));
  for (size_t i = 0; i < ratios.size(); ++i) {
    double ratio = 1;
    auto rest = static_cast<int64_t>(i);
    for (size_t d = shape.size() - 2; d-- > 0;) {
      const int64_t counted = Counted(op, d, rest % shape[d + 2]);
      rest /= shape[d + 2];
      ratio = counted == 0 ? 0
                           : ratio * static_cast<double>(op.Ints("kernel")[d]) /
                                 static_cast<double>(counted);
    }
    ratios[i] = ratio;
  }
  return n.Result("Mul", {mean, n.Constant(Tensor::FromDoubles(n.element(), ratio_shape, ratios))});
}

// Whether ceil_mode gives the op's extents from the padding without what rounds up.
bool IsCeilMode(const Op& op, const std::vector<int64_t>& high) {
  for (size_t d = 0; d < high.size(); ++d) {
    const int64_t span = op.operand(0)->shape()[d + 2] + op.Ints("pads_low")[d] + high[d] -
                         op.Ints("dilations")[d] * (op.Ints("kernel")[d] - 1) - 1;
    const int64_t stride = op.Ints("strides")[d];
    if (span < 0 || op.shape()[d + 2] != (span + stride - 1) / stride + 1) return false;
  }
  return true;
}

// The part of the padding that only rounds the extent up is ceil_mode's.
Status AvgPool(NodeWriter& n) {
  std::vector<int64_t> high = n.op().Ints("pads_high");
  const std::vector<int64_t>& ceil = n.op().Ints("ceil_pads_high");
  const bool rounds_up = std::ranges::any_of(ceil, [](int64_t pad) { return pad != 0; });
  for (size_t d = 0; d < ceil.size(); ++d) high[d] -= ceil[d];
  if (rounds_up && !IsCeilMode(n.op(), high)) return AvgPoolOfPadded(n);
  Attributes attributes = WindowOf(n.op(), high);
  AddDilations(n.op(), attributes);
  attributes.push_back(Int("count_include_pad", n.op().Bool("count_include_pad")));
  if (rounds_up) attributes.push_back(Int("ceil_mode", 1));
  return n.Result("AveragePool", {n.operand(0)}, attributes);
}

Status LpPool(NodeWriter& n) {
  Attributes attributes = WindowOf(n.op(), n.op().Ints("pads_high"));
  AddDilations(n.op(), attributes);
  attributes.push_back(Int("p", n.op().Int("p")));
  return n.Result("LpPool", {n.operand(0)}, attributes);
}

// By scales, which say more than sizes, where both agree.
Status Resize(NodeWriter& n) {
  const Op& op = n.op();
  if (op.String("coordinate_mode") == "tf_half_pixel_for_nn") {
    return n.Refuse("with tf_half_pixel_for_nn");
  }
  const Shape& from = op.operand(0)->shape();
  const std::vector<double>& scales = op.Doubles("scales");
  bool by_scales = true;
  for (size_t d = 0; d < from.size(); ++d) {
    const auto extent = static_cast<double>(from[d]) * static_cast<float>(scales[d]);
    by_scales &= static_cast<int64_t>(std::floor(static_cast<float>(extent))) == op.shape()[d];
  }
  std::string region, scale, size;
  const std::vector<double>& roi = op.Doubles("roi");
  const auto floats = [&](const std::vector<double>& values) {
    return n.Constant(
        Tensor::FromDoubles(ElementType::kF32, {static_cast<int64_t>(values.size())}, values));
  };
  if (!roi.empty()) region = floats(roi);
  (by_scales ? scale : size) = by_scales ? floats(scales) : n.Indices(op.shape());
  Names inputs = {n.operand(0), region, scale};
  if (!by_scales) inputs.push_back(size);
  return n.Result("Resize", inputs,
                  {String("mode", op.String("mode")),
                   String("coordinate_transformation_mode", op.String("coordinate_mode")),
                   String("nearest_mode", op.String("nearest_mode")),
                   Float("cubic_coeff_a", op.Double("cubic_coeff")),
                   Int("exclude_outside", op.Bool("exclude_outside")),
                   Float("extrapolation_value", op.Double("extrapolation_value"))});
}

}  // namespace

std::vector<OpWriter> WindowWriters() {
  return {{"max_pool", MaxPool, ""},
          {"max_pool_indices", MaxPoolIndices, ""},
          {"avg_pool", AvgPool, ""},
          {"lp_pool", LpPool, ""},
          {"resize", Resize, ""}};
}

}  // namespace kiln::onnx_export
