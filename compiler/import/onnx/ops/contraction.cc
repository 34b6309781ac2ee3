// Sums of products: MatMul, Gemm, Conv, ConvTranspose.
#include "compiler/import/onnx/ops/contraction.h"

#include "compiler/import/foreign/build.h"
#include "compiler/import/onnx/node.h"
#include "compiler/import/onnx/ops/window.h"

namespace kiln::onnx_import {

StatusOr<Window> ReadConvWindow(Node& n, const TensorType& x, const TensorType& w) {
  KILN_ASSIGN_OR_RETURN(const Shape spatial, SpatialShape(x));
  KILN_ASSIGN_OR_RETURN(const Shape kernel, SpatialShape(w));
  if (n.HasAttribute("kernel_shape") && n.Ints("kernel_shape") != kernel) {
    return InvalidInput("attribute 'kernel_shape' is ", FormatInts(n.Ints("kernel_shape")),
                        ", the weights are ", w.ToString());
  }
  return ReadWindow(n, spatial, kernel);
}

namespace {

Status MatMul(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const left, n.operand(0));
  KILN_ASSIGN_OR_RETURN(Op* const right, n.operand(1));
  return n.Result(MatMulNumpy(n.builder(), left, right));
}

// x times a float attribute; an integer x allows 1 only.
StatusOr<Op*> Scaled(Node& n, const StatusOr<Op*>& x, const std::string& name) {
  const double factor = n.Float(name, 1.0);
  if (!x.ok() || factor == 1.0) return x;
  if (!IsFloat((*x)->element())) {
    return Unsupported("attribute '", name, "' other than 1 is not supported for integers");
  }
  return n.builder().MulScalar(x, factor);
}

// alpha A B + beta C
Status Gemm(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const a, n.operand(0));
  KILN_ASSIGN_OR_RETURN(Op* const b, n.operand(1));
  if (Rank(a) != 2 || Rank(b) != 2) {
    return InvalidInput("needs matrices, found ", a->type().ToString(), " and ",
                        b->type().ToString());
  }
  const StatusOr<Op*> product =
      Scaled(n,
             n.Make("matmul", {a, b},
                    {{"transpose_a", n.Int("transA") != 0}, {"transpose_b", n.Int("transB") != 0}}),
             "alpha");
  if (!n.Has(2) || n.Float("beta", 1.0) == 0) return n.Result(product);
  KILN_RETURN_IF_ERROR(product.status());
  KILN_ASSIGN_OR_RETURN(Op* const c, Scaled(n, n.operand(2), "beta"));
  KILN_ASSIGN_OR_RETURN(const Shape shape, BroadcastShapes((*product)->shape(), c->shape()));
  if (shape != (*product)->shape()) {
    return InvalidInput("operand C of ", c->type().ToString(), " does not broadcast to ",
                        (*product)->type().ToString());
  }
  return n.Result(n.builder().Add(product, c));
}

Status Conv(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.operand(0));
  KILN_ASSIGN_OR_RETURN(Op* const w, n.operand(1));
  KILN_ASSIGN_OR_RETURN(const Window window, ReadConvWindow(n, x->type(), w->type()));
  AttributeMap attributes = window.ConvAttributes();
  attributes.emplace("groups", n.Int("group", 1));
  const StatusOr<Op*> y = n.Make("conv", {x, w}, std::move(attributes));
  return n.Result(n.Has(2) ? AddBias(n.builder(), y, n.operand(2)) : y);
}

// Pads of a transposed convolution so that the result has `shape`. What is missing beyond the
// natural size becomes output padding.
Status FitTransposed(Node& n, const Shape& spatial, const Shape& shape, Window& window,
                     std::vector<int64_t>& output_padding) {
  const bool upper = n.String("auto_pad") == "SAME_UPPER";
  for (size_t d = 0; d < window.rank(); ++d) {
    const int64_t natural =
        window.strides[d] * (spatial[d] - 1) + output_padding[d] + window.Span(d);
    const int64_t total = natural - shape[d];
    const int64_t less = total / 2;
    if (total < 0) {
      window.pads_low[d] = window.pads_high[d] = 0;
      output_padding[d] -= total;
    } else {
      window.pads_low[d] = upper ? less : total - less;
      window.pads_high[d] = upper ? total - less : less;
    }
  }
  return OkStatus();
}

