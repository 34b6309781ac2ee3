// Where values come from, and what passes them on: constants, inputs, variables, switches.
#include "compiler/import/tensorflow/graph_importer.h"
#include "compiler/import/tensorflow/node.h"
#include "compiler/import/tensorflow/tensor.h"

namespace kiln::tensorflow_import {

namespace {

Status Const(Node& n) {
  const tensorflow::AttrValue* const value = n.Find("value");
  if (value == nullptr) return InvalidInput("attribute 'value' is missing");
  const tensorflow::TensorProto& proto = value->tensor();
  if (!IsSplat(proto)) {
    KILN_ASSIGN_OR_RETURN(Tensor tensor, ToTensor(proto));
    return n.ConstantOutput(std::move(tensor));
  }
  // One number, repeated: a few bytes in the file must not become many in memory.
  const std::optional<Shape> shape = ToShape(proto.tensor_shape());
  if (!shape) return InvalidInput("a constant has no shape");
  tensorflow::TensorProto scalar = proto;
  scalar.clear_tensor_shape();
  KILN_ASSIGN_OR_RETURN(Tensor tensor, ToTensor(scalar));
  return n.Output(n.builder().Broadcast(n.builder().Constant(std::move(tensor)), *shape));
}

// An empty shape is a scalar's only since producer 24; before, it was one that nobody knew.
std::optional<Shape> DeclaredShape(Node& n) {
  constexpr int kFirstWithScalars = 24;
  const tensorflow::AttrValue* const attribute = n.Find("shape");
  if (attribute == nullptr) return std::nullopt;
  const std::optional<Shape> shape = ToShape(attribute->shape());
  const bool old = n.importer().graph().producer() < kFirstWithScalars;
  return old && shape && shape->empty() ? std::nullopt : shape;
}

Status Placeholder(Node& n) {
  KILN_ASSIGN_OR_RETURN(const ElementType element, n.Type("dtype"));
  return n.importer().MakeInput(n.name(), element, DeclaredShape(n));
}

// A default that is a single value (a training flag, a rate) is taken; any other is an input.
Status PlaceholderWithDefault(Node& n) {
  KILN_ASSIGN_OR_RETURN(const TensorType type, n.values().TypeOf(n.input_name(0)));
  if (type.rank() == 0) return n.Output(n.input(0));
  return n.importer().MakeInput(n.name(), type.element, DeclaredShape(n));
}

Status Identity(Node& n) {
  for (int i = 0; i < n.num_inputs(); ++i) KILN_RETURN_IF_ERROR(n.Output(i, n.input(i)));
  return OkStatus();
}

Status PassFirst(Node& n) { return n.Output(n.input(0)); }

// A variable stands for its value in the checkpoint; reading it does nothing more.
Status Variable(Node& n) {
  std::string name = n.String("shared_name");
  if (name.empty()) name = n.name();
  const Tensor* const value = n.importer().FindVariable(name);
  if (value == nullptr) {
    return Unsupported("variable '", Printable(name),
                       "' has no value: the graph is not frozen and no checkpoint has it");
  }
  return n.ConstantOutput(*value);
}

StatusOr<bool> KnownFlag(Node& n, int i) {
  KILN_ASSIGN_OR_RETURN(const Tensor flag, n.Known(i));
  if (flag.type().count() != 1) return InvalidInput("the condition is no single value");
  return flag.GetInt(0) != 0;
}

// Output 1 where the condition holds, else output 0; the other is never computed.
Status Switch(Node& n) {
  KILN_ASSIGN_OR_RETURN(const bool taken, KnownFlag(n, 1));
  n.DeadOutput(taken ? 0 : 1);
  return n.Output(taken ? 1 : 0, n.input(0));
}

// Whichever input is computed.
Status Merge(Node& n) {
  for (int i = 0; i < n.num_inputs(); ++i) {
    if (n.importer().IsDead(n.input_name(i))) continue;
    return n.Output(n.input(i));
  }
  n.DeadOutput(0);
  return OkStatus();
}

Status FillLike(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  return n.Output(
      b.Broadcast(b.Scalar(x->element(), n.op().name == "OnesLike" ? 1 : 0), x->shape()));
}

}  // namespace

std::vector<TensorflowOp> SourceOps() {
  std::vector<TensorflowOp> ops;
  ops.push_back({.name = "Const", .handler = Const, .inputs = {0, 0}});
  ops.push_back({.name = "Placeholder", .handler = Placeholder, .inputs = {0, 0}});
  ops.push_back({.name = "PlaceholderWithDefault",
                 .handler = PlaceholderWithDefault,
                 .limits = "single values are taken as given"});
  for (const char* const name : {"Identity", "StopGradient", "PreventGradient", "CheckNumerics",
                                 "Snapshot", "ReadVariableOp", "EnsureShape"}) {
    ops.push_back({.name = name, .handler = PassFirst});
  }
  ops.push_back(
      {.name = "IdentityN", .handler = Identity, .inputs = {1, kAny}, .outputs = {"output"}});
  for (const char* const name : {"VarHandleOp", "VariableV2", "Variable"}) {
    ops.push_back({.name = name,
                   .handler = Variable,
                   .inputs = {0, 0},
                   .limits = "with a value in the checkpoint"});
  }
  ops.push_back({.name = "Switch",
                 .handler = Switch,
                 .inputs = {2, 2},
                 .outputs = {"output_false", "output_true"},
                 .limits = "known condition"});
  ops.push_back({.name = "Merge",
                 .handler = Merge,
                 .inputs = {1, kAny},
                 .outputs = {"output", "value_index"}});
  for (const char* const name : {"ZerosLike", "OnesLike"}) {
    ops.push_back({.name = name, .handler = FillLike});
  }
  return ops;
}

}  // namespace kiln::tensorflow_import
