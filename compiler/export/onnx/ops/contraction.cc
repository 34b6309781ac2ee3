// Convolutions and products of matrices, with the bias behind them where there is one.
#include <numeric>

#include "compiler/export/onnx/node_writer.h"

namespace kiln::onnx_export {

namespace {

// The contraction that `n` writes: its own op, or the one that it, an addition, is merged with.
const Op& Contraction(NodeWriter& n) {
  return n.merged_into() == nullptr ? n.op() : *n.merged_into();
}

// Its operands, and the bias as one number a channel.
Names Operands(NodeWriter& n, const Op& contraction) {
  if (n.merged_into() == nullptr) return n.operands();
  Names names = {n.operand_of(contraction, 0), n.operand_of(contraction, 1)};
  const size_t at = n.op().operand(0) == &contraction ? 1 : 0;
  const Op& bias = *n.op().operand(at);
  names.push_back(bias.shape().size() == 1
                      ? n.operand(at)
                      : n.Node("Reshape", {n.operand(at), n.Indices({bias.type().count()})}));
  return names;
}

Attributes WindowOf(const Op& op) {
  std::vector<int64_t> pads = op.Ints("pads_low");
  pads.insert(pads.end(), op.Ints("pads_high").begin(), op.Ints("pads_high").end());
  const Shape& weights = op.operand(1)->shape();
  return {Ints("kernel_shape", {weights.begin() + 2, weights.end()}),
          Ints("strides", op.Ints("strides")), Ints("dilations", op.Ints("dilations")),
          Ints("pads", pads), Int("group", op.Int("groups"))};
}

Status Conv(NodeWriter& n) {
  const Op& op = Contraction(n);
  return n.Result("Conv", Operands(n, op), WindowOf(op));
}

Status ConvTranspose(NodeWriter& n) {
  const Op& op = Contraction(n);
  Attributes attributes = WindowOf(op);
  attributes.push_back(Ints("output_padding", op.Ints("output_padding")));
  return n.Result("ConvTranspose", Operands(n, op), attributes);
}

std::string SwapLast(NodeWriter& n, const Op& op, size_t i) {
  std::vector<int64_t> order(op.operand(i)->shape().size());
  std::iota(order.begin(), order.end(), int64_t{0});
  std::swap(order[order.size() - 1], order[order.size() - 2]);
  return n.Node("Transpose", {n.operand(i)}, {Ints("perm", order)});
}

// Gemm where it can, which transposes by itself; otherwise MatMul.
Status MatMul(NodeWriter& n) {
  const Op& op = Contraction(n);
  const bool transpose_a = op.Bool("transpose_a"), transpose_b = op.Bool("transpose_b");
  const bool gemm = n.merged_into() != nullptr ||
                    ((transpose_a || transpose_b) && IsFloat(op.element()) &&
                     op.operand(0)->shape().size() == 2 && op.operand(1)->shape().size() == 2);
  if (gemm) {
    return n.Result("Gemm", Operands(n, op),
                    {Int("transA", transpose_a), Int("transB", transpose_b)});
  }
  return n.Result("MatMul", {transpose_a ? SwapLast(n, op, 0) : n.operand(0),
                             transpose_b ? SwapLast(n, op, 1) : n.operand(1)});
}

}  // namespace

std::vector<OpWriter> ContractionWriters() {
  return {{"conv", Conv, ""}, {"conv_transpose", ConvTranspose, ""}, {"matmul", MatMul, ""}};
}

}  // namespace kiln::onnx_export