StatusOr<std::vector<int64_t>> OutputPadding(Node& n, size_t rank) {
  std::vector<int64_t> padding = n.Ints("output_padding");
  if (!n.HasAttribute("output_padding")) padding.assign(rank, 0);
  for (const int64_t value : padding) {
    if (value < 0 || value > (int64_t{1} << 31)) {
      return InvalidInput("attribute 'output_padding' is ", FormatInts(padding));
    }
  }
  if (padding.size() == rank) return padding;
  return InvalidInput("attribute 'output_padding' is ", FormatInts(padding), ", expected ",
                      static_cast<int64_t>(rank), " numbers");
}

// The spatial shape that attributes ask for; nullopt when explicit pads decide.
StatusOr<std::optional<Shape>> TransposedShape(Node& n, const Shape& spatial,
                                               const Window& window) {
  if (n.HasAttribute("output_shape")) {
    Shape shape = n.Ints("output_shape");
    if (shape.size() == spatial.size() + 2) shape.erase(shape.begin(), shape.begin() + 2);
    if (shape.size() != spatial.size()) {
      return InvalidInput("attribute 'output_shape' is ", FormatInts(n.Ints("output_shape")),
                          ", expected ", static_cast<int64_t>(spatial.size()), " numbers");
    }
    KILN_RETURN_IF_ERROR(CheckedByteSize(ElementType::kF32, shape).status());
    return shape;
  }
  const std::string mode = n.String("auto_pad", "NOTSET");
  if (mode == "NOTSET" || mode == "VALID" || mode.empty()) return std::nullopt;
  if (mode != "SAME_UPPER" && mode != "SAME_LOWER") {
    return InvalidInput("attribute 'auto_pad' is ", Quote(mode));
  }
  Shape shape;
  for (size_t d = 0; d < spatial.size(); ++d) shape.push_back(spatial[d] * window.strides[d]);
  KILN_RETURN_IF_ERROR(CheckedByteSize(ElementType::kF32, shape).status());
  return shape;
}

Status ConvTranspose(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.operand(0));
  KILN_ASSIGN_OR_RETURN(Op* const w, n.operand(1));
  KILN_ASSIGN_OR_RETURN(const Shape spatial, SpatialShape(x->type()));
  KILN_ASSIGN_OR_RETURN(const Shape kernel, SpatialShape(w->type()));
  if (kernel.size() != spatial.size() ||
      (n.HasAttribute("kernel_shape") && n.Ints("kernel_shape") != kernel)) {
    return InvalidInput("the kernel does not fit: operands are ", x->type().ToString(), " and ",
                        w->type().ToString());
  }
  KILN_ASSIGN_OR_RETURN(Window window, ReadExplicitWindow(n, kernel));
  KILN_ASSIGN_OR_RETURN(std::vector<int64_t> output_padding, OutputPadding(n, spatial.size()));
  KILN_ASSIGN_OR_RETURN(const auto shape, TransposedShape(n, spatial, window));
  if (shape) KILN_RETURN_IF_ERROR(FitTransposed(n, spatial, *shape, window, output_padding));
  AttributeMap attributes = window.ConvAttributes();
  attributes.emplace("groups", n.Int("group", 1));
  attributes.emplace("output_padding", output_padding);
  const StatusOr<Op*> y = n.Make("conv_transpose", {x, w}, std::move(attributes));
  return n.Result(n.Has(2) ? AddBias(n.builder(), y, n.operand(2)) : y);
}

}  // namespace

std::vector<AttributeSpec> ConvAttributeSpecs() {
  return {Ints("kernel_shape"), Ints("strides"),    Ints("dilations"),
          Ints("pads"),         String("auto_pad"), Int("group")};
}

std::vector<OnnxOp> ContractionOps() {
  std::vector<OnnxOp> ops;
  ops.push_back({.name = "MatMul", .handler = MatMul, .operands = {2, 2}});
  ops.push_back({.name = "Gemm",
                 .handler = Gemm,
                 .operands = {2, 3},
                 .attributes = {Float("alpha"), Float("beta"), Int("transA"), Int("transB"),
                                Until(6, Int("broadcast"))}});
  ops.push_back({.name = "Conv",
                 .handler = Conv,
                 .operands = {2, 3},
                 .attributes = ConvAttributeSpecs(),
                 .limits = "1 to 3 spatial dimensions"});
  std::vector<AttributeSpec> transposed = ConvAttributeSpecs();
  transposed.push_back(Ints("output_shape"));
  transposed.push_back(Ints("output_padding"));
  ops.push_back({.name = "ConvTranspose",
                 .handler = ConvTranspose,
                 .operands = {2, 3},
                 .attributes = transposed,
                 .limits = "1 to 3 spatial dimensions"});
  return ops;
}

}  // namespace kiln::onnx_import
