// Windows of an image as columns of a matrix: Col2Im, DeformConv.
#include "compiler/import/foreign/build.h"
#include "compiler/import/onnx/node.h"
#include "compiler/import/onnx/ops/contraction.h"
#include "compiler/import/onnx/ops/sampling.h"

namespace kiln::onnx_import {

namespace {

// How many windows there are along each dimension.
StatusOr<Shape> CountWindows(const Window& window, const Shape& spatial) {
  Shape counts;
  for (size_t d = 0; d < window.rank(); ++d) {
    const int64_t room = spatial[d] + window.pads_low[d] + window.pads_high[d] - window.Span(d);
    if (room < 0) {
      return InvalidInput("a window of ", window.Span(d), " does not fit dimension ", d, " of ",
                          FormatInts(spatial));
    }
    counts.push_back(room / window.strides[d] + 1);
  }
  KILN_RETURN_IF_ERROR(CheckedByteSize(ElementType::kF64, counts).status());
  return counts;
}

// Each column is added to the image where its window lies: a transposed convolution with weights
// that are 1 where a channel is the window's pixel.
Status Col2Im(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.operand(0));
  KILN_ASSIGN_OR_RETURN(const Shape image, n.KnownInts(1, "image_shape"));
  KILN_ASSIGN_OR_RETURN(const Shape block, n.KnownInts(2, "block_shape"));
  KILN_RETURN_IF_ERROR(CheckedByteSize(x->element(), image).status());
  KILN_RETURN_IF_ERROR(CheckedByteSize(x->element(), block).status());
  if (image.size() != block.size() || Rank(x) != 3) {
    return InvalidInput("blocks of ", FormatInts(block), " in ", x->type().ToString(),
                        " do not fit an image of ", FormatInts(image));
  }
  KILN_ASSIGN_OR_RETURN(const Window window, ReadExplicitWindow(n, block));
  KILN_ASSIGN_OR_RETURN(const Shape counts, CountWindows(window, image));
  const int64_t pixels = ElementCount(block), channels = x->shape()[1] / pixels;
  if (channels * pixels != x->shape()[1] || ElementCount(counts) != x->shape()[2]) {
    return InvalidInput(x->type().ToString(), " does not hold blocks of ", FormatInts(block),
                        " at ", FormatInts(counts), " places");
  }
  Shape columns = {x->shape()[0], x->shape()[1]}, weights = {x->shape()[1], 1};
  columns.insert(columns.end(), counts.begin(), counts.end());
  weights.insert(weights.end(), block.begin(), block.end());
  const StatusOr<Op*> count = b.Constant(Tensor::FromInts(ElementType::kI64, {}, {pixels}));
  const StatusOr<Op*> pixel =
      n.Make("mod", {IotaAlong(b, 2, 0, x->shape()[1], ElementType::kI64), count});
  const StatusOr<Op*> chosen =
      n.Make("equal", {pixel, IotaAlong(b, 2, 1, pixels, ElementType::kI64)});
  AttributeMap attributes = window.ConvAttributes();
  std::vector<int64_t> missed;  // pixels behind the last window
  for (size_t d = 0; d < window.rank(); ++d) {
    missed.push_back(image[d] + window.pads_low[d] + window.pads_high[d] - window.Span(d) -
                     window.strides[d] * (counts[d] - 1));
  }
  attributes.emplace("groups", channels);
  attributes.emplace("output_padding", missed);
  return n.Result(n.Make("conv_transpose",
                         {b.Reshape(x, columns), b.Reshape(b.Cast(chosen, x->element()), weights)},
                         std::move(attributes)));
}

/// A DeformConv: every pixel of every window is read at a place of its own. Windows are gathered
/// into columns, [batch, channels * window's pixels, windows], which the weights then multiply.
class DeformConvBuilder {
 public:
  explicit DeformConvBuilder(Node& node) : n_(node), b_(node.builder()) {}

  Status Run() {
    KILN_RETURN_IF_ERROR(ReadOperands());
    const Shape& x = x_->shape();
    const Shape& w = w_->shape();
    const int64_t pixels = ElementCount(window_.kernel), windows = ElementCount(counts_);
    KILN_ASSIGN_OR_RETURN(const auto taps, Taps(pixels, windows));
    Shape image = {x[0] * offset_groups_, x[1] / offset_groups_};
    image.insert(image.end(), x.begin() + 2, x.end());
    KILN_ASSIGN_OR_RETURN(Op* const grouped, b_.Reshape(x_, image));
    StatusOr<Op*> columns = SampleImage(n_, grouped, taps);
    if (n_.Has(4)) {
      columns = b_.Mul(columns, b_.Reshape(n_.operand(4), {image[0], 1, pixels * windows}));
    }
    const int64_t depth = w[1] * pixels;
    const StatusOr<Op*> product =
        n_.Make("matmul", {b_.Reshape(w_, {groups_, w[0] / groups_, depth}),
                           b_.Reshape(columns, {x[0], groups_, depth, windows})});
    Shape shape = {x[0], w[0]};
    shape.insert(shape.end(), counts_.begin(), counts_.end());
    const StatusOr<Op*> y = b_.Reshape(product, shape);
    return n_.Result(n_.Has(3) ? AddBias(b_, y, n_.operand(3)) : y);
  }

