#include "tools/dot.h"

#include <unordered_map>
#include <vector>

#include "ir/graph/op_def.h"
#include "ir/support/strings.h"
#include "tools/model.h"

namespace kiln {

namespace {

bool IsWeight(const Op& op) { return op.HasTrait(kLeaf) && !op.Is("input"); }

/// Inside a quoted Graphviz string.
std::string Escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 32 ? ' ' : c;
  }
  return out;
}

/// The kind, the kinds of a body's ops, the sources, the weights read, the type.
std::string Label(const Op& op) {
  std::string label = op.Is("input") ? PublicName(op) : op.kind();
  if (op.body() != nullptr) {
    for (const auto& inner : op.body()->ops()) {
      if (!inner->HasTrait(kLeaf)) label += " " + inner->kind();
    }
  }
  label = Escaped(label);
  if (!op.sources().empty() && !op.Is("input")) {
    label += "\\n" + Escaped(StrJoin(op.sources(), ", "));
  }
  for (const Op* operand : op.operands()) {
    if (!IsWeight(*operand)) continue;
    const std::string name = operand->Is("parameter") ? operand->String("name") : operand->name();
    label += "\\n" + Escaped(name + " " + operand->type().ToString());
  }
  return label + "\\n" + Escaped(op.type().ToString());
}

/// The statements of one function; its nodes' names start with `prefix`.
std::string Cluster(const Graph& graph, const std::string& prefix) {
  std::string text =
      StrCat("  subgraph cluster_", prefix, " {\n    label=\"", Escaped(graph.name()), "\";\n");
  std::unordered_map<const Op*, std::string> ids;
  for (const auto& op : graph.ops()) {
    if (IsWeight(*op)) continue;
    const std::string id = StrCat(prefix, "n", ids.size());
    ids[op.get()] = id;
    text += StrCat("    ", id, " [label=\"", Label(*op), "\"",
                   op->Is("input") ? ", shape=ellipse" : "", "];\n");
    for (const Op* operand : op->operands()) {
      if (!IsWeight(*operand)) text += StrCat("    ", ids[operand], " -> ", id, ";\n");
    }
  }
  for (size_t i = 0; i < graph.outputs().size(); ++i) {
    const Graph::Output& output = graph.outputs()[i];
    const std::string id = StrCat(prefix, "out", i);
    text += StrCat("    ", id, " [label=\"", Escaped(output.name), "\", shape=ellipse];\n");
    if (!IsWeight(*output.value)) text += StrCat("    ", ids[output.value], " -> ", id, ";\n");
  }
  return text + "  }\n";
}

}  // namespace

std::string ToDot(const Module& module) {
  std::string text = StrCat("digraph \"", Escaped(module.name),
                            "\" {\n  node [shape=box, fontname=\"sans-serif\", fontsize=10];\n");
  for (size_t i = 0; i < module.functions().size(); ++i) {
    text += Cluster(*module.functions()[i], StrCat("f", i));
  }
  return text + "}\n";
}

}  // namespace kiln
