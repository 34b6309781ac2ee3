#include "compiler/import/onnx/node.h"

#include <algorithm>

#include "compiler/import/onnx/graph_importer.h"
#include "compiler/import/onnx/tensor.h"

namespace kiln::onnx_import {

using onnx::AttributeProto;

Node::Node(GraphImporter* importer, Scope* scope, const onnx::NodeProto& proto, const OnnxOp& op,
           int opset)
    : importer_(importer), scope_(scope), proto_(proto), op_(op), opset_(opset) {}

Builder& Node::builder() { return importer_->builder(); }

bool Node::Has(int i) const { return i < proto_.input_size() && !proto_.input(i).empty(); }

StatusOr<Op*> Node::operand(int i) {
  if (!Has(i)) return InvalidInput("operand ", i, " is missing");
  return importer_->ToOp(scope_->Find(proto_.input(i)));
}

StatusOr<std::vector<Op*>> Node::operands() {
  std::vector<Op*> ops;
  for (int i = 0; i < num_operands(); ++i) {
    KILN_ASSIGN_OR_RETURN(Op* const op, operand(i));
    ops.push_back(op);
  }
  return ops;
}

Value* Node::value(int i) { return scope_->Find(proto_.input(i)); }

StatusOr<std::vector<Op*>> Node::Sequence(int i) {
  if (!Has(i)) return InvalidInput("operand ", i, " is missing");
  if (!value(i)->is_sequence()) return InvalidInput("operand ", i, " must be a sequence");
  return value(i)->elements;
}

StatusOr<TensorType> Node::OperandType(int i) {
  if (!Has(i)) return InvalidInput("operand ", i, " is missing");
  KILN_RETURN_IF_ERROR(value(i)->CheckTensor());
  return value(i)->type();
}

const NarrowType* Node::Narrow(int i) { return Has(i) ? value(i)->narrow : nullptr; }

StatusOr<Tensor> Node::Known(int i, const std::string& name) {
  if (!Has(i)) return InvalidInput("operand '", name, "' is missing");
  auto value = importer_->ValueOf(*scope_->Find(proto_.input(i)), KnownValues::Inputs::kUse);
  if (value.ok()) return value;
  return Unsupported("operand '", name, "' must be known when compiling; it ",
                     Message(value.status()));
}

StatusOr<std::vector<int64_t>> Node::KnownInts(int i, const std::string& name) {
  constexpr int64_t kMaxInts = 4096;  // shapes, axes, bounds: one per dimension
  KILN_ASSIGN_OR_RETURN(const Tensor value, Known(i, name));
  if (!IsInteger(value.type().element) || value.type().rank() > 1 ||
      value.type().count() > kMaxInts) {
    return InvalidInput("operand '", name, "' must be a list of integers, found ",
                        value.type().ToString());
  }
  return value.ToInts();
}

StatusOr<int64_t> Node::KnownInt(int i, const std::string& name) {
  KILN_ASSIGN_OR_RETURN(const auto values, KnownInts(i, name));
  if (values.size() == 1) return values[0];
  return InvalidInput("operand '", name, "' must be one integer, found ",
                      static_cast<int64_t>(values.size()));
}

StatusOr<double> Node::KnownDouble(int i, const std::string& name) {
  KILN_ASSIGN_OR_RETURN(const Tensor value, Known(i, name));
  if (value.type().count() == 1) return value.GetDouble(0);
  return InvalidInput("operand '", name, "' must be one number, found ", value.type().ToString());
}

std::optional<Tensor> Node::IfConstant(int i) {
  if (!Has(i)) return std::nullopt;
  auto value = importer_->ValueOf(*scope_->Find(proto_.input(i)), KnownValues::Inputs::kIgnore);
  if (!value.ok()) return std::nullopt;
  return *std::move(value);
}

void Node::Freeze(int i) {
  if (Has(i)) importer_->Freeze(*scope_->Find(proto_.input(i)));
}

const AttributeProto* Node::Find(const std::string& name) const {
  for (const AttributeProto& attribute : proto_.attribute()) {
    if (attribute.name() == name) return &attribute;
  }
  return nullptr;
}

int64_t Node::Int(const std::string& name, int64_t default_value) const {
  const AttributeProto* const attribute = Find(name);
  return attribute ? attribute->i() : default_value;
}

double Node::Float(const std::string& name, double default_value) const {
  const AttributeProto* const attribute = Find(name);
  return attribute ? attribute->f() : default_value;
}

std::string Node::String(const std::string& name, const std::string& default_value) const {
  const AttributeProto* const attribute = Find(name);
  return attribute ? attribute->s() : default_value;
}

std::vector<int64_t> Node::Ints(const std::string& name) const {
  const AttributeProto* const attribute = Find(name);
  if (attribute == nullptr) return {};
  return {attribute->ints().begin(), attribute->ints().end()};
}

std::vector<double> Node::Floats(const std::string& name) const {
  const AttributeProto* const attribute = Find(name);
  if (attribute == nullptr) return {};
  return {attribute->floats().begin(), attribute->floats().end()};
}

std::vector<std::string> Node::Strings(const std::string& name) const {
  const AttributeProto* const attribute = Find(name);
  if (attribute == nullptr) return {};
  return {attribute->strings().begin(), attribute->strings().end()};
}

StatusOr<Tensor> Node::TensorAttribute(const std::string& name) const {
  onnx::TensorProto copy = Find(name)->t();
  return ToTensor(&copy, &importer_->external_data());
}

StatusOr<ElementType> Node::TypeAttribute(const std::string& name,
                                          ElementType default_value) const {
  const AttributeProto* const attribute = Find(name);
  if (attribute == nullptr || attribute->i() == 0) return default_value;
  if (attribute->i() < 0 || attribute->i() > 1000) {
    return InvalidInput("attribute '", name, "': element type ", attribute->i(), " does not exist");
  }
  return ToElementType(static_cast<int>(attribute->i()));
}

const NarrowType* Node::NarrowAttribute(const std::string& name) const {
  const int64_t type = Int(name);
  return type > 0 && type < 1000 ? FindNarrowType(static_cast<int>(type)) : nullptr;
}

void Node::Rename() { importer_->NameOps(proto_); }

bool Node::Wants(int i) const { return i < proto_.output_size() && !proto_.output(i).empty(); }

Status Node::Result(int i, const StatusOr<Op*>& value, const NarrowType* narrow) {
  KILN_RETURN_IF_ERROR(value.status());
  if (Wants(i)) scope_->Define(proto_.output(i), Value::FromOp(*value, narrow));
  return OkStatus();
}

void Node::Define(int i, Value value) {
  if (Wants(i)) scope_->Define(proto_.output(i), std::move(value));
}

void Node::Poison(int i) { Define(i, Value()); }

void Node::PoisonAll() {
  for (int i = 0; i < num_results(); ++i) Poison(i);
}

Status Node::ConstantResult(Tensor value, const NarrowType* narrow) {
  if (Wants(0)) {
    scope_->Define(proto_.output(0), Value::Constant(proto_.output(0), std::move(value), narrow));
  }
  return OkStatus();
}

StatusOr<Op*> Node::Make(std::string_view kind, const std::vector<StatusOr<Op*>>& operands,
                         AttributeMap attributes) {
  return builder().Make(kind, operands, std::move(attributes));
}

}  // namespace kiln::onnx_import
