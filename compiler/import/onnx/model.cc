#include "compiler/import/onnx/model.h"

#include <algorithm>
#include <queue>
#include <unordered_map>

#include "compiler/import/onnx/op_table.h"

namespace kiln::onnx_import {

namespace {

using onnx::GraphProto;
using onnx::NodeProto;

// Every value that a node reads, those that its subgraphs take from around them included.
std::vector<const std::string*> Reads(const NodeProto& node) {
  std::vector<const std::string*> names;
  std::vector<const NodeProto*> pending = {&node};
  while (!pending.empty()) {
    const NodeProto& next = *pending.back();
    pending.pop_back();
    for (const std::string& name : next.input()) {
      if (!name.empty()) names.push_back(&name);
    }
    for (const GraphProto* const body : Subgraphs(next)) {
      for (const NodeProto& inner : body->node()) pending.push_back(&inner);
      for (const auto& output : body->output()) names.push_back(&output.name());
    }
  }
  return names;
}

StatusOr<std::unordered_map<std::string, int>> Producers(const Nodes& nodes,
                                                         const std::set<std::string>& defined) {
  std::unordered_map<std::string, int> producers;
  for (int i = 0; i < nodes.size(); ++i) {
    for (const std::string& name : nodes[i].output()) {
      if (name.empty()) continue;
      if (defined.contains(name) || !producers.emplace(name, i).second) {
        return InvalidInput(NodeLabel(nodes[i]), ": value '", Printable(name),
                            "' is defined more than once");
      }
    }
  }
  return producers;
}

}  // namespace

std::string NormalDomain(const std::string& domain) { return domain == "ai.onnx" ? "" : domain; }

StatusOr<Opsets> ReadOpsets(
    const google::protobuf::RepeatedPtrField<onnx::OperatorSetIdProto>& imports) {
  Opsets opsets;
  for (const auto& entry : imports) {
    const std::string domain = NormalDomain(entry.domain());
    if (domain.empty() && entry.version() > kLatestOpset) {
      return Unsupported("opset ", entry.version(), " is newer than the newest supported, ",
                         kLatestOpset);
    }
    if (entry.version() < 1) {
      return InvalidInput("opset ", entry.version(), " of domain '", Printable(entry.domain()),
                          "' does not exist");
    }
    if (!opsets.emplace(domain, entry.version()).second) {
      return InvalidInput("domain '", Printable(entry.domain()), "' is imported more than once");
    }
  }
  return opsets;
}

std::string NodeLabel(const NodeProto& node) {
  if (!node.name().empty()) return Printable(node.name());
  for (const std::string& name : node.output()) {
    if (!name.empty()) return Printable(name);
  }
  return Printable(node.op_type());
}

std::vector<const GraphProto*> Subgraphs(const NodeProto& node) {
  std::vector<const GraphProto*> graphs;
  for (const auto& attribute : node.attribute()) {
    if (attribute.has_g()) graphs.push_back(&attribute.g());
    for (const GraphProto& graph : attribute.graphs()) graphs.push_back(&graph);
  }
  return graphs;
}

StatusOr<std::vector<const NodeProto*>> SortNodes(const Nodes& nodes,
                                                  const std::set<std::string>& defined) {
  KILN_ASSIGN_OR_RETURN(const auto producers, Producers(nodes, defined));
  std::vector<std::vector<int>> users(nodes.size());
  std::vector<int> missing(nodes.size(), 0);  // operands not made yet
  for (int i = 0; i < nodes.size(); ++i) {
    for (const std::string* const name : Reads(nodes[i])) {
      const auto it = producers.find(*name);
      if (it == producers.end()) continue;
      users[it->second].push_back(i);
      ++missing[i];
    }
  }
  std::priority_queue<int, std::vector<int>, std::greater<>> ready;
  for (int i = 0; i < nodes.size(); ++i) {
    if (missing[i] == 0) ready.push(i);
  }
  std::vector<const NodeProto*> order;
  while (!ready.empty()) {
    const int next = ready.top();
    ready.pop();
    order.push_back(&nodes[next]);
    for (const int user : users[next]) {
      if (--missing[user] == 0) ready.push(user);
    }
  }
  if (static_cast<int>(order.size()) == nodes.size()) return order;
  const auto stuck = std::find_if(missing.begin(), missing.end(), [](int n) { return n > 0; });
  return InvalidInput(NodeLabel(nodes[static_cast<int>(stuck - missing.begin())]),
                      ": the node depends on itself: the graph has a cycle");
}

FunctionKey CalleeKey(const NodeProto& node) {
  return {NormalDomain(node.domain()), node.op_type(), node.overload()};
}

StatusOr<Functions> ReadFunctions(const onnx::ModelProto& model) {
  Functions functions;
  for (const auto& function : model.functions()) {
    const FunctionKey key = {NormalDomain(function.domain()), function.name(), function.overload()};
    if (!functions.emplace(key, &function).second) {
      return InvalidInput("function '", Printable(function.name()), "' is defined more than once");
    }
  }
  return functions;
}

}  // namespace kiln::onnx_import
