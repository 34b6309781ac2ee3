#include "ir/graph/builder.h"

#include <algorithm>

#include "ir/graph/op_def.h"
#include "ir/graph/op_error.h"

namespace kiln {

namespace {

Status CheckOperands(const OpDef& def, size_t count) {
  const bool variadic = !def.operands.empty() && def.operands.back().variadic;
  if (variadic ? count < def.operands.size() : count != def.operands.size()) {
    return InvalidInput(def.name, ": expected ", variadic ? "at least " : "", def.operands.size(),
                        " operands, found ", count);
  }
  return OkStatus();
}

Status CompleteAttributes(const OpDef& def, AttributeMap& attributes) {
  for (const auto& [name, value] : attributes) {
    const auto it = std::find_if(def.attributes.begin(), def.attributes.end(),
                                 [&](const AttributeDef& a) { return a.name == name; });
    if (it == def.attributes.end()) {
      return InvalidInput(def.name, ": has no attribute '", name, "'");
    }
    if (it->kind != value.kind()) {
      return InvalidInput(def.name, ": attribute '", name, "' must be of kind ",
                          std::string(Name(it->kind)), ", found ", std::string(Name(value.kind())));
    }
  }
  for (const AttributeDef& attribute : def.attributes) {
    if (attributes.contains(attribute.name)) continue;
    if (!attribute.default_value) {
      return InvalidInput(def.name, ": attribute '", attribute.name, "' is missing");
    }
    attributes.emplace(attribute.name, *attribute.default_value);
  }
  return OkStatus();
}

}  // namespace

std::string SsaName(const std::string& hint) {
  std::string name;
  for (const char c : hint) {
    const bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '_' || c == '.' || c == '-' || c == '/';
    name += ok ? c : '_';
  }
  return name.empty() ? "v" : name;
}

void Builder::Rename(Op* op, const std::string& name) {
  graph_->names_.erase(op->name_);
  op->name_ = graph_->UniqueName(SsaName(name));
}

StatusOr<Op*> Builder::Make(std::string_view kind, const std::vector<StatusOr<Op*>>& operands,
                            AttributeMap attributes) {
  const OpDef* const def = FindOp(kind);
  if (def == nullptr) return InvalidInput("there is no op '", std::string(kind), "'");
  if (def->traits & kRegion) return InvalidInput(def->name, ": a body is missing");
  if (def->name == "input") return InvalidInput("input: is made by Builder::Input only");
  KILN_RETURN_IF_ERROR(CheckOperands(*def, operands.size()));
  std::unique_ptr<Op> op(new Op);
  op->def_ = def;
  for (const StatusOr<Op*>& operand : operands) {
    if (!operand.ok()) return operand.status();
    op->operands_.push_back(*operand);
  }
  KILN_RETURN_IF_ERROR(CompleteAttributes(*def, attributes));
  op->attributes_ = std::move(attributes);
  return Finish(std::move(op));
}

StatusOr<Op*> Builder::MakeRegion(std::string_view kind, const std::vector<Op*>& operands,
                                  std::unique_ptr<Graph> body, AttributeMap attributes) {
  const OpDef* const def = FindOp(kind);
  if (def == nullptr || !(def->traits & kRegion)) {
    return InvalidInput("there is no region op '", std::string(kind), "'");
  }
  if (body->inputs().size() != operands.size() || body->outputs().size() != 1) {
    return InvalidInput(def->name, ": the body must have ", operands.size(),
                        " inputs and one output");
  }
  KILN_RETURN_IF_ERROR(CheckOperands(*def, operands.size()));
  std::unique_ptr<Op> op(new Op);
  op->def_ = def;
  op->operands_ = operands;
  KILN_RETURN_IF_ERROR(CompleteAttributes(*def, attributes));
  op->attributes_ = std::move(attributes);
  op->body_ = std::move(body);
  return Finish(std::move(op));
}

StatusOr<Op*> Builder::Finish(std::unique_ptr<Op> op) {
  op->graph_ = graph_;
  KILN_ASSIGN_OR_RETURN(op->type_, op->def_->infer(*op));
  KILN_RETURN_IF_ERROR(CheckedByteSize(op->type_).status());
  op->sources_ = sources_;
  op->name_ = graph_->UniqueName(SsaName(hint_.empty() ? op->def_->name : hint_));
  for (Op* const operand : op->operands_) operand->users_.push_back(op.get());
  Op* const result = op.get();
  const auto position = before_ ? before_->position_ : graph_->ops_.end();
  result->position_ = graph_->ops_.insert(position, std::move(op));
  return result;
}

StatusOr<Op*> Builder::Input(const std::string& name, TensorType type) {
  KILN_RETURN_IF_ERROR(CheckedByteSize(type).status());
  std::unique_ptr<Op> op(new Op);
  op->def_ = FindOp("input");
  op->graph_ = graph_;
  op->type_ = std::move(type);
  op->sources_ = {name};
  op->name_ = graph_->UniqueName(SsaName(hint_.empty() ? name : hint_));
  Op* const result = op.get();
  // Inputs stand first, in the order they were made.
  const auto position =
      graph_->inputs_.empty() ? graph_->ops_.begin() : std::next(graph_->inputs_.back()->position_);
  result->position_ = graph_->ops_.insert(position, std::move(op));
  graph_->inputs_.push_back(result);
  return result;
}

StatusOr<Op*> Builder::Parameter(const std::string& name) {
  return Make("parameter", {}, {{"name", name}});
}

StatusOr<Op*> Builder::Constant(Tensor value) {
  return Make("constant", {}, {{"value", std::move(value)}});
}

StatusOr<Op*> Builder::Scalar(ElementType element, double value) {
  return Constant(Tensor::FromDoubles(element, {}, {value}));
}

StatusOr<Op*> Builder::Reshape(StatusOr<Op*> x, Shape shape) {
  if (x.ok() && (*x)->shape() == shape) return x;
  return Make("reshape", {x}, {{"shape", std::move(shape)}});
}

StatusOr<Op*> Builder::Transpose(StatusOr<Op*> x, std::vector<int64_t> permutation) {
  return Make("transpose", {x}, {{"perm", std::move(permutation)}});
}

StatusOr<Op*> Builder::Cast(StatusOr<Op*> x, ElementType to) {
  if (x.ok() && (*x)->element() == to) return x;
  return Make("cast", {x}, {{"to", to}});
}

StatusOr<Op*> Builder::Broadcast(StatusOr<Op*> x, Shape shape) {
  if (x.ok() && (*x)->shape() == shape) return x;
  return Make("broadcast", {x}, {{"shape", std::move(shape)}});
}

StatusOr<Op*> Builder::MulScalar(StatusOr<Op*> x, double scalar) {
  if (!x.ok()) return x;
  return Mul(x, Scalar((*x)->element(), scalar));
}

StatusOr<Op*> Builder::AddScalar(StatusOr<Op*> x, double scalar) {
  if (!x.ok()) return x;
  return Add(x, Scalar((*x)->element(), scalar));
}

StatusOr<Op*> Builder::CloneOp(const Op& op, const std::vector<Op*>& operands) {
  std::unique_ptr<Op> copy(new Op);
  copy->def_ = op.def_;
  copy->operands_ = operands;
  copy->attributes_ = op.attributes_;
  if (op.body()) copy->body_ = CloneGraph(*op.body(), graph_->module(), op.body()->name());
  const std::string saved = std::exchange(hint_, op.name());
  auto result = Finish(std::move(copy));
  hint_ = saved;
  if (!result.ok()) return result;
  (*result)->AddSources(op.sources());
  (*result)->SetLayout(op.type().layout);
  return result;
}

// Ops and outputs of `from`, into the empty graph `to`.
void CopyOps(const Graph& from, Graph& to) {
  std::map<const Op*, Op*> mapped;
  Builder builder(&to);
  for (const auto& op : from.ops()) {
    if (op->Is("input")) {
      // The original passed the same checks, so making the copy cannot fail.
      Op* const input = *builder.Input(op->name(), op->type());
      input->sources_ = op->sources_;
      mapped[op.get()] = input;
      continue;
    }
    std::vector<Op*> operands;
    for (const Op* const operand : op->operands()) operands.push_back(mapped.at(operand));
    mapped[op.get()] = *builder.CloneOp(*op, operands);
  }
  for (const Graph::Output& output : from.outputs()) {
    Op* const value = mapped.at(output.value);
    output.update ? to.AddUpdate(output.name, value) : to.AddOutput(output.name, value);
  }
}

std::unique_ptr<Graph> CloneGraph(const Graph& graph, Module* module, std::string name) {
  auto copy = std::make_unique<Graph>(module, std::move(name));
  CopyOps(graph, *copy);
  return copy;
}

Graph* CloneFunction(const Graph& graph, Module& module, std::string name) {
  Graph* const copy = module.AddFunction(std::move(name));
  CopyOps(graph, *copy);
  return copy;
}

}  // namespace kiln
