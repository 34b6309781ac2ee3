// Sums of products: convolutions, linear, products of matrices.
#include "compiler/import/foreign/build.h"
#include "compiler/import/foreign/einsum.h"
#include "compiler/import/pytorch/node.h"
#include "compiler/import/pytorch/ops/window.h"

namespace kiln::pytorch_import {

namespace {

// Zeros around what a stride of 1 needs to keep the extents; the odd one goes behind.
Status PadByName(const std::string& name, Window* window) {
  if (name == "valid") return OkStatus();
  if (name != "same") return InvalidInput("padding is ", Quote(name));
  for (size_t d = 0; d < window->rank(); ++d) {
    if (window->strides[d] != 1) return InvalidInput("padding 'same' needs strides of 1");
    const int64_t total = window->Span(d) - 1;
    window->pads_low[d] = total / 2;
    window->pads_high[d] = total - total / 2;
  }
  return OkStatus();
}

// Transposed by its name, or by the argument.
Status Convolution(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const given, n.tensor("input"));
  KILN_ASSIGN_OR_RETURN(Op* const w, n.tensor("weight"));
  if (Rank(w) < 3) return InvalidInput("weights need a kernel, found ", w->type().ToString());
  const size_t rank = w->shape().size() - 2;
  KILN_ASSIGN_OR_RETURN(Op* const x, WithBatch(n, given, rank));
  const std::vector<int64_t> ones(rank, 1);
  KILN_ASSIGN_OR_RETURN(Window window,
                        ReadWindow(n, {w->shape().begin() + 2, w->shape().end()}, ones));
  if (const std::string name = n.String("padding"); !name.empty()) {
    KILN_RETURN_IF_ERROR(PadByName(name, &window));
  }
  const bool transposed = n.op().kind == "conv_transpose" || n.Bool("transposed");
  AttributeMap attributes = window.ConvAttributes();
  attributes.emplace("groups", n.Int("groups", 1));
  KILN_ASSIGN_OR_RETURN(const auto extra, PerDimension(n, "output_padding", rank, 0, 0));
  if (transposed) attributes.emplace("output_padding", extra);
  StatusOr<Op*> y = n.Make(transposed ? "conv_transpose" : "conv", {x, w}, std::move(attributes));
  if (n.Has("bias")) y = AddBias(n.builder(), y, n.tensor("bias"));
  return n.Output(WithoutBatch(n, given, y, rank));
}

// x W^T + b over the last dimension of x.
Status Linear(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("input"));
  KILN_ASSIGN_OR_RETURN(Op* const w, n.tensor("weight"));
  if (Rank(x) < 1 || Rank(w) != 2 || x->shape().back() != w->shape()[1]) {
    return InvalidInput("cannot multiply ", x->type().ToString(), " by weights ",
                        w->type().ToString());
  }
  Shape shape = x->shape();
  shape.pop_back();
  const int64_t rows = ElementCount(shape);
  shape.push_back(w->shape()[0]);
  StatusOr<Op*> y =
      n.Make("matmul", {b.Reshape(x, {rows, w->shape()[1]}), w}, {{"transpose_b", true}});
  if (n.Has("bias")) y = b.Add(y, n.tensor("bias"));
  return n.Output(b.Reshape(y, shape));
}

Status MatMul(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const a, n.tensor("self"));
  const std::string second = n.op().arguments.substr(n.op().arguments.find(' ') + 1);
  KILN_ASSIGN_OR_RETURN(Op* const c, n.tensor(second));
  return n.Output(MatMulNumpy(n.builder(), a, c));
}

// beta self + alpha (a @ b), where a and b are the second and the third argument.
Status AddMatMul(Node& n) {
  Builder& b = n.builder();
  const std::vector<std::string> names = StrSplit(n.op().arguments, ' ');
  KILN_ASSIGN_OR_RETURN(Op* const left, n.tensor(names[1]));
  KILN_ASSIGN_OR_RETURN(Op* const right, n.tensor(names[2]));
  const double alpha = n.Float("alpha", 1), beta = n.Float("beta", 1);
  StatusOr<Op*> y = MatMulNumpy(b, left, right);
  if (alpha != 1) y = b.MulScalar(y, alpha);
  if (beta == 0) return n.Output(y);
  StatusOr<Op*> added = n.tensor("self");
  if (beta != 1) added = b.MulScalar(added, beta);
  return n.Output(b.Add(y, added));
}

