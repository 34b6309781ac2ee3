// RoiAlign: bins of regions of an image, each the mean or maximum of bilinear samples.
#include "compiler/import/foreign/build.h"
#include "compiler/import/onnx/node.h"

namespace kiln::onnx_import {

namespace {

/// The samples of every region along one axis of the image: the pixels before and behind each, and
/// their weights (0 outside the image); all [regions, bins * samples].
struct Samples {
  StatusOr<Op*> position[2], weight[2];
};

class RoiAligner {
 public:
  explicit RoiAligner(Node& node) : n_(node), b_(node.builder()) {}

  Status Run() {
    KILN_RETURN_IF_ERROR(ReadOperands());
    const Shape& image = x_->shape();
    const Samples rows = Along(1, 3, image[2], height_), columns = Along(0, 2, image[3], width_);
    KILN_ASSIGN_OR_RETURN(Op* const images,
                          b_.Reshape(n_.Make("gather", {x_, n_.operand(2)}, {{"axis", int64_t{0}}}),
                                     {regions_, image[1], image[2] * image[3]}));
    StatusOr<Op*> all = nullptr;
    for (int r = 0; r < 2; ++r) {
      for (int c = 0; c < 2; ++c) {
        const StatusOr<Op*> part = b_.Mul(Read(images, rows.position[r], columns.position[c]),
                                          Outer("mul", rows.weight[r], columns.weight[c], 1));
        KILN_RETURN_IF_ERROR(part.status());
        all = *all == nullptr ? part : n_.Make(max_ ? "max" : "add", {all, part});
        KILN_RETURN_IF_ERROR(all.status());
      }
    }
    all = b_.Reshape(all, {regions_, image[1], height_, samples_, width_, samples_});
    return n_.Result(Reduce(b_, max_ ? "reduce_max" : "reduce_mean", all, {3, 5}, false));
  }

 private:
  Status ReadOperands() {
    constexpr int64_t kMaxExtent = 256;
    KILN_ASSIGN_OR_RETURN(x_, n_.operand(0));
    KILN_ASSIGN_OR_RETURN(rois_, n_.operand(1));
    KILN_ASSIGN_OR_RETURN(const TensorType items, n_.OperandType(2));
    if (Rank(x_) != 4 || Rank(rois_) != 2 || rois_->shape()[1] != 4 || items.rank() != 1 ||
        items.shape[0] != rois_->shape()[0] || ElementCount(x_->shape()) == 0) {
      return InvalidInput("operands ", x_->type().ToString(), ", ", rois_->type().ToString(),
                          " and ", items.ToString(), " do not fit");
    }
    regions_ = rois_->shape()[0];
    const std::string mode = n_.String("mode", "avg");
    if (mode != "avg" && mode != "max") return InvalidInput("attribute 'mode' is ", Quote(mode));
    max_ = mode == "max";
    const std::string pixels = n_.String("coordinate_transformation_mode",
                                         n_.opset() < 16 ? "output_half_pixel" : "half_pixel");
    if (pixels != "half_pixel" && pixels != "output_half_pixel") {
      return InvalidInput("attribute 'coordinate_transformation_mode' is ", Quote(pixels));
    }
    half_pixel_ = pixels == "half_pixel";
    samples_ = n_.Int("sampling_ratio");
    height_ = n_.Int("output_height", 1);
    width_ = n_.Int("output_width", 1);
    if (samples_ == 0) return Unsupported("a sampling_ratio that depends on the region");
    for (const int64_t extent : {samples_, height_, width_}) {
      if (extent < 1 || extent > kMaxExtent) return InvalidInput("an extent is ", extent);
    }
    return OkStatus();
  }

  StatusOr<Op*> Edge(int64_t column) {
    return b_.AddScalar(b_.MulScalar(b_.Reshape(SelectAxis(b_, rois_, 1, column), {regions_, 1}),
                                     n_.Float("spatial_scale", 1)),
                        half_pixel_ ? -0.5 : 0.0);
  }

