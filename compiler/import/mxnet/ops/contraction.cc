// Sums of products: Convolution, Deconvolution, FullyConnected, dot, batch_dot, Embedding.
#include "compiler/import/foreign/build.h"
#include "compiler/import/mxnet/node.h"
#include "compiler/import/mxnet/ops/window.h"

namespace kiln::mxnet_import {

namespace {

struct Convolved {
  Op* x;  // channels first
  Window window;
  int64_t channels, outputs, groups;
  bool channels_last;
};

StatusOr<Convolved> ReadConvolution(Node& n) {
  Convolved c;
  KILN_ASSIGN_OR_RETURN(c.channels_last, IsChannelsLast(n));
  KILN_ASSIGN_OR_RETURN(c.x, n.input(0));
  if (c.channels_last) {
    KILN_ASSIGN_OR_RETURN(c.x, ChannelsFirst(n.builder(), c.x));
  }
  KILN_ASSIGN_OR_RETURN(const Shape spatial, SpatialShape(c.x->type()));
  KILN_ASSIGN_OR_RETURN(c.window, ReadWindow(n, n.Ints("kernel"), spatial.size()));
  c.channels = c.x->shape()[1];
  c.outputs = n.Int("num_filter");
  c.groups = n.Int("num_group", 1);
  KILN_RETURN_IF_ERROR(n.Problem());
  if (c.outputs < 1 || c.groups < 1 || c.channels % c.groups != 0 || c.outputs % c.groups != 0) {
    return InvalidInput(c.channels, " channels and ", c.outputs, " outputs do not divide into ",
                        c.groups, " groups");
  }
  return c;
}

// The weights, stored in the order of the data's layout.
StatusOr<Op*> ConvWeight(Node& n, const Convolved& c, int64_t outer, int64_t inner) {
  Shape shape = {outer};
  if (!c.channels_last) shape.push_back(inner);
  shape.insert(shape.end(), c.window.kernel.begin(), c.window.kernel.end());
  if (c.channels_last) shape.push_back(inner);
  const auto w = n.weight(1, shape);
  return c.channels_last ? ChannelsFirst(n.builder(), w) : w;
}

Status Finish(Node& n, const Convolved& c, StatusOr<Op*> y, bool no_bias) {
  if (!n.Bool("no_bias", no_bias)) y = AddBias(n.builder(), y, n.weight(2, {c.outputs}));
  return n.Output(c.channels_last ? ChannelsLast(n.builder(), y) : y);
}

Status Convolution(Node& n) {
  KILN_ASSIGN_OR_RETURN(const Convolved c, ReadConvolution(n));
  AttributeMap attributes = c.window.ConvAttributes();
  attributes.emplace("groups", c.groups);
  const auto w = ConvWeight(n, c, c.outputs, c.channels / c.groups);
  return Finish(n, c, n.Make("conv", {c.x, w}, std::move(attributes)), false);
}

Status Deconvolution(Node& n) {
  KILN_ASSIGN_OR_RETURN(Convolved c, ReadConvolution(n));
  const size_t rank = c.window.rank();
  std::vector<int64_t> adjust = n.Ints("adj");
  if (adjust.empty()) adjust.assign(rank, 0);
  const std::vector<int64_t> target = n.Ints("target_shape");
  if (adjust.size() != rank || (!target.empty() && target.size() != rank)) {
    return InvalidInput("adj or target_shape does not fit ", static_cast<uint64_t>(rank),
                        " spatial dimensions");
  }
  // A target decides pads and adjustment: the odd one goes to the adjustment.
  for (size_t d = 0; d < target.size() && target[d] != 0; ++d) {
    const int64_t natural = c.window.strides[d] * (c.x->shape()[d + 2] - 1) + c.window.Span(d);
    if (target[d] < 1 || target[d] > natural) {
      return InvalidInput("target_shape ", FormatInts(target), " cannot be reached");
    }
    const int64_t excess = natural - target[d];
    adjust[d] = excess % 2;
    c.window.pads_low[d] = c.window.pads_high[d] = (excess + 1) / 2;
  }
  AttributeMap attributes = c.window.ConvAttributes();
  attributes.emplace("groups", c.groups);
  attributes.emplace("output_padding", adjust);
  const auto w = ConvWeight(n, c, c.channels, c.outputs / c.groups);
  return Finish(n, c, n.Make("conv_transpose", {c.x, w}, std::move(attributes)), true);
}

// x W^T + b; with `flatten` all dimensions but the batch are one vector, else only the last.
Status FullyConnected(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  if (Rank(x) < 1) return InvalidInput("needs at least one dimension");
  const int64_t axis = n.Bool("flatten", true) ? std::min<int64_t>(1, Rank(x)) : Rank(x) - 1;
  Shape rows(x->shape().begin(), x->shape().begin() + axis);
  const int64_t count = ElementCount({x->shape().begin() + axis, x->shape().end()});
  const int64_t outputs = n.Int("num_hidden");
  KILN_RETURN_IF_ERROR(n.Problem());
  if (outputs < 1) return InvalidInput("num_hidden must be at least 1");
  StatusOr<Op*> y =
      n.Make("matmul", {b.Reshape(x, {ElementCount(rows), count}), n.weight(1, {outputs, count})},
             {{"transpose_b", true}});
  if (!n.Bool("no_bias")) y = b.Add(y, n.weight(2, {outputs}));
  rows.push_back(outputs);
  return n.Output(b.Reshape(y, rows));
}

// Matrices, or stacks of them.
Status Dot(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const a, n.input(0));
  KILN_ASSIGN_OR_RETURN(Op* const b, n.input(1));
  if (Rank(a) < 2 || Rank(b) < 2 || (n.op().name == "dot" && (Rank(a) > 2 || Rank(b) > 2))) {
    return Unsupported("operands of ", a->type().ToString(), " and ", b->type().ToString(),
                       " are not supported");
  }
  return n.Output(
      n.Make("matmul", {a, b},
             {{"transpose_a", n.Bool("transpose_a")}, {"transpose_b", n.Bool("transpose_b")}}));
}

Status Embedding(Node& n) {
  const Shape shape = {n.Int("input_dim"), n.Int("output_dim")};
  const auto indices = n.builder().Cast(n.input(0), ElementType::kI64);
  return n.Output(n.Make("gather", {n.weight(1, shape), indices}, {{"axis", 0}}));
}

}  // namespace

