// Casts, and nodes that pass their operand on.
#include "compiler/import/onnx/graph_importer.h"
#include "compiler/import/onnx/node.h"
#include "compiler/import/onnx/tensor.h"

namespace kiln::onnx_import {

namespace {

Status Cast(Node& n) {
  KILN_ASSIGN_OR_RETURN(const ElementType to, n.TypeAttribute("to", ElementType::kF32));
  return n.Result(n.builder().Cast(n.operand(0), to));
}

Status CastLike(Node& n) {
  KILN_ASSIGN_OR_RETURN(const TensorType like, n.OperandType(1));
  return n.Result(n.builder().Cast(n.operand(0), like.element));
}

Status Identity(Node& n) {
  if (!n.Has(0)) return InvalidInput("operand 0 is missing");
  if (n.value(0)->CheckTensor().ok()) return n.Result(n.operand(0));
  n.Define(0, *n.value(0));
  return OkStatus();
}

// Dropout passes its operand on until the model is trained; its mask says that everything was kept.
// The mask has the operand's type before opset 10.
Status Drop(Node& n, double ratio) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.operand(0));
  if (!(ratio >= 0 && ratio <= 1)) return InvalidInput("the ratio is ", ratio);
  // What is dropped whole cannot be made up for, and is nothing to train with.
  const bool drops = ratio > 0 && ratio < 1 && IsFloat(x->element());
  const StatusOr<Op*> y = drops ? n.Make("dropout", {x}, {{"ratio", ratio}}) : x;
  KILN_RETURN_IF_ERROR(n.Result(0, y));
  if (!n.Wants(1)) return OkStatus();
  const ElementType type = n.opset() < 10 ? x->element() : ElementType::kBool;
  return n.Result(1, n.builder().Broadcast(n.builder().Scalar(type, 1.0), x->shape()));
}

Status Dropout(Node& n) {
  // Opsets 1 and 6 train by default.
  if (n.opset() < 7 && n.Int("is_test") == 0) {
    return Unsupported("Dropout in training mode is not supported");
  }
  if (n.opset() < 12) return Drop(n, n.Float("ratio", 0.5));
  double ratio = 0.5;
  if (n.Has(1)) {
    const StatusOr<double> known = n.KnownDouble(1, "ratio");
    // Whatever it is, inference does not depend on it.
    ratio = known.ok() ? *known : 0;
  }
  if (!n.Has(2)) return Drop(n, ratio);
  KILN_ASSIGN_OR_RETURN(const double training, n.KnownDouble(2, "training_mode"));
  if (training == 0) return Drop(n, ratio);
  if (n.Has(1)) {
    KILN_ASSIGN_OR_RETURN(ratio, n.KnownDouble(1, "ratio"));
  }
  if (ratio != 0) return Unsupported("Dropout in training mode is not supported");
  return Drop(n, 0);
}

}  // namespace

std::vector<OnnxOp> CastOps() {
  std::vector<OnnxOp> ops;
  const AttributeSpec saturate = Since(19, Int("saturate"));    // of 8-bit floats only
  const AttributeSpec round = Since(24, String("round_mode"));  // likewise
  ops.push_back({.name = "Cast",
                 .handler = Cast,
                 .attributes = {Required(Int("to")), saturate, round},
                 .first = 6,
                 .limits = "no strings, no types narrower than 8 bits"});
  ops.push_back({.name = "CastLike",
                 .handler = CastLike,
                 .operands = {2, 2},
                 .attributes = {saturate, round},
                 .limits = "as Cast"});
  ops.push_back({.name = "Identity", .handler = Identity});
  ops.push_back({.name = "Dropout",
                 .handler = Dropout,
                 .operands = {1, 3},
                 .max_results = 2,
                 .attributes = {Until(11, Float("ratio")), Since(12, Int("seed")),
                                Until(6, Int("is_test")), Until(5, Ints("consumed_inputs"))},
                 .limits = "inference, or a ratio of 0"});
  return ops;
}

}  // namespace kiln::onnx_import
