// Sums of products with learned weights: Convolution, Deconvolution, InnerProduct, Embed.
#include "compiler/import/caffe/layer.h"
#include "compiler/import/caffe/layers/window.h"
#include "compiler/import/foreign/build.h"

namespace kiln::caffe_import {

namespace {

struct Convolved {
  Op* x;
  Window window;
  int64_t channels, outputs, groups;
};

StatusOr<Convolved> ReadConvolution(Layer& n) {
  const caffe::ConvolutionParameter& param = n.proto().convolution_param();
  Convolved c;
  KILN_ASSIGN_OR_RETURN(c.x, n.bottom(0));
  KILN_ASSIGN_OR_RETURN(const Shape spatial, SpatialShape(c.x->type()));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(param.axis(), Rank(c.x)));
  if (axis != 1) return Unsupported("axis ", axis, " is not supported, only 1");
  KILN_ASSIGN_OR_RETURN(c.window, ReadWindow(param, static_cast<int64_t>(spatial.size())));
  c.channels = c.x->shape()[1];
  c.outputs = param.num_output();
  c.groups = param.group();
  if (c.outputs < 1 || c.groups < 1 || c.channels % c.groups != 0 || c.outputs % c.groups != 0) {
    return InvalidInput(c.channels, " channels and ", c.outputs, " outputs do not divide into ",
                        c.groups, " groups");
  }
  return c;
}

StatusOr<Op*> WithBias(Layer& n, const StatusOr<Op*>& y, int64_t outputs) {
  const caffe::ConvolutionParameter& param = n.proto().convolution_param();
  if (!param.bias_term()) return y;
  return AddBias(n.builder(), y, n.Blob(1, "bias", {outputs}, param.bias_filler()));
}

// Several bottoms go through the same weights, each to its own top.
Status CheckOneBottom(Layer& n) {
  if (n.num_bottoms() == 1 && n.num_tops() == 1) return OkStatus();
  return Unsupported("several bottoms of one convolution are not supported");
}

Status Convolution(Layer& n) {
  KILN_RETURN_IF_ERROR(CheckOneBottom(n));
  KILN_ASSIGN_OR_RETURN(const Convolved c, ReadConvolution(n));
  Shape weight = {c.outputs, c.channels / c.groups};
  weight.insert(weight.end(), c.window.kernel.begin(), c.window.kernel.end());
  AttributeMap attributes = c.window.ConvAttributes();
  attributes.emplace("groups", c.groups);
  const auto w = n.Blob(0, "weight", weight, n.proto().convolution_param().weight_filler());
  return n.Top(WithBias(n, n.Make("conv", {c.x, w}, std::move(attributes)), c.outputs));
}

Status Deconvolution(Layer& n) {
  KILN_RETURN_IF_ERROR(CheckOneBottom(n));
  KILN_ASSIGN_OR_RETURN(const Convolved c, ReadConvolution(n));
  Shape weight = {c.channels, c.outputs / c.groups};
  weight.insert(weight.end(), c.window.kernel.begin(), c.window.kernel.end());
  AttributeMap attributes = c.window.ConvAttributes();
  attributes.emplace("groups", c.groups);
  attributes.emplace("output_padding", std::vector<int64_t>(c.window.rank(), 0));
  const auto w = n.Blob(0, "weight", weight, n.proto().convolution_param().weight_filler());
  return n.Top(WithBias(n, n.Make("conv_transpose", {c.x, w}, std::move(attributes)), c.outputs));
}

// The dimensions from `axis` on are one vector.
Status InnerProduct(Layer& n) {
  const caffe::InnerProductParameter& param = n.proto().inner_product_param();
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.bottom(0));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(param.axis(), Rank(x)));
  const int64_t outputs = param.num_output();
  if (outputs < 1) return InvalidInput("num_output must be at least 1");
  Shape rows(x->shape().begin(), x->shape().begin() + axis);
  const int64_t count = ElementCount({x->shape().begin() + axis, x->shape().end()});
  const bool transposed = param.transpose();
  const auto w = n.Blob(0, "weight", transposed ? Shape{count, outputs} : Shape{outputs, count},
                        param.weight_filler());
  StatusOr<Op*> y = n.Make("matmul", {b.Reshape(x, {ElementCount(rows), count}), w},
                           {{"transpose_b", !transposed}});
  if (param.bias_term()) y = b.Add(y, n.Blob(1, "bias", {outputs}, param.bias_filler()));
  rows.push_back(outputs);
  return n.Top(b.Reshape(y, rows));
}

// Rows of the weights, chosen by integers (held in floats).
Status Embed(Layer& n) {
  const caffe::EmbedParameter& param = n.proto().embed_param();
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.bottom(0));
  const int64_t rows = param.input_dim(), outputs = param.num_output();
  if (rows < 1 || outputs < 1) return InvalidInput("input_dim and num_output must be at least 1");
  StatusOr<Op*> y = n.Make(
      "gather",
      {n.Blob(0, "weight", {rows, outputs}, param.weight_filler()), b.Cast(x, ElementType::kI64)},
      {{"axis", 0}});
  if (param.bias_term()) y = b.Add(y, n.Blob(1, "bias", {outputs}, param.bias_filler()));
  return n.Top(y);
}

}  // namespace

std::vector<CaffeLayer> ContractionLayers() {
  std::vector<CaffeLayer> layers;
  const std::string limits = "axis 1, 1 to 3 spatial dimensions, one bottom";
  // Forks give depthwise convolutions a type of their own; they are written like any other.
  for (const char* const name : {"Convolution", "ConvolutionDepthwise", "DepthwiseConvolution"}) {
    layers.push_back({.name = name,
                      .handler = Convolution,
                      .bottoms = {1, kAny},
                      .tops = {1, kAny},
                      .limits = limits});
  }
  layers.push_back({.name = "Deconvolution",
                    .handler = Deconvolution,
                    .bottoms = {1, kAny},
                    .tops = {1, kAny},
                    .limits = limits});
  layers.push_back({.name = "InnerProduct", .handler = InnerProduct});
  layers.push_back({.name = "Embed", .handler = Embed});
  layers.push_back({.name = "Im2col", .limits = "it has no meaning outside of Caffe"});
  return layers;
}

}  // namespace kiln::caffe_import
