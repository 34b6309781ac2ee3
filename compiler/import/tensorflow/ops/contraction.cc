// Sums of products: Conv2D, DepthwiseConv2dNative, Conv2DBackpropInput, MatMul, BiasAdd.
#include <algorithm>

#include "compiler/import/foreign/build.h"
#include "compiler/import/tensorflow/node.h"
#include "compiler/import/tensorflow/ops/convolution.h"
#include "compiler/import/tensorflow/ops/window.h"

namespace kiln::tensorflow_import {

StatusOr<Op*> ConvWeights(Builder& b, const StatusOr<Op*>& w) {
  KILN_RETURN_IF_ERROR(w.status());
  const int64_t rank = Rank(*w);
  if (rank < 3) return InvalidInput("weights of ", (*w)->type().ToString(), " are too few");
  std::vector<int64_t> order = {rank - 1, rank - 2};
  for (int64_t d = 0; d < rank - 2; ++d) order.push_back(d);
  return b.Transpose(w, order);
}

StatusOr<Op*> DepthwiseWeights(Builder& b, const StatusOr<Op*>& w) {
  KILN_RETURN_IF_ERROR(w.status());
  if (Rank(*w) != 4) return InvalidInput("weights of ", (*w)->type().ToString(), " do not fit");
  const Shape s = (*w)->shape();
  KILN_RETURN_IF_ERROR(CheckedByteSize(ElementType::kI64, s).status());
  return b.Reshape(b.Transpose(w, {2, 3, 0, 1}), {s[2] * s[3], 1, s[0], s[1]});
}

StatusOr<Op*> GroupedConv(Builder& b, const StatusOr<Op*>& x, const StatusOr<Op*>& w,
                          const Window& window) {
  KILN_RETURN_IF_ERROR(x.status());
  KILN_RETURN_IF_ERROR(w.status());
  std::vector<Op*> operands = {*x, *w};
  KILN_RETURN_IF_ERROR(PromoteHalves(b, operands));
  const int64_t inputs = (*w)->shape()[1];
  AttributeMap attributes = window.ConvAttributes();
  attributes.emplace("groups", inputs < 1 ? 1 : std::max<int64_t>((*x)->shape()[1] / inputs, 1));
  return b.Make("conv", {operands[0], operands[1]}, std::move(attributes));
}

namespace {

Status Convolution(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, DataChannelsFirst(n, 0));
  const bool depthwise = n.op().name == "DepthwiseConv2dNative";
  KILN_ASSIGN_OR_RETURN(Op* const w, depthwise ? DepthwiseWeights(n.builder(), n.input(1))
                                               : ConvWeights(n.builder(), n.input(1)));
  KILN_ASSIGN_OR_RETURN(const Shape spatial, SpatialShape(x->type()));
  KILN_ASSIGN_OR_RETURN(const Shape kernel, SpatialShape(w->type()));
  KILN_ASSIGN_OR_RETURN(const Window window, ReadWindow(n, spatial, kernel));
  return n.Output(AsDataFormat(n, GroupedConv(n.builder(), x, w, window)));
}

// The transposed convolution whose forward one would turn `sizes` into input 2.
Status BackpropInput(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, DataChannelsFirst(n, 2));
  KILN_ASSIGN_OR_RETURN(Op* const w, ConvWeights(b, n.input(1)));
  KILN_ASSIGN_OR_RETURN(const Shape spatial, SpatialShape(x->type()));
  KILN_ASSIGN_OR_RETURN(const Shape kernel, SpatialShape(w->type()));
  KILN_ASSIGN_OR_RETURN(std::vector<int64_t> sizes, n.KnownInts(0));
  if (sizes.size() == spatial.size() + 2) {
    const size_t first = n.ChannelsComeFirst() ? 2 : 1;
    sizes = {sizes.begin() + static_cast<int64_t>(first),
             sizes.begin() + static_cast<int64_t>(first + spatial.size())};
  }
  if (sizes.size() != spatial.size()) {
    return InvalidInput("the sizes wanted, ", FormatInts(sizes), ", do not fit the data");
  }
  KILN_RETURN_IF_ERROR(CheckedByteSize(ElementType::kI8, sizes).status());
  KILN_ASSIGN_OR_RETURN(const Window window, ReadWindow(n, sizes, kernel));
  std::vector<int64_t> adjust;
  for (size_t d = 0; d < spatial.size(); ++d) {
    adjust.push_back(sizes[d] - ((spatial[d] - 1) * window.strides[d] + window.Span(d) -
                                 window.pads_low[d] - window.pads_high[d]));
    if (adjust[d] < 0 || adjust[d] >= window.strides[d] + window.Span(d)) {
      return InvalidInput("the sizes wanted, ", FormatInts(sizes), ", cannot be reached from ",
                          x->type().ToString());
    }
  }
  AttributeMap attributes = window.ConvAttributes();
  attributes.emplace("groups", 1);
  attributes.emplace("output_padding", adjust);
  std::vector<Op*> operands = {x, w};
  KILN_RETURN_IF_ERROR(PromoteHalves(b, operands));
  return n.Output(
      AsDataFormat(n, n.Make("conv_transpose", {operands[0], operands[1]}, std::move(attributes))));
}

Status MatMul(Node& n) {
  KILN_ASSIGN_OR_RETURN(std::vector<Op*> xs, n.inputs(0, 2));
  KILN_RETURN_IF_ERROR(PromoteHalves(n.builder(), xs));
  const bool batch = n.op().name.starts_with("Batch");
  return n.Output(n.Make("matmul", {xs[0], xs[1]},
                         {{"transpose_a", n.Bool(batch ? "adj_x" : "transpose_a")},
                          {"transpose_b", n.Bool(batch ? "adj_y" : "transpose_b")}}));
}

Status BiasAdd(Node& n) {
  KILN_ASSIGN_OR_RETURN(std::vector<Op*> operands, n.inputs(0, 2));
  KILN_RETURN_IF_ERROR(PromoteHalves(n.builder(), operands));
  Op* const x = operands[0];
  Op* const bias = operands[1];
  const bool first = n.ChannelsComeFirst() && Rank(x) > 2;
  const int64_t axis = first ? 1 : Rank(x) - 1;
  if (Rank(x) < 1 || bias->shape() != Shape{x->shape()[axis]}) {
    return InvalidInput("a bias of ", bias->type().ToString(), " does not fit ",
                        x->type().ToString());
  }
  return n.Output(n.builder().Add(x, first ? AlongAxis(n.builder(), bias, 0, Rank(x) - 1) : bias));
}

}  // namespace

std::vector<TensorflowOp> ContractionOps() {
  std::vector<TensorflowOp> ops;
  for (const char* const name : {"Conv2D", "Conv3D", "DepthwiseConv2dNative"}) {
    ops.push_back({.name = name, .handler = Convolution, .inputs = {2, 2}});
  }
  for (const char* const name : {"Conv2DBackpropInput", "Conv3DBackpropInputV2"}) {
    ops.push_back(
        {.name = name, .handler = BackpropInput, .inputs = {3, 3}, .limits = "known sizes"});
  }
  for (const char* const name : {"MatMul", "BatchMatMul", "BatchMatMulV2"}) {
    ops.push_back({.name = name, .handler = MatMul, .inputs = {2, 2}});
  }
  for (const char* const name : {"BiasAdd", "BiasAddV1"}) {
    ops.push_back({.name = name, .handler = BiasAdd, .inputs = {2, 2}});
  }
  return ops;
}

}  // namespace kiln::tensorflow_import
