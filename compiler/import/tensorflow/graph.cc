#include "compiler/import/tensorflow/graph.h"

#include <algorithm>

#include "compiler/import/foreign/problems.h"
#include "compiler/import/tensorflow/op_table.h"

namespace kiln::tensorflow_import {

namespace {

using tensorflow::FunctionDef;
using tensorflow::NodeDef;

constexpr size_t kMaxNodes = 200'000;
constexpr int kMaxDepth = 32;

bool IsCall(const std::string& op) {
  return op == "PartitionedCall" || op == "StatefulPartitionedCall";
}

bool IsControl(const std::string& input) { return input.starts_with('^'); }

}  // namespace

std::string Reference::ToString() const { return index == 0 ? node : StrCat(node, ":", index); }

Reference ParseReference(const std::string& text) {
  const size_t colon = text.rfind(':');
  int64_t index = 0;
  if (colon == text.npos || !ParseInt(text.substr(colon + 1), &index) || index < 0 ||
      index > 1 << 20) {
    return {text, 0};
  }
  return {text.substr(0, colon), static_cast<int>(index)};
}

/// Turns bodies of functions into nodes of the graph around them.
class FlatGraph::Inliner {
 public:
  Inliner(FlatGraph* graph, const tensorflow::FunctionDefLibrary& library) : graph_(graph) {
    for (const FunctionDef& function : library.function()) {
      functions_.emplace(function.signature().name(), &function);
    }
  }

  Status AddNode(const NodeDef& node, const std::string& prefix, const FunctionDef* body,
                 int depth) {
    const std::string name = prefix + node.name();
    FlatNode flat{name, node.op(), {}, &node.attr()};
    for (const std::string& input : node.input()) {
      if (IsControl(input)) continue;
      KILN_ASSIGN_OR_RETURN(Reference reference, Refer(input, prefix, body));
      flat.inputs.push_back(std::move(reference));
    }
    const FunctionDef* const callee = Callee(node);
    if (callee != nullptr) return Inline(flat, *callee, depth + 1);
    if (!graph_->nodes_.emplace(name, std::move(flat)).second) {
      return InvalidInput(foreign::Printable(name), ": the node is defined more than once");
    }
    graph_->order_.push_back(name);
    if (graph_->nodes_.size() > kMaxNodes) {
      return Unsupported("the graph has more than ", static_cast<uint64_t>(kMaxNodes), " nodes");
    }
    return OkStatus();
  }

 private:
  const FunctionDef* Callee(const NodeDef& node) const {
    std::string name = node.op();  // a function's name may stand for an operator
    if (IsCall(name)) {
      const auto f = node.attr().find("f");
      if (f == node.attr().end()) return nullptr;
      name = f->second.func().name();
    }
    const auto it = functions_.find(name);
    return it == functions_.end() ? nullptr : it->second;
  }

  // In a graph "node:1"; in a function "node:output:1", or the name of an argument.
  StatusOr<Reference> Refer(const std::string& text, const std::string& prefix,
                            const FunctionDef* body) const {
    if (body == nullptr) return ParseReference(text);
    const std::vector<std::string> parts = StrSplit(text, ':');
    if (parts.size() == 1) return Reference{prefix + parts[0], 0};  // an argument
    int64_t index = 0;
    if (parts.size() == 3 && (!ParseInt(parts[2], &index) || index < 0 || index > 1 << 20)) {
      return InvalidInput("input '", foreign::Printable(text), "' is malformed");
    }
    const auto node = std::ranges::find_if(
        body->node_def(), [&](const NodeDef& def) { return def.name() == parts[0]; });
    if (node == body->node_def().end()) {
      return InvalidInput("input '", foreign::Printable(text), "' is not defined");
    }
    const FunctionDef* const callee = Callee(*node);
    const int first =
        callee != nullptr ? OutputOfFunction(*callee, parts[1]) : FirstOutput(node->op(), parts[1]);
    return Reference{prefix + parts[0], first + static_cast<int>(index)};
  }

  static int OutputOfFunction(const FunctionDef& function, const std::string& name) {
    const auto& outputs = function.signature().output_arg();
    for (int i = 0; i < outputs.size(); ++i) {
      if (outputs[i].name() == name) return i;
    }
    return 0;
  }

