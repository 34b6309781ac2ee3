#include "ir/graph/graph.h"

#include <algorithm>

#include "ir/graph/builder.h"
#include "ir/graph/op_def.h"
#include "ir/graph/op_error.h"

namespace kiln {

const std::string& Op::kind() const { return def_->name; }

bool Op::HasTrait(uint32_t trait) const { return (def_->traits & trait) != 0; }

void Op::AddSources(const std::vector<std::string>& names) {
  // One constant may serve thousands of layers, whose names tell nothing then.
  constexpr size_t kMostSources = 100;
  for (const std::string& name : names) {
    if (sources_.size() >= kMostSources) return;
    if (std::find(sources_.begin(), sources_.end(), name) == sources_.end()) {
      sources_.push_back(name);
    }
  }
}

void Op::SetOperand(size_t i, Op* operand) {
  auto& old_users = operands_[i]->users_;
  old_users.erase(std::find(old_users.begin(), old_users.end(), this));
  operands_[i] = operand;
  operand->users_.push_back(this);
}

std::string OperandTypes(const Op& op) {
  std::string text = "(";
  for (size_t i = 0; i < op.operands().size(); ++i) {
    text += StrCat(i ? ", " : "", op.operand(i)->type().ToString());
  }
  return text + ")";
}

std::vector<Op*> Graph::Snapshot() const {
  std::vector<Op*> ops;
  ops.reserve(ops_.size());
  for (const auto& op : ops_) ops.push_back(op.get());
  return ops;
}

void Graph::Append(Output output) {
  ++output.value->outputs_;
  outputs_.push_back(std::move(output));
}

void Graph::EraseOutput(size_t i) {
  --outputs_[i].value->outputs_;
  outputs_.erase(outputs_.begin() + static_cast<ptrdiff_t>(i));
}

void Graph::SetOutput(size_t i, Op* value) {
  --outputs_[i].value->outputs_;
  ++value->outputs_;
  outputs_[i].value = value;
}

void Graph::ReplaceAllUses(Op* from, Op* to) {
  if (from == to) return;
  to->AddSources(from->sources_);
  for (Op* const user : from->users_) {
    for (Op*& operand : user->operands_) {
      if (operand == from) {
        operand = to;
        to->users_.push_back(user);
        break;  // users_ names the user once per slot
      }
    }
  }
  from->users_.clear();
  for (size_t i = 0; from->outputs_ != 0 && i < outputs_.size(); ++i) {
    if (outputs_[i].value == from) SetOutput(i, to);
  }
}

void Graph::Erase(Op* op) {
  for (Op* const operand : op->operands_) {
    auto& users = operand->users_;
    users.erase(std::find(users.begin(), users.end(), op));
  }
  names_.erase(op->name_);
  ops_.erase(op->position_);
}

int Graph::EraseDeadOps() {
  int erased = 0;
  for (auto it = ops_.end(); it != ops_.begin();) {
    Op* const op = std::prev(it)->get();
    if (op->users_.empty() && !IsOutput(op) && !op->Is("input")) {
      Erase(op);
      ++erased;
    } else {
      --it;
    }
  }
  return erased;
}

std::string Graph::UniqueName(const std::string& hint) {
  const auto [it, inserted] = names_.emplace(hint, 0);
  if (inserted) return hint;
  while (true) {
    std::string name = StrCat(hint, "_", ++it->second);
    if (names_.emplace(name, 0).second) return name;
  }
}

Graph* Module::AddFunction(std::string function_name) {
  functions_.push_back(std::make_unique<Graph>(this, std::move(function_name)));
  return functions_.back().get();
}

Graph* Module::FindFunction(std::string_view function_name) const {
  for (const auto& function : functions_) {
    if (function->name() == function_name) return function.get();
  }
  return nullptr;
}

void Module::EraseFunction(std::string_view name) {
  std::erase_if(functions_, [&](const auto& function) { return function->name() == name; });
}

void Module::SetParameter(Parameter parameter) {
  std::string key = parameter.name;
  parameters_.insert_or_assign(std::move(key), std::move(parameter));
}

const Parameter* Module::FindParameter(std::string_view parameter_name) const {
  const auto it = parameters_.find(parameter_name);
  return it == parameters_.end() ? nullptr : &it->second;
}

void Module::EraseParameter(std::string_view parameter_name) {
  const auto it = parameters_.find(parameter_name);
  if (it != parameters_.end()) parameters_.erase(it);
}

std::unique_ptr<Module> Module::Clone() const {
  auto copy = std::make_unique<Module>();
  copy->name = name;
  copy->metadata = metadata;
  copy->parameters_ = parameters_;
  for (const auto& function : functions_) {
    copy->functions_.push_back(CloneGraph(*function, copy.get(), function->name()));
  }
  return copy;
}

Status CheckUpdate(const Module& module, const Graph::Output& output) {
  const Parameter* const parameter = module.FindParameter(output.name);
  if (parameter == nullptr) {
    return InvalidInput("the module has no parameter '", output.name, "' to update");
  }
  const TensorType& expected = parameter->value.type();
  if (output.value->element() == expected.element && output.value->shape() == expected.shape) {
    return OkStatus();
  }
  return InvalidInput("parameter '", output.name, "' is ", expected.ToString(),
                      ", and its update is ", output.value->type().ToString());
}

}  // namespace kiln