std::vector<MxnetOp> ContractionOps() {
  std::vector<MxnetOp> ops;
  const std::string limits = "1 to 3 spatial dimensions";
  const std::vector<std::string> conv = {"kernel",     "stride",    "dilate",  "pad",
                                         "num_filter", "num_group", "no_bias", "layout"};
  std::vector<std::string> transposed = conv;
  transposed.insert(transposed.end(), {"adj", "target_shape"});
  for (const char* const name : {"Convolution", "Convolution_v1"}) {
    ops.push_back({.name = name,
                   .handler = Convolution,
                   .inputs = {2, 3},
                   .attributes = conv,
                   .limits = limits});
  }
  ops.push_back({.name = "Deconvolution",
                 .handler = Deconvolution,
                 .inputs = {2, 3},
                 .attributes = transposed,
                 .limits = limits});
  ops.push_back({.name = "FullyConnected",
                 .handler = FullyConnected,
                 .inputs = {2, 3},
                 .attributes = {"num_hidden", "no_bias", "flatten"}});
  for (const char* const name : {"dot", "batch_dot"}) {
    ops.push_back({.name = name,
                   .handler = Dot,
                   .inputs = {2, 2},
                   .attributes = {"transpose_a", "transpose_b", "forward_stype"},
                   .limits = "matrices"});
  }
  ops.push_back({.name = "Embedding",
                 .handler = Embedding,
                 .inputs = {2, 2},
                 .attributes = {"input_dim", "output_dim", "dtype", "sparse_grad"}});
  return ops;
}

}  // namespace kiln::mxnet_import
