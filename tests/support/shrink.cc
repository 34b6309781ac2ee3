#include "tests/support/shrink.h"

#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <vector>

#include "ir/graph/builder.h"
#include "ir/graph/op_def.h"

namespace kiln {

namespace {

// A new module in terms of the ops of an old one.
struct Edits {
  std::vector<Graph::Output> outputs;
  const Op* to_input = nullptr;  ///< becomes an input
  const Op* bypassed = nullptr;  ///< replaced by `replacement`, an operand of the same type
  Op* replacement = nullptr;

  Op* Resolve(Op* op) const { return op == bypassed ? replacement : op; }
};

void CopyParameters(const Op& op, Module& to) {
  if (op.Is("parameter")) to.SetParameter(*op.graph()->module()->FindParameter(op.String("name")));
  if (op.body() == nullptr) return;
  for (const auto& inner : op.body()->ops()) CopyParameters(*inner, to);
}

class Rebuilder {
 public:
  Rebuilder(const Module& module, const Edits& edits)
      : from_(*module.functions()[0]), edits_(edits), module_(std::make_unique<Module>()) {
    module_->name = module.name;
    module_->metadata = module.metadata;
  }

  std::unique_ptr<Module> Run() {
    FindNeeded();
    Graph* const to = module_->AddFunction(from_.name());
    for (const auto& op : from_.ops()) {
      if (needed_.contains(op.get())) Copy(*op, to);
    }
    for (const Graph::Output& output : edits_.outputs) {
      to->AddOutput(output.name, copies_.at(edits_.Resolve(output.value)));
    }
    std::erase_if(module_->metadata, [&](const auto& entry) {
      return entry.first.starts_with("range ") && !public_names_.contains(entry.first.substr(6));
    });
    return std::move(module_);
  }

 private:
  void FindNeeded() {
    for (const Graph::Output& output : edits_.outputs) {
      needed_.insert(edits_.Resolve(output.value));
    }
    for (auto it = from_.ops().rbegin(); it != from_.ops().rend(); ++it) {
      if (!needed_.contains(it->get()) || it->get() == edits_.to_input) continue;
      for (Op* const operand : (*it)->operands()) needed_.insert(edits_.Resolve(operand));
    }
  }

  // A valid op copied with operands of the same types is valid, so nothing here can fail.
  void Copy(const Op& op, Graph* to) {
    Builder builder(to);
    if (op.Is("input") || &op == edits_.to_input) {
      builder.SetNameHint(op.name());
      copies_[&op] = *builder.Input(PublicName(op), op.type());
      return;
    }
    CopyParameters(op, *module_);
    std::vector<Op*> operands;
    for (Op* const operand : op.operands()) operands.push_back(copies_.at(edits_.Resolve(operand)));
    copies_[&op] = *builder.CloneOp(op, operands);
  }

  std::string PublicName(const Op& op) {
    std::string name = op.Is("input") ? op.sources()[0] : "cut." + op.name();
    while (!public_names_.insert(name).second) name += "_";
    return name;
  }

  const Graph& from_;
  const Edits& edits_;
  std::unique_ptr<Module> module_;
  std::set<const Op*> needed_;
  std::set<std::string> public_names_;
  std::map<const Op*, Op*> copies_;
};

std::unique_ptr<Module> Rebuild(const Module& module, const Edits& edits) {
  return Rebuilder(module, edits).Run();
}

// What must shrink with every step: ops that compute, outputs, all ops.
std::tuple<int, size_t, size_t> Size(const Module& module) {
  const Graph& graph = *module.functions()[0];
  int computing = 0;
  for (const auto& op : graph.ops()) computing += !op->HasTrait(kLeaf);
  return {computing, graph.outputs().size(), graph.ops().size()};
}

// Every single step from `graph`, the boldest first.
std::vector<Edits> Steps(const Graph& graph) {
  std::vector<Edits> steps;
  for (const auto& op : graph.ops()) steps.push_back({{{"y", op.get()}}});
  for (size_t i = 0; i < graph.outputs().size(); ++i) {
    std::vector<Graph::Output> fewer = graph.outputs();
    fewer.erase(fewer.begin() + static_cast<int64_t>(i));
    steps.push_back({fewer});
    for (Op* const operand : graph.outputs()[i].value->operands()) {
      steps.push_back({graph.outputs()});
      steps.back().outputs[i].value = operand;
    }
  }
  for (const auto& op : graph.ops()) {
    if (!op->Is("input")) steps.push_back({graph.outputs(), op.get()});
  }
  for (const auto& op : graph.ops()) {
    for (Op* const operand : op->operands()) {
      if (operand->type() != op->type()) continue;
      steps.push_back({graph.outputs(), nullptr, op.get(), operand});
    }
  }
  return steps;
}

// The first smaller module that still fails.
std::unique_ptr<Module> Smaller(const Module& module, const Fails& fails) {
  for (const Edits& step : Steps(*module.functions()[0])) {
    auto candidate = Rebuild(module, step);
    if (Size(*candidate) < Size(module) && fails(*candidate)) return candidate;
  }
  return nullptr;
}

}  // namespace

std::unique_ptr<Module> WithoutUnused(const Module& module) {
  return Rebuild(module, {module.functions()[0]->outputs()});
}

std::unique_ptr<Module> Shrink(const Module& module, const Fails& fails) {
  std::unique_ptr<Module> current = WithoutUnused(module);
  if (!fails(*current)) return module.Clone();
  while (auto smaller = Smaller(*current, fails)) current = std::move(smaller);
  return current;
}

}  // namespace kiln
