#include "ir/graph/printer.h"

#include <algorithm>

#include "ir/graph/element_text.h"
#include "ir/graph/equal.h"
#include "ir/graph/op_def.h"

namespace kiln {

namespace {

constexpr int kIndent = 2;

bool IsBareName(const std::string& name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

std::string QuoteAll(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + Quote(name);
  return text;
}

std::string Value(const Op* op) { return "%" + op->name(); }

std::string Content(const Tensor& tensor) {
  if (!IsInline(tensor)) return StrCat("file(", Quote(tensor.hash()), ")");
  const ElementType element = tensor.type().element;
  const std::span<const char> bytes = tensor.bytes();
  std::string text = "dense([";
  for (size_t at = 0; at < bytes.size(); at += static_cast<size_t>(ByteSize(element))) {
    if (at) text += ",";
    text += FormatElement(element, bytes.data() + at);
  }
  return text + "])";
}

std::string Doubles(const std::vector<double>& values) { return "[" + StrJoin(values, ",") + "]"; }

struct AttributePrinter {
  std::string operator()(bool value) const { return StrCat(value); }
  std::string operator()(int64_t value) const { return StrCat(value); }
  std::string operator()(double value) const { return FormatDouble(value); }
  std::string operator()(const std::string& value) const { return Quote(value); }
  std::string operator()(const std::vector<int64_t>& value) const { return FormatInts(value); }
  std::string operator()(const std::vector<double>& value) const { return Doubles(value); }
  std::string operator()(ElementType value) const { return std::string(Name(value)); }
  std::string operator()(const Layout& value) const {
    return value.IsRowMajor() ? "{}" : value.ToString();
  }
  std::string operator()(const Tensor& value) const {
    return StrCat(value.type().ToString(), " ", Content(value));
  }
};

// " {a=1, b=[2]}" with the attributes that differ from their defaults, or nothing.
std::string Attributes(const Op& op) {
  std::string text;
  for (const AttributeDef& def : op.def().attributes) {
    const Attribute& value = op.attribute(def.name);
    if (def.default_value && Equal(value, *def.default_value)) continue;
    text += StrCat(text.empty() ? "" : ", ", def.name, "=", Print(value));
  }
  return text.empty() ? "" : " {" + text + "}";
}

std::string Sources(const Op& op) {
  return op.sources().empty() ? "" : StrCat(" loc(", QuoteAll(op.sources()), ")");
}

std::string Inputs(const Graph& graph) {
  std::string text = "(";
  for (const Op* const input : graph.inputs()) {
    const bool plain = input->sources() == std::vector<std::string>{input->name()};
    text += StrCat(text.size() > 1 ? ", " : "", Value(input), ": ", input->type().ToString(),
                   plain ? "" : Sources(*input));
  }
  return text + ")";
}

void PrintOp(const Op& op, int indent, std::string& out);

void PrintOps(const Graph& graph, int indent, std::string& out) {
  for (const auto& op : graph.ops()) {
    if (!op->Is("input")) PrintOp(*op, indent, out);
  }
}

void PrintOp(const Op& op, int indent, std::string& out) {
  const std::string margin(static_cast<size_t>(indent), ' ');
  std::string operands;
  for (const Op* const operand : op.operands()) {
    operands += (operands.empty() ? "" : ", ") + Value(operand);
  }
  out += StrCat(margin, Value(&op), " = ", op.kind(), "(", operands, ")", Attributes(op), " : ",
                op.type().ToString(), Sources(op));
  if (const Graph* const body = op.body()) {
    const std::string inner(static_cast<size_t>(indent + kIndent), ' ');
    out += StrCat(" {\n", inner, Inputs(*body), "\n");
    PrintOps(*body, indent + kIndent, out);
    out += StrCat(inner, "-> ", Value(body->outputs()[0].value), "\n", margin, "}");
  }
  out += "\n";
}

void PrintFunction(const Graph& graph, int indent, std::string& out) {
  const std::string margin(static_cast<size_t>(indent), ' ');
  const std::string& name = graph.name();
  std::string outputs;
  for (const Graph::Output& output : graph.outputs()) {
    outputs += StrCat(outputs.empty() ? "" : ", ", output.update ? "update " : "",
                      Quote(output.name), ": ", Value(output.value));
  }
  out += StrCat(margin, "func @", IsBareName(name) ? name : Quote(name), Inputs(graph), " -> (",
                outputs, ") {\n");
  PrintOps(graph, indent + kIndent, out);
  out += margin + "}\n";
}

}  // namespace

bool IsInline(const Tensor& tensor) {
  return tensor.known() &&
         tensor.type().bytes() / ByteSize(tensor.type().element) <= kMaxInlineElements;
}

std::string Print(const Attribute& attribute) { return attribute.Visit(AttributePrinter()); }

std::string Print(const Op& op) {
  std::string out;
  PrintOp(op, 0, out);
  return out;
}

std::string Print(const Graph& graph) {
  std::string out;
  PrintFunction(graph, 0, out);
  return out;
}

std::string Print(const Module& module) {
  std::string out = StrCat("module ", Quote(module.name), " {\n");
  for (const auto& [key, value] : module.metadata) {
    out += StrCat("  metadata ", Quote(key), " = ", Quote(value), "\n");
  }
  for (const auto& [name, parameter] : module.parameters()) {
    out += StrCat("  parameter ", Quote(name), " : ", parameter.value.type().ToString(), " = ",
                  Content(parameter.value), parameter.trainable ? "" : " frozen", "\n");
  }
  for (const auto& function : module.functions()) PrintFunction(*function, kIndent, out);
  return out + "}\n";
}

}  // namespace kiln
