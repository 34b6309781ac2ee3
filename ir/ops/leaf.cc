// Ops that bring values into a graph (input, parameter, constant) and the one that groups ops into
// a kernel (fusion). None of them computes anything itself.
#include "ir/graph/op_error.h"
#include "ir/ops/op_table.h"

namespace kiln {

namespace {

constexpr char kNoOperands[] = "it has no operands";

StatusOr<TensorType> InferParameter(const Op& op) {
  const Parameter* const parameter = op.graph()->module()->FindParameter(op.String("name"));
  if (parameter == nullptr) {
    return InvalidInput("parameter: the module has no parameter '", op.String("name"), "'");
  }
  return parameter->value.type();
}

StatusOr<TensorType> InferFusion(const Op& op) {
  for (size_t i = 0; i < op.operands().size(); ++i) {
    if (op.body()->inputs()[i]->type() != op.operand(i)->type()) {
      return OpError(op, "body input ", static_cast<int64_t>(i), " is ",
                     op.body()->inputs()[i]->type().ToString());
    }
  }
  return op.body()->outputs()[0].value->type();
}

}  // namespace

std::vector<OpDef> LeafOps() {
  std::vector<OpDef> ops;
  ops.push_back({.name = "input",
                 .doc = "An input of the graph. Made by Builder::Input.",
                 .traits = kLeaf,
                 .infer = [](const Op& op) -> StatusOr<TensorType> { return op.type(); },
                 .no_gradient = kNoOperands});
  ops.push_back({.name = "parameter",
                 .doc = "The module's parameter `name`.",
                 .attributes = {{"name", Attribute::Kind::kString, {}, "the parameter's name"}},
                 .traits = kLeaf,
                 .infer = InferParameter,
                 .no_gradient = kNoOperands});
  ops.push_back(
      {.name = "constant",
       .doc = "A tensor known when the model is compiled.",
       .attributes = {{"value", Attribute::Kind::kTensor, {}, "the tensor"}},
       .traits = kLeaf,
       .infer = [](const Op& op) -> StatusOr<TensorType> { return op.Constant("value").type(); },
       .no_gradient = kNoOperands});
  ops.push_back({.name = "fusion",
                 .doc = "Ops compiled into one kernel: the body, whose inputs stand for the "
                        "operands. Every op of the body but its output is used inside only.",
                 .operands = {{"operands", /*variadic=*/true}},
                 .traits = kRegion,
                 .infer = InferFusion,
                 .no_gradient = "functions are differentiated before their ops are fused"});
  return ops;
}

}  // namespace kiln