Status Outer(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const a, n.tensor("self"));
  KILN_ASSIGN_OR_RETURN(Op* const c, n.tensor("vec2"));
  if (Rank(a) != 1 || Rank(c) != 1) return InvalidInput("needs two vectors");
  return n.Output(n.builder().Mul(n.builder().Reshape(a, {a->shape()[0], 1}), c));
}

Status EinsumOf(Node& n) {
  KILN_ASSIGN_OR_RETURN(const std::vector<Op*> operands, n.tensors("tensors"));
  return n.Output(Einsum(n.builder(), n.String("equation"), operands));
}

// v g / |v|, with the length over all dimensions but one.
Status WeightNorm(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const v, n.tensor("v"));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(n.Int("dim"), Rank(v)));
  std::vector<int64_t> axes = AxesFrom(0, Rank(v));
  axes.erase(axes.begin() + axis);
  const auto length = n.Make("sqrt", {Reduce(b, "reduce_sum", b.Mul(v, v), axes, true)});
  return n.Output(b.Mul(v, b.Div(n.tensor("g"), length)));
}

}  // namespace

std::vector<PytorchOp> ContractionOps() {
  std::vector<PytorchOp> ops;
  const std::string limits = "1 to 3 spatial dimensions";
  ops.push_back({.name = "aten.convolution.default",
                 .handler = Convolution,
                 .arguments = "input weight bias stride padding dilation transposed "
                              "output_padding groups",
                 .limits = limits});
  for (const char* const name : {"conv1d", "conv2d", "conv3d"}) {
    for (const char* const overload : {".default", ".padding"}) {
      ops.push_back({.name = StrCat("aten.", name, overload),
                     .handler = Convolution,
                     .arguments = "input weight bias stride padding dilation groups"});
    }
  }
  for (const char* const name :
       {"conv_transpose1d.default", "conv_transpose2d.input", "conv_transpose3d.input"}) {
    ops.push_back({.name = StrCat("aten.", name),
                   .handler = Convolution,
                   .kind = "conv_transpose",
                   .arguments = "input weight bias stride padding output_padding groups dilation"});
  }
  ops.push_back(
      {.name = "aten.linear.default", .handler = Linear, .arguments = "input weight bias"});
  struct Row {
    const char* name;
    const char* arguments;
  };
  for (const Row& row : std::initializer_list<Row>{{"mm", "self mat2"},
                                                   {"bmm", "self mat2"},
                                                   {"matmul", "self other"},
                                                   {"mv", "self vec"},
                                                   {"dot", "self tensor"}}) {
    ops.push_back({.name = StrCat("aten.", row.name, ".default"),
                   .handler = MatMul,
                   .arguments = row.arguments});
  }
  for (const Row& row : std::initializer_list<Row>{{"addmm", "self mat1 mat2 beta alpha"},
                                                   {"addmv", "self mat vec beta alpha"},
                                                   {"baddbmm", "self batch1 batch2 beta alpha"}}) {
    ops.push_back({.name = StrCat("aten.", row.name, ".default"),
                   .handler = AddMatMul,
                   .arguments = row.arguments});
  }
  // The path is a hint.
  ops.push_back(
      {.name = "aten.einsum.default", .handler = EinsumOf, .arguments = "equation tensors path"});
  for (const char* const name : {"_weight_norm", "_weight_norm_interface"}) {
    ops.push_back({.name = StrCat("aten.", name, ".default"),
                   .handler = WeightNorm,
                   .arguments = "v g dim",
                   .limits = "the first result"});
  }
  ops.push_back({.name = "aten.outer.default", .handler = Outer, .arguments = "self vec2"});
  return ops;
}

}  // namespace kiln::pytorch_import
