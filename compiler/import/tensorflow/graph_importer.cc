#include "compiler/import/tensorflow/graph_importer.h"

#include <algorithm>

#include "compiler/import/tensorflow/node.h"
#include "compiler/import/tensorflow/op_table.h"

namespace kiln::tensorflow_import {

namespace {

// Results that a poisoned node might have.
constexpr int kPoisonedOutputs = 8;

}  // namespace

const Tensor* GraphImporter::FindVariable(const std::string& name) const {
  const auto it = variables_.find(name);
  return it == variables_.end() ? nullptr : &it->second;
}

Status GraphImporter::MakeInput(const std::string& name, ElementType element,
                                const std::optional<Shape>& declared) {
  const auto known = input_names_.find(name);
  const std::string& public_name = known == input_names_.end() ? name : known->second;
  inputs_.insert(public_name);
  KILN_ASSIGN_OR_RETURN(const Shape shape, InputShape(public_name, declared, values_.options()));
  KILN_RETURN_IF_ERROR(values_.SetInput(public_name, {element, shape, {}}));
  if (public_name == name) return OkStatus();
  KILN_ASSIGN_OR_RETURN(Op* const op, values_.Get(public_name));
  values_.Set(name, op);
  return OkStatus();
}

Status GraphImporter::Preflight(const std::vector<const FlatNode*>& nodes) const {
  ProblemList problems;
  for (const FlatNode* const node : nodes) {
    const TensorflowOp* const op = FindTensorflowOp(node->op);
    if (op == nullptr) {
      problems.Add(Printable(node->name),
                   Unsupported("operator ", Printable(node->op), " is not supported"));
      continue;
    }
    const Status count = CheckCount("inputs", static_cast<int>(node->inputs.size()), op->inputs);
    if (!count.ok()) problems.Add(Printable(node->name), count);
  }
  return problems.ToStatus();
}

Status GraphImporter::ImportNode(const FlatNode& node) {
  const TensorflowOp& op = *FindTensorflowOp(node.op);
  bool poisoned = false, dead = false;
  for (const Reference& input : node.inputs) {
    const std::string name = graph_.Resolve(input).ToString();
    poisoned |= values_.IsPoisoned(name);
    dead |= IsDead(name);
  }
  if (poisoned || (dead && node.op != "Merge")) {
    for (int i = 0; i < kPoisonedOutputs; ++i) {
      const std::string name = Reference{node.name, i}.ToString();
      if (poisoned) {
        values_.Poison(name);
      } else {
        MarkDead(name);
      }
    }
    return OkStatus();
  }
  KILN_RETURN_IF_ERROR(values_.CheckSize());
  values_.BeginNode(node.name, node.name);
  Node view(this, node, op);
  return op.handler(view);
}

Status GraphImporter::MakeOutputs(const std::vector<NamedOutput>& outputs) {
  Graph* const graph = values_.builder().graph();
  for (const NamedOutput& output : outputs) {
    const std::string value = graph_.Resolve(output.value).ToString();
    if (values_.IsPoisoned(value) || IsDead(value)) continue;
    KILN_ASSIGN_OR_RETURN(Op* const op, values_.Get(value));
    graph->AddOutput(output.name, op);
  }
  if (graph->outputs().empty() && problems_.empty()) {
    return InvalidInput("the graph has no outputs");
  }
  return OkStatus();
}

Status GraphImporter::Import(const std::vector<NamedOutput>& outputs) {
  std::vector<Reference> wanted;
  for (const NamedOutput& output : outputs) wanted.push_back(output.value);
  KILN_ASSIGN_OR_RETURN(const auto order, graph_.Order(wanted));
  KILN_RETURN_IF_ERROR(Preflight(order));
  for (const FlatNode* const node : order) {
    const Status status = ImportNode(*node);
    if (status.ok()) continue;
    problems_.Add(Printable(node->name), status);
    for (int i = 0; i < kPoisonedOutputs; ++i) {
      values_.Poison(Reference{node->name, i}.ToString());
    }
  }
  if (const Status status = MakeOutputs(outputs); !status.ok()) problems_.Add("", status);
  for (const auto& [name, shape] : values_.options().input_shapes) {
    if (!inputs_.contains(name)) {
      problems_.Add("", InvalidInput("the model has no input '", name, "'"));
    }
  }
  return problems_.ToStatus();
}

}  // namespace kiln::tensorflow_import
