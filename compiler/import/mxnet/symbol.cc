#include "compiler/import/mxnet/symbol.h"

#include <set>
#include <string_view>

#include "compiler/import/foreign/json.h"
#include "compiler/import/foreign/problems.h"

namespace kiln::mxnet_import {

namespace {

using foreign::Json;
using foreign::TextIn;

constexpr size_t kMaxNodes = 200'000;

StatusOr<int> ToIndex(const Json& json, size_t limit) {
  if (!json.is_number_integer()) return InvalidInput("an index is no integer");
  const auto value = json.get<int64_t>();
  if (value < 0 || value >= static_cast<int64_t>(limit)) {
    return InvalidInput("index ", value, " is out of range");
  }
  return static_cast<int>(value);
}

// [node, output] or [node, output, version]; the oldest files have plain numbers too.
StatusOr<Entry> ToEntry(const Json& json, size_t nodes) {
  Entry entry;
  if (json.is_number_integer()) {
    KILN_ASSIGN_OR_RETURN(entry.node, ToIndex(json, nodes));
    return entry;
  }
  if (!json.is_array() || json.size() < 2 || json.size() > 3) {
    return InvalidInput("an entry is not [node, output]");
  }
  KILN_ASSIGN_OR_RETURN(entry.node, ToIndex(json[0], nodes));
  KILN_ASSIGN_OR_RETURN(entry.index, ToIndex(json[1], 1 << 16));
  return entry;
}

std::string Text(const Json& json) {
  return json.is_string() ? json.get<std::string>()
                          : json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void ReadAttributes(const Json& json, SymbolNode* node) {
  for (const char* const key : {"param", "attrs", "attr"}) {
    const auto it = json.find(key);
    if (it == json.end() || !it->is_object()) continue;
    for (const auto& [name, value] : it->items()) node->attributes[name] = Text(value);
    return;
  }
}

StatusOr<SymbolNode> ToNode(const Json& json, size_t index) {
  if (!json.is_object()) return InvalidInput("is no object");
  SymbolNode node;
  node.op = TextIn(json, "op");
  node.name = TextIn(json, "name");
  if (node.op.empty()) return InvalidInput("has no op");
  if (node.name.empty()) node.name = StrCat(node.op, static_cast<uint64_t>(index));
  ReadAttributes(json, &node);
  const auto inputs = json.find("inputs");
  if (inputs == json.end()) return node;
  if (!inputs->is_array()) return InvalidInput("its inputs are no list");
  for (const Json& input : *inputs) {
    KILN_ASSIGN_OR_RETURN(const Entry entry, ToEntry(input, index));
    node.inputs.push_back(entry);
  }
  return node;
}

const Json* FindList(const Json& json, const char* key) {
  const Json* const found = foreign::Find(json, key);
  return found != nullptr && found->is_array() ? found : nullptr;
}

}  // namespace

bool LooksLikeSymbol(std::span<const char> bytes) {
  constexpr size_t kWindow = 1 << 20;
  const std::string_view text(bytes.data(), std::min(bytes.size(), kWindow));
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == text.npos || text[first] != '{') return false;
  return text.find("\"nodes\"") != text.npos && text.find("\"op\"") != text.npos;
}

StatusOr<Symbol> ReadSymbol(std::span<const char> bytes) {
  KILN_ASSIGN_OR_RETURN(const Json json, foreign::ParseJson(bytes, "symbol"));
  const Json* const nodes = FindList(json, "nodes");
  const Json* const heads = FindList(json, "heads");
  if (nodes == nullptr || heads == nullptr) return InvalidInput("the symbol has no nodes or heads");
  if (nodes->size() > kMaxNodes) {
    return Unsupported("the symbol has more than ", static_cast<uint64_t>(kMaxNodes), " nodes");
  }
  Symbol symbol;
  std::set<std::string> names;
  for (size_t i = 0; i < nodes->size(); ++i) {
    auto node = ToNode((*nodes)[i], i);
    if (!node.ok()) return Annotate(node.status(), StrCat("node ", static_cast<uint64_t>(i)));
    // Two nodes of one name are told apart by their numbers.
    if (!names.insert(node->name).second) {
      node->name = StrCat(node->name, "#", static_cast<uint64_t>(i));
      names.insert(node->name);
    }
    symbol.nodes.push_back(*std::move(node));
  }
  for (const Json& head : *heads) {
    KILN_ASSIGN_OR_RETURN(const Entry entry, ToEntry(head, symbol.nodes.size()));
    symbol.heads.push_back(entry);
  }
  return symbol;
}

}  // namespace kiln::mxnet_import
