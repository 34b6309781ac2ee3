#include "compiler/import/foreign/values.h"

#include <set>
#include <vector>

namespace kiln::foreign {

std::string UniqueParameterName(const Module& module, const std::string& name) {
  std::string unique = name;
  for (int i = 1; module.FindParameter(unique) != nullptr; ++i) unique = StrCat(name, "_", i);
  return unique;
}

void EraseUnused(Graph* graph) {
  graph->EraseDeadOps();
  Module* const module = graph->module();
  std::set<std::string> used;
  for (const auto& op : graph->ops()) {
    if (op->Is("parameter")) used.insert(op->String("name"));
  }
  std::vector<std::string> unused;
  for (const auto& [name, parameter] : module->parameters()) {
    if (!used.contains(name)) unused.push_back(name);
  }
  for (const std::string& name : unused) module->EraseParameter(name);
}

StatusOr<Shape> InputShape(const std::string& name, const std::optional<Shape>& declared,
                           const ImportOptions& options) {
  const auto given = options.input_shapes.find(name);
  if (given == options.input_shapes.end()) {
    if (!declared) return InvalidInput("the input's shape is open; give it");
    Shape shape = *declared;
    for (size_t d = 0; d < shape.size(); ++d) {
      if (shape[d] >= 0) continue;
      if (d > 0 || !options.batch) {
        return InvalidInput("dimension ", static_cast<int64_t>(d),
                            " of the input's shape is open; give it");
      }
      shape[d] = *options.batch;
    }
    return shape;
  }
  const Shape& shape = given->second;
  if (!declared) return shape;
  if (shape.size() != declared->size()) {
    return InvalidInput("the shape given, ", FormatInts(shape), ", must have ",
                        static_cast<int64_t>(declared->size()), " dimensions");
  }
  for (size_t d = 0; d < shape.size(); ++d) {
    if ((*declared)[d] < 0 || (*declared)[d] == shape[d]) continue;
    return InvalidInput("the shape given, ", FormatInts(shape), ", must have ", (*declared)[d],
                        " in dimension ", static_cast<int64_t>(d));
  }
  return shape;
}

void Values::BeginNode(const std::string& label, const std::string& result) {
  part_ = SsaName(result + ".part");
  builder_.SetSources({Printable(label)});
  builder_.SetNameHint(part_);
}

Status Values::CheckSize() const {
  constexpr size_t kMaxOps = 1'000'000;
  if (builder_.graph()->ops().size() <= kMaxOps) return OkStatus();
  return Unsupported("the model becomes more than ", static_cast<uint64_t>(kMaxOps), " ops");
}

bool Values::IsPoisoned(const std::string& name) const {
  const auto it = values_.find(name);
  return it != values_.end() && it->second.kind == Kind::kPoisoned;
}

void Values::Set(const std::string& name, Op* op) {
  // Not when the node passes on an op that stands for another value.
  if (!part_.empty() && op->name().starts_with(part_)) builder_.Rename(op, SsaName(name));
  values_[name] = {Kind::kOp, op, {}, true};
}

void Values::SetParameter(const std::string& name, Tensor tensor, bool trainable) {
  values_[name] = {Kind::kParameter, nullptr, std::move(tensor), trainable};
}

void Values::SetConstant(const std::string& name, Tensor tensor) {
  values_[name] = {Kind::kConstant, nullptr, std::move(tensor), false};
}

void Values::Poison(const std::string& name) { values_[name] = {}; }

Status Values::SetInput(const std::string& name, const TensorType& type) {
  KILN_RETURN_IF_ERROR(CheckedByteSize(type).status());
  part_.clear();
  builder_.SetNameHint("");
  KILN_ASSIGN_OR_RETURN(Op* const op, builder_.Input(name, type));
  Set(name, op);
  return OkStatus();
}

StatusOr<Values::Value*> Values::Find(const std::string& name) {
  const auto it = values_.find(name);
  if (it == values_.end()) {
    return InvalidInput("value '", Printable(name), "' is not defined");
  }
  if (it->second.kind == Kind::kPoisoned) {
    return InternalError("value '", Printable(name), "' is used after it failed");
  }
  return &it->second;
}

StatusOr<Op*> Values::Get(const std::string& name) {
  KILN_ASSIGN_OR_RETURN(Value* const value, Find(name));
  if (value->op != nullptr) return value->op;
  if (value->kind == Kind::kConstant) {
    KILN_ASSIGN_OR_RETURN(value->op, builder_.Constant(value->tensor));
    builder_.Rename(value->op, SsaName(name));
    return value->op;
  }
  Module* const module = builder_.graph()->module();
  Parameter parameter{UniqueParameterName(*module, name), value->tensor, value->trainable};
  module->SetParameter(parameter);
  KILN_ASSIGN_OR_RETURN(value->op, builder_.Parameter(parameter.name));
  builder_.Rename(value->op, SsaName(parameter.name));
  return value->op;
}

StatusOr<TensorType> Values::TypeOf(const std::string& name) {
  KILN_ASSIGN_OR_RETURN(const Value* const value, Find(name));
  return value->op != nullptr ? value->op->type() : value->tensor.type();
}

StatusOr<Tensor> Values::Known(const std::string& name) {
  KILN_ASSIGN_OR_RETURN(const Value* const value, Find(name));
  if (value->kind == Kind::kOp) return Known(value->op);
  if (!value->tensor.known()) return Unsupported("is a weight that the model lacks");
  return value->tensor;
}

std::optional<Tensor> Values::IfConstant(const std::string& name) {
  const auto value = Find(name);
  if (!value.ok()) return std::nullopt;
  if ((*value)->kind != Kind::kOp) {
    if (!(*value)->tensor.known()) return std::nullopt;
    return (*value)->tensor;
  }
  auto known = known_values_.Find((*value)->op, KnownValues::Inputs::kIgnore);
  if (!known.ok()) return std::nullopt;
  return *std::move(known);
}

void Values::Freeze(const std::string& name) {
  const auto it = values_.find(name);
  if (it == values_.end()) return;
  it->second.trainable = false;
  const Op* const op = it->second.op;
  if (op == nullptr || !op->Is("parameter")) return;
  Module* const module = builder_.graph()->module();
  Parameter parameter = *module->FindParameter(op->String("name"));
  parameter.trainable = false;
  module->SetParameter(std::move(parameter));
}

}  // namespace kiln::foreign