  Status Inline(const FlatNode& call, const FunctionDef& function, int depth) {
    if (depth > kMaxDepth) return Unsupported("functions call each other too deep");
    const std::string prefix = call.name + "/";
    const auto& signature = function.signature();
    for (int i = 0; i < signature.input_arg_size(); ++i) {
      if (i >= static_cast<int>(call.inputs.size())) {
        return InvalidInput(foreign::Printable(call.name), ": an argument is missing");
      }
      graph_->forwarded_[{prefix + signature.input_arg(i).name(), 0}] = call.inputs[i];
    }
    for (const NodeDef& node : function.node_def()) {
      KILN_RETURN_IF_ERROR(AddNode(node, prefix, &function, depth));
    }
    for (int i = 0; i < signature.output_arg_size(); ++i) {
      const auto returned = function.ret().find(signature.output_arg(i).name());
      if (returned == function.ret().end()) {
        return InvalidInput(foreign::Printable(call.name), ": a result is missing");
      }
      KILN_ASSIGN_OR_RETURN(graph_->forwarded_[(Reference{call.name, i})],
                            Refer(returned->second, prefix, &function));
    }
    return OkStatus();
  }

  FlatGraph* graph_;
  std::map<std::string, const FunctionDef*> functions_;
};

StatusOr<FlatGraph> FlatGraph::Make(const tensorflow::GraphDef& graph) {
  FlatGraph flat;
  flat.producer_ = graph.versions().producer();
  Inliner inliner(&flat, graph.library());
  for (const NodeDef& node : graph.node()) {
    KILN_RETURN_IF_ERROR(inliner.AddNode(node, "", nullptr, 0));
  }
  return flat;
}

const FlatNode* FlatGraph::Find(const std::string& name) const {
  const auto it = nodes_.find(name);
  return it == nodes_.end() ? nullptr : &it->second;
}

Reference FlatGraph::Resolve(Reference reference) const {
  // A chain of forwards is no longer than the depth of calls, both ways.
  for (int i = 0; i < 4 * kMaxDepth; ++i) {
    const auto it = forwarded_.find(reference);
    if (it == forwarded_.end()) break;
    reference = it->second;
  }
  return reference;
}

StatusOr<std::vector<const FlatNode*>> FlatGraph::Order(
    const std::vector<Reference>& outputs) const {
  enum class Mark { kOpen, kDone };
  std::map<const FlatNode*, Mark> marks;
  std::vector<const FlatNode*> order;
  std::vector<const FlatNode*> stack;
  const auto push = [&](const Reference& unresolved) {
    const Reference reference = Resolve(unresolved);
    const FlatNode* const node = Find(reference.node);
    if (node == nullptr) {
      return InvalidInput("value '", foreign::Printable(reference.ToString()), "' is not defined");
    }
    const auto mark = marks.find(node);
    if (mark == marks.end()) {
      stack.push_back(node);
    } else if (mark->second == Mark::kOpen) {
      return InvalidInput(foreign::Printable(node->name),
                          ": the node depends on itself: the graph has a cycle");
    }
    return OkStatus();
  };
  for (const Reference& output : outputs) {
    KILN_RETURN_IF_ERROR(push(output));
    while (!stack.empty()) {
      const FlatNode* const node = stack.back();
      const auto [mark, fresh] = marks.emplace(node, Mark::kOpen);
      if (!fresh) {  // everything below it is there, or it was reached twice
        stack.pop_back();
        if (mark->second == Mark::kDone) continue;
        mark->second = Mark::kDone;
        order.push_back(node);
        continue;
      }
      for (auto input = node->inputs.rbegin(); input != node->inputs.rend(); ++input) {
        KILN_RETURN_IF_ERROR(push(*input));
      }
    }
  }
  return order;
}

std::vector<Reference> FlatGraph::Leaves() const {
  std::set<std::string> read;
  for (const auto& [name, node] : nodes_) {
    for (const Reference& input : node.inputs) read.insert(Resolve(input).node);
  }
  std::vector<Reference> leaves;
  for (const std::string& name : order_) {
    if (!read.contains(name) && !IsSideEffect(nodes_.at(name).op)) leaves.push_back({name, 0});
  }
  return leaves;
}

}  // namespace kiln::tensorflow_import
