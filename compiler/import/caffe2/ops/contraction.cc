// Sums of products: Conv, ConvTranspose, FC, BatchMatMul, MatMul.
#include "compiler/import/caffe2/node.h"
#include "compiler/import/caffe2/window.h"
#include "compiler/import/foreign/build.h"

namespace kiln::caffe2_import {

namespace {

// The node's data and weights with channels first.
struct Convolved {
  Op* x;
  Op* w;
  Window window;
};

StatusOr<Convolved> ReadConv(Node& n) {
  Convolved c;
  KILN_ASSIGN_OR_RETURN(c.x, n.IsNhwc() ? ChannelsFirst(n.builder(), n.input(0)) : n.input(0));
  KILN_ASSIGN_OR_RETURN(c.w, n.IsNhwc() ? ChannelsFirst(n.builder(), n.input(1)) : n.input(1));
  KILN_ASSIGN_OR_RETURN(const Shape spatial, SpatialShape(c.x->type()));
  KILN_ASSIGN_OR_RETURN(const Shape kernel, SpatialShape(c.w->type()));
  if (kernel.size() != spatial.size()) {
    return InvalidInput("data of ", c.x->type().ToString(), " do not fit weights of ",
                        c.w->type().ToString());
  }
  KILN_ASSIGN_OR_RETURN(const auto read, ReadWindow(n, spatial, kernel));
  c.window = read.window;
  return c;
}

Status Finish(Node& n, StatusOr<Op*> y) {
  if (n.Has(2)) y = AddBias(n.builder(), y, n.input(2));
  if (n.op().kind == "relu") y = n.Make("relu", {y});
  return n.Output(n.IsNhwc() ? ChannelsLast(n.builder(), y) : y);
}

Status Conv(Node& n) {
  KILN_ASSIGN_OR_RETURN(const Convolved c, ReadConv(n));
  AttributeMap attributes = c.window.ConvAttributes();
  attributes.emplace("groups", n.Int("group", 1));
  return Finish(n, n.Make("conv", {c.x, c.w}, std::move(attributes)));
}

Status ConvTranspose(Node& n) {
  KILN_ASSIGN_OR_RETURN(const Convolved c, ReadConv(n));
  const size_t rank = c.window.rank();
  std::vector<int64_t> adjust = n.Ints("adjs");
  if (n.HasArgument("adj")) adjust.assign(rank, n.Int("adj"));
  if (n.HasArgument("adj_h") || n.HasArgument("adj_w")) adjust = {n.Int("adj_h"), n.Int("adj_w")};
  if (adjust.empty()) adjust.assign(rank, 0);
  if (adjust.size() != rank) return InvalidInput("argument 'adjs' is ", FormatInts(adjust));
  AttributeMap attributes = c.window.ConvAttributes();
  attributes.emplace("groups", n.Int("group", 1));
  attributes.emplace("output_padding", adjust);
  return Finish(n, n.Make("conv_transpose", {c.x, c.w}, std::move(attributes)));
}

// x [.., K..] W^T + b: the dimensions from `axis` on are one vector; so are those of W from axis_w.
Status Fc(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  KILN_ASSIGN_OR_RETURN(Op* const w, n.input(1));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(n.Int("axis", 1), Rank(x) + 1));
  KILN_ASSIGN_OR_RETURN(const int64_t axis_w, NormalAxis(n.Int("axis_w", 1), Rank(w)));
  Shape rows(x->shape().begin(), x->shape().begin() + axis);
  const int64_t count = ElementCount({x->shape().begin() + axis, x->shape().end()});
  const Shape matrix = {ElementCount({w->shape().begin(), w->shape().begin() + axis_w}),
                        ElementCount({w->shape().begin() + axis_w, w->shape().end()})};
  const bool transposed = n.op().name == "FCTransposed";
  const auto product =
      n.Make("matmul", {b.Reshape(x, {ElementCount(rows), count}), b.Reshape(w, matrix)},
             {{"transpose_b", !transposed}});
  rows.push_back(matrix[transposed ? 1 : 0]);
  return n.Output(b.Reshape(b.Add(product, n.input(2)), rows));
}

// x with its last two dimensions swapped, if the argument says so.
StatusOr<Op*> Swapped(Node& n, int i, const char* argument) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(i));
  if (n.Int(argument) == 0 || Rank(x) < 2) return x;
  std::vector<int64_t> order = AxesFrom(0, Rank(x));
  std::swap(order[order.size() - 1], order[order.size() - 2]);
  return n.builder().Transpose(x, order);
}

Status BatchMatMul(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const a, Swapped(n, 0, "trans_a"));
  KILN_ASSIGN_OR_RETURN(Op* const b, Swapped(n, 1, "trans_b"));
  return n.Output(MatMulNumpy(n.builder(), a, b));
}

// Operands flattened to matrices at axis_a and axis_b.
Status MatMul(Node& n) {
  const auto flat = [&](int i, const char* axis_name, const char* trans) -> StatusOr<Op*> {
    KILN_ASSIGN_OR_RETURN(Op* const x, n.input(i));
    KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(n.Int(axis_name, 1), Rank(x)));
    const Shape matrix = {ElementCount({x->shape().begin(), x->shape().begin() + axis}),
                          ElementCount({x->shape().begin() + axis, x->shape().end()})};
    const auto y = n.builder().Reshape(x, matrix);
    return n.Int(trans) != 0 ? n.builder().Transpose(y, {1, 0}) : y;
  };
  return n.Output(n.Make("matmul", {flat(0, "axis_a", "trans_a"), flat(1, "axis_b", "trans_b")}));
}

}  // namespace

std::vector<Caffe2Op> ContractionOps() {
  std::vector<Caffe2Op> ops;
  const std::string limits = "1 to 3 spatial dimensions";
  ops.push_back({.name = "Conv",
                 .handler = Conv,
                 .inputs = {2, 3},
                 .arguments = WindowArguments({"group"}),
                 .limits = limits});
  ops.push_back({.name = "ConvRelu",
                 .handler = Conv,
                 .kind = "relu",
                 .inputs = {2, 3},
                 .arguments = WindowArguments({"group"}),
                 .limits = limits});
  ops.push_back({.name = "ConvTranspose",
                 .handler = ConvTranspose,
                 .inputs = {2, 3},
                 .arguments = WindowArguments({"group", "adj", "adjs", "adj_h", "adj_w"}),
                 .limits = limits});
  for (const char* const name : {"FC", "FCTransposed"}) {
    ops.push_back({.name = name,
                   .handler = Fc,
                   .inputs = {3, 3},
                   .arguments = {"axis", "axis_w", "use_cudnn", "order"}});
  }
  ops.push_back({.name = "BatchMatMul",
                 .handler = BatchMatMul,
                 .inputs = {2, 2},
                 .arguments = {"trans_a", "trans_b", "broadcast", "use_scratch"}});
  ops.push_back({.name = "MatMul",
                 .handler = MatMul,
                 .inputs = {2, 2},
                 .arguments = {"axis_a", "axis_b", "trans_a", "trans_b"}});
  return ops;
}

}  // namespace kiln::caffe2_import