  Samples Along(int64_t start_column, int64_t end_column, int64_t extent, int64_t bins) {
    const StatusOr<Op*> start = Edge(start_column);
    StatusOr<Op*> span = b_.Sub(Edge(end_column), start);
    if (!half_pixel_) span = n_.Make("clip", {span}, {{"min", 1.0}});
    std::vector<double> steps;
    for (int64_t i = 0; i < bins * samples_; ++i) {
      steps.push_back((static_cast<double>(i) + 0.5) / static_cast<double>(bins * samples_));
    }
    const ElementType element = rois_->element();
    const auto number = [&](double value) { return b_.Scalar(element, value); };
    const StatusOr<Op*> parts =
        b_.Constant(Tensor::FromDoubles(element, {1, bins * samples_}, steps));
    const StatusOr<Op*> at = b_.Add(start, b_.Mul(span, parts));
    const auto last = static_cast<double>(extent - 1);
    const StatusOr<Op*> inside = n_.Make("and", {n_.Make("greater_equal", {at, number(-1)}),
                                                 n_.Make("less_equal", {at, number(last + 1)})});
    const StatusOr<Op*> clipped = n_.Make("clip", {at}, {{"min", 0.0}, {"max", last}});
    const StatusOr<Op*> low = n_.Make("floor", {clipped});
    const StatusOr<Op*> part = b_.Sub(clipped, low);
    const auto weight = [&](const StatusOr<Op*>& value) {
      return b_.Cast(n_.Make("where", {inside, value, number(0)}), x_->element());
    };
    return {{low, n_.Make("clip", {b_.AddScalar(low, 1)}, {{"min", 0.0}, {"max", last}})},
            {weight(b_.Sub(number(1), part)), weight(part)}};
  }

  // All pairs of a row's and a column's value: [regions, channels, rows * columns].
  StatusOr<Op*> Outer(std::string_view kind, const StatusOr<Op*>& row, const StatusOr<Op*>& column,
                      int64_t channels) {
    const int64_t rows = height_ * samples_, columns = width_ * samples_;
    const StatusOr<Op*> pairs = n_.Make(
        kind, {b_.Reshape(row, {regions_, rows, 1}), b_.Reshape(column, {regions_, 1, columns})});
    return b_.Broadcast(b_.Reshape(pairs, {regions_, 1, rows * columns}),
                        {regions_, channels, rows * columns});
  }

  StatusOr<Op*> Read(Op* images, const StatusOr<Op*>& row, const StatusOr<Op*>& column) {
    const StatusOr<Op*> width =
        b_.Constant(Tensor::FromInts(ElementType::kI64, {}, {x_->shape()[3]}));
    const StatusOr<Op*> first = b_.Mul(b_.Cast(row, ElementType::kI64), width);
    const StatusOr<Op*> index =
        Outer("add", first, b_.Cast(column, ElementType::kI64), x_->shape()[1]);
    return n_.Make("gather_elements", {images, index}, {{"axis", int64_t{2}}});
  }

  Node& n_;
  Builder& b_;
  Op* x_ = nullptr;
  Op* rois_ = nullptr;
  bool max_ = false, half_pixel_ = false;
  int64_t regions_ = 0, samples_ = 0, height_ = 0, width_ = 0;
};

Status RoiAlign(Node& n) { return RoiAligner(n).Run(); }

}  // namespace

std::vector<OnnxOp> RoiOps() {
  std::vector<OnnxOp> ops;
  ops.push_back({.name = "RoiAlign",
                 .handler = RoiAlign,
                 .operands = {3, 3},
                 .attributes = {String("mode"), Int("output_height"), Int("output_width"),
                                Int("sampling_ratio"), Float("spatial_scale"),
                                Since(16, String("coordinate_transformation_mode"))},
                 .limits = "a fixed sampling_ratio"});
  return ops;
}

}  // namespace kiln::onnx_import
