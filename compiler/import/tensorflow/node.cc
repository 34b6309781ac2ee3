#include "compiler/import/tensorflow/node.h"

#include "compiler/import/tensorflow/graph_importer.h"
#include "compiler/import/tensorflow/tensor.h"

namespace kiln::tensorflow_import {

namespace {

const tensorflow::AttrValue* FindAttribute(const FlatNode& node, const std::string& name) {
  const auto it = node.attributes->find(name);
  return it == node.attributes->end() ? nullptr : &it->second;
}

}  // namespace

Status PromoteHalves(Builder& b, std::vector<Op*>& operands) {
  std::optional<ElementType> wide;
  for (const Op* const op : operands) {
    if (op->element() == ElementType::kF32 || op->element() == ElementType::kF64) {
      wide = op->element();
    }
  }
  if (!wide) return OkStatus();
  for (Op*& op : operands) {
    if (op->element() != ElementType::kF16) continue;
    KILN_ASSIGN_OR_RETURN(op, b.Cast(op, *wide));
  }
  return OkStatus();
}

std::string StringAttribute(const FlatNode& node, const std::string& name,
                            const std::string& otherwise) {
  const tensorflow::AttrValue* const attribute = FindAttribute(node, name);
  return attribute == nullptr ? otherwise : attribute->s();
}

std::vector<int64_t> IntsAttribute(const FlatNode& node, const std::string& name) {
  const tensorflow::AttrValue* const attribute = FindAttribute(node, name);
  if (attribute == nullptr) return {};
  return {attribute->list().i().begin(), attribute->list().i().end()};
}

Values& Node::values() { return importer_->values(); }
Builder& Node::builder() { return importer_->values().builder(); }

std::string Node::input_name(int i) const {
  return importer_->graph().Resolve(node_.inputs[i]).ToString();
}

const FlatNode* Node::Producer(int i) const {
  return Has(i) ? importer_->graph().Find(importer_->graph().Resolve(node_.inputs[i]).node)
                : nullptr;
}

StatusOr<Op*> Node::input(int i) {
  if (!Has(i)) return InvalidInput("input ", i, " is missing");
  return values().Get(input_name(i));
}

StatusOr<std::vector<Op*>> Node::inputs(int first, int count) {
  std::vector<Op*> ops;
  for (int i = first; i < first + count; ++i) {
    KILN_ASSIGN_OR_RETURN(Op* const op, input(i));
    ops.push_back(op);
  }
  return ops;
}

StatusOr<Tensor> Node::Known(int i) {
  if (!Has(i)) return InvalidInput("input ", i, " is missing");
  auto value = values().Known(input_name(i));
  if (value.ok()) return value;
  return Unsupported("input '", Printable(input_name(i)), "' must be known when compiling; it ",
                     Message(value.status()));
}

StatusOr<std::vector<int64_t>> Node::KnownInts(int i) {
  constexpr int64_t kMaxInts = 4096;  // shapes, axes, bounds: one per dimension
  KILN_ASSIGN_OR_RETURN(const Tensor value, Known(i));
  if (!IsInteger(value.type().element) || value.type().count() > kMaxInts) {
    return InvalidInput("input '", Printable(input_name(i)), "' must be a list of integers, found ",
                        value.type().ToString());
  }
  return value.ToInts();
}

StatusOr<int64_t> Node::KnownInt(int i) {
  KILN_ASSIGN_OR_RETURN(const auto values, KnownInts(i));
  if (values.size() == 1) return values[0];
  return InvalidInput("input '", Printable(input_name(i)), "' must be one integer");
}

const tensorflow::AttrValue* Node::Find(const std::string& name) const {
  return FindAttribute(node_, name);
}

int64_t Node::Int(const std::string& name, int64_t otherwise) const {
  const auto* const attribute = Find(name);
  return attribute == nullptr ? otherwise : attribute->i();
}

double Node::Float(const std::string& name, double otherwise) const {
  const auto* const attribute = Find(name);
  return attribute == nullptr ? otherwise : attribute->f();
}

bool Node::Bool(const std::string& name, bool otherwise) const {
  const auto* const attribute = Find(name);
  return attribute == nullptr ? otherwise : attribute->b();
}

std::string Node::String(const std::string& name, const std::string& otherwise) const {
  return StringAttribute(node_, name, otherwise);
}

std::vector<int64_t> Node::Ints(const std::string& name) const {
  return IntsAttribute(node_, name);
}

StatusOr<ElementType> Node::Type(const std::string& name) const {
  const auto* const attribute = Find(name);
  if (attribute == nullptr) return InvalidInput("attribute '", name, "' is missing");
  return ToElementType(attribute->type());
}

Status Node::Output(int i, const StatusOr<Op*>& value) {
  KILN_RETURN_IF_ERROR(value.status());
  values().Set(output_name(i), *value);
  return OkStatus();
}

Status Node::ConstantOutput(Tensor value) {
  if (IsFloat(value.type().element) && value.type().rank() > 0) {
    values().SetParameter(output_name(0), std::move(value));
  } else {
    values().SetConstant(output_name(0), std::move(value));
  }
  return OkStatus();
}

void Node::DeadOutput(int i) { importer_->MarkDead(output_name(i)); }

}  // namespace kiln::tensorflow_import