 private:
  Status ReadOperands() {
    KILN_ASSIGN_OR_RETURN(x_, n_.operand(0));
    KILN_ASSIGN_OR_RETURN(w_, n_.operand(1));
    KILN_ASSIGN_OR_RETURN(offset_, n_.operand(2));
    KILN_ASSIGN_OR_RETURN(window_, ReadConvWindow(n_, x_->type(), w_->type()));
    if (window_.rank() > 3) {
      return Unsupported("only 1 to 3 spatial dimensions are supported, found ",
                         x_->type().ToString());
    }
    const Shape& x = x_->shape();
    KILN_ASSIGN_OR_RETURN(counts_, CountWindows(window_, Shape(x.begin() + 2, x.end())));
    groups_ = n_.Int("group", 1);
    offset_groups_ = n_.Int("offset_group", 1);
    if (groups_ < 1 || w_->shape()[0] % groups_ != 0 || x[1] % groups_ != 0 ||
        w_->shape()[1] != x[1] / groups_ || ElementCount(x) == 0 ||
        ElementCount(w_->shape()) == 0) {
      return InvalidInput("weights of ", w_->type().ToString(), " in ", groups_,
                          " groups do not fit ", x_->type().ToString());
    }
    if (offset_groups_ < 1 || x[1] % offset_groups_ != 0) {
      return InvalidInput("attribute 'offset_group' is ", offset_groups_, ", the channels ", x[1]);
    }
    const int64_t pixels = ElementCount(window_.kernel);
    Shape expected = {x[0], offset_groups_ * pixels * static_cast<int64_t>(window_.rank())};
    expected.insert(expected.end(), counts_.begin(), counts_.end());
    if (offset_->shape() == expected) return OkStatus();
    return InvalidInput("offsets of ", offset_->type().ToString(), ", expected ",
                        FormatInts(expected));
  }

  // Along each axis, at points [batch * offset groups, window's pixels, windows].
  StatusOr<std::vector<std::vector<Tap>>> Taps(int64_t pixels, int64_t windows) {
    const auto rank = static_cast<int64_t>(window_.rank());
    const ElementType element = offset_->element();
    Shape grid = window_.kernel;
    grid.insert(grid.end(), counts_.begin(), counts_.end());
    KILN_ASSIGN_OR_RETURN(Op* const offsets, b_.Reshape(offset_, {x_->shape()[0] * offset_groups_,
                                                                  pixels, rank, windows}));
    std::vector<std::vector<Tap>> taps;
    for (int64_t d = 0; d < rank; ++d) {
      const StatusOr<Op*> inside =
          b_.MulScalar(IotaAlong(b_, 2 * rank, d, window_.kernel[d], element),
                       static_cast<double>(window_.dilations[d]));
      const StatusOr<Op*> corner =
          b_.AddScalar(b_.MulScalar(IotaAlong(b_, 2 * rank, rank + d, counts_[d], element),
                                    static_cast<double>(window_.strides[d])),
                       -static_cast<double>(window_.pads_low[d]));
      const StatusOr<Op*> regular =
          b_.Reshape(b_.Broadcast(b_.Add(inside, corner), grid), {pixels, windows});
      SampledAxis axis(n_, x_->shape()[2 + d], true);
      KILN_ASSIGN_OR_RETURN(taps.emplace_back(),
                            axis.Taps(b_.Add(SelectAxis(b_, offsets, 2, d), regular), "linear"));
      for (Tap& tap : taps.back()) KILN_RETURN_IF_ERROR(axis.Pad("zeros", tap));
    }
    return taps;
  }

  Node& n_;
  Builder& b_;
  Op *x_ = nullptr, *w_ = nullptr, *offset_ = nullptr;
  Window window_;
  Shape counts_;  ///< windows along each dimension
  int64_t groups_ = 1, offset_groups_ = 1;
};

Status DeformConv(Node& n) { return DeformConvBuilder(n).Run(); }

}  // namespace

std::vector<OnnxOp> ColumnOps() {
  std::vector<OnnxOp> ops;
  ops.push_back({.name = "Col2Im",
                 .handler = Col2Im,
                 .operands = {3, 3},
                 .attributes = {Ints("strides"), Ints("pads"), Ints("dilations")},
                 .limits = "known shapes; 1 to 3 spatial dimensions"});
  ops.push_back({.name = "DeformConv",
                 .handler = DeformConv,
                 .operands = {3, 5},
                 .attributes = {Ints("kernel_shape"), Ints("strides"), Ints("dilations"),
                                Ints("pads"), Int("group"), Int("offset_group")},
                 .limits = "1 to 3 spatial dimensions"});
  return ops;
}

}  // namespace kiln::onnx_import
