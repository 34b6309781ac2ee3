// Normalisations, and dropout.
#include "compiler/export/onnx/node_writer.h"

namespace kiln::onnx_export {

namespace {

Attributes Epsilon(const Op& op) { return {Float("epsilon", op.Double("epsilon"))}; }

std::string Filled(NodeWriter& n, Shape shape, double value) {
  return n.Constant(Tensor::Splat({n.element(), std::move(shape), {}}, value));
}

Status BatchNorm(NodeWriter& n) {
  return n.Result("BatchNormalization", n.operands(), Epsilon(n.op()));
}

Status InstanceNorm(NodeWriter& n) {
  const Shape channels = {n.op().shape()[1]};
  return n.Result("InstanceNormalization",
                  {n.operand(0), Filled(n, channels, 1), Filled(n, channels, 0)}, Epsilon(n.op()));
}

Status LayerNorm(NodeWriter& n) {
  const Shape& shape = n.op().shape();
  const Shape normal(shape.begin() + n.op().Int("axis"), shape.end());
  Attributes attributes = Epsilon(n.op());
  attributes.push_back(Int("axis", n.op().Int("axis")));
  return n.Result("LayerNormalization", {n.operand(0), Filled(n, normal, 1)}, attributes);
}

Status Lrn(NodeWriter& n) {
  const Op& op = n.op();
  return n.Result("LRN", {n.operand(0)},
                  {Int("size", op.Int("size")), Float("alpha", op.Double("alpha")),
                   Float("beta", op.Double("beta")), Float("bias", op.Double("bias"))});
}

Status Dropout(NodeWriter& n) {
  return n.Result("Dropout", {n.operand(0), n.Scalar(n.op().Double("ratio"))});
}

}  // namespace

std::vector<OpWriter> NormalizationWriters() {
  return {{"batch_norm", BatchNorm, ""},
          {"instance_norm", InstanceNorm, ""},
          {"layer_norm", LayerNorm, ""},
          {"lrn", Lrn, ""},
          {"dropout", Dropout, ""}};
}

}  // namespace kiln::onnx_export
