#include "tools/dot.h"

#include <algorithm>
#include <cctype>
#include <unordered_map>
#include <vector>

#include "ir/graph/op_def.h"
#include "ir/graph/printer.h"
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

std::string HtmlEscaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      default: out += c;
    }
  }
  return out;
}

bool IsNameCharacter(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '-' ||
         c == '/';
}

/// One line of text; `%name` is an anchor where a value is defined and a link elsewhere. Names
/// inside strings stay text. `scope` keeps equal names of different graphs apart.
std::string HtmlLine(std::string_view line, const std::string& scope) {
  const size_t start = std::min(line.find_first_not_of(' '), line.size());
  const std::string_view trimmed = line.substr(start);
  const bool declares_inputs = trimmed.starts_with("func @") || trimmed.starts_with("(");
  std::string out;
  bool in_string = false;
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (c == '\\' && in_string && i + 1 < line.size()) {
      out += HtmlEscaped(line.substr(i++, 2));
      continue;
    }
    if (c == '"') in_string = !in_string;
    if (c != '%' || in_string) {
      out += HtmlEscaped(line.substr(i, 1));
      continue;
    }
    size_t end = i + 1;
    while (end < line.size() && IsNameCharacter(line[end])) ++end;
    const std::string name(line.substr(i, end - i));
    const std::string id = scope + name.substr(1);
    const std::string_view rest = line.substr(end);
    const bool defines =
        (i == start && rest.starts_with(" =")) || (declares_inputs && rest.starts_with(": "));
    out += defines ? StrCat("<b id=\"", id, "\">", name, "</b>")
                   : StrCat("<a href=\"#", id, "\">", name, "</a>");
    i = end - 1;
  }
  return out + "\n";
}

}  // namespace

std::string ToDot(const Graph& graph) {
  std::string text = StrCat("digraph \"", Escaped(graph.name()),
                            "\" {\n  node [shape=box, fontname=\"sans-serif\", fontsize=10];\n");
  std::unordered_map<const Op*, std::string> ids;
  for (const auto& op : graph.ops()) {
    if (IsWeight(*op)) continue;
    const std::string id = StrCat("n", ids.size());
    ids[op.get()] = id;
    text += StrCat("  ", id, " [label=\"", Label(*op), "\"",
                   op->Is("input") ? ", shape=ellipse" : "", "];\n");
    for (const Op* operand : op->operands()) {
      if (!IsWeight(*operand)) text += StrCat("  ", ids[operand], " -> ", id, ";\n");
    }
  }
  for (size_t i = 0; i < graph.outputs().size(); ++i) {
    const Graph::Output& output = graph.outputs()[i];
    text += StrCat("  out", i, " [label=\"", Escaped(output.name), "\", shape=ellipse];\n");
    if (!IsWeight(*output.value)) text += StrCat("  ", ids[output.value], " -> out", i, ";\n");
  }
  return text + "}\n";
}

std::string ToHtml(const Module& module) {
  std::string text = StrCat(
      "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>", HtmlEscaped(module.name),
      "</title>\n<style>a{color:#06c;text-decoration:none}b{color:#000}b:target{background:#fe8}"
      "pre{color:#444;line-height:1.4}</style></head><body><pre>\n");
  // A graph's text is what stands between the braces; the line of `func` declares its inputs.
  std::vector<std::string> scopes = {""};
  int graphs = 0;
  for (const std::string& line : StrSplit(Print(module), '\n')) {
    const bool function = line.starts_with("  func @");
    if (function) scopes.push_back(StrCat("g", ++graphs, "."));
    if (line.ends_with("}") && line.find_first_not_of(" }") == line.npos && scopes.size() > 1) {
      scopes.pop_back();
    }
    text += HtmlLine(line, scopes.back());
    if (line.ends_with("{") && !function) scopes.push_back(StrCat("g", ++graphs, "."));
  }
  return text + "</pre></body></html>\n";
}

}  // namespace kiln
