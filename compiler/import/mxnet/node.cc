#include "compiler/import/mxnet/node.h"

#include "compiler/import/mxnet/symbol_importer.h"

namespace kiln::mxnet_import {

namespace {

std::string Trim(const std::string& text) {
  const size_t first = text.find_first_not_of(" \t\n");
  if (first == text.npos) return "";
  return text.substr(first, text.find_last_not_of(" \t\n") - first + 1);
}

// "64", or "64L" of an old Python.
bool ParseNumber(std::string text, int64_t* value) {
  if (text.ends_with('L')) text.pop_back();
  return ParseInt(text, value);
}

}  // namespace

Builder& Node::builder() { return importer_->values().builder(); }

StatusOr<Op*> Node::input(int i) {
  if (!Has(i)) return InvalidInput("input ", i, " is missing");
  return importer_->Input(node_.inputs[i]);
}

StatusOr<std::vector<Op*>> Node::inputs() {
  std::vector<Op*> ops;
  for (int i = 0; i < num_inputs(); ++i) {
    KILN_ASSIGN_OR_RETURN(Op* const op, input(i));
    ops.push_back(op);
  }
  return ops;
}

StatusOr<Op*> Node::weight(int i, const Shape& shape) {
  if (!Has(i)) return InvalidInput("input ", i, " is missing");
  return importer_->Weight(node_.inputs[i], shape, /*trainable=*/true);
}

StatusOr<Op*> Node::statistic(int i, const Shape& shape) {
  if (!Has(i)) return InvalidInput("input ", i, " is missing");
  return importer_->Weight(node_.inputs[i], shape, /*trainable=*/false);
}

void Node::Malformed(const std::string& name) {
  if (!problem_.ok()) return;
  problem_ = InvalidInput("attribute '", name, "' is ", Quote(node_.attributes.at(name)));
}

std::string Node::String(const std::string& name, const std::string& otherwise) const {
  const auto it = node_.attributes.find(name);
  return it == node_.attributes.end() ? otherwise : it->second;
}

int64_t Node::Int(const std::string& name, int64_t otherwise) {
  if (!HasAttribute(name)) return otherwise;
  int64_t value = otherwise;
  const std::string text = Trim(String(name));
  if (text == "True" || text == "False") return text == "True" ? 1 : 0;
  if (!ParseNumber(text, &value)) Malformed(name);
  return value;
}

double Node::Float(const std::string& name, double otherwise) {
  if (!HasAttribute(name)) return otherwise;
  double value = otherwise;
  if (!ParseDouble(Trim(String(name)), &value)) Malformed(name);
  return value;
}

bool Node::Bool(const std::string& name, bool otherwise) {
  if (!HasAttribute(name)) return otherwise;
  const std::string text = Trim(String(name));
  if (text == "True" || text == "true" || text == "1") return true;
  if (text != "False" && text != "false" && text != "0") Malformed(name);
  return false;
}

std::vector<std::optional<int64_t>> Node::OptionalInts(const std::string& name) {
  std::vector<std::optional<int64_t>> values;
  if (!HasAttribute(name)) return values;
  std::string text = Trim(String(name));
  if (text == "None") return values;
  if (!text.empty() && (text.front() == '(' || text.front() == '[')) {
    const char close = text.front() == '(' ? ')' : ']';
    if (text.back() != close || text.size() < 2) {
      Malformed(name);
      return values;
    }
    text = text.substr(1, text.size() - 2);
  }
  for (const std::string& piece : StrSplit(text, ',')) {
    const std::string entry = Trim(piece);
    int64_t value = 0;
    if (entry.empty()) continue;  // "(10,)"
    if (entry == "None") {
      values.push_back(std::nullopt);
    } else if (ParseNumber(entry, &value)) {
      values.push_back(value);
    } else {
      Malformed(name);
    }
  }
  return values;
}

std::vector<int64_t> Node::Ints(const std::string& name) {
  std::vector<int64_t> values;
  for (const auto& value : OptionalInts(name)) {
    if (!value) Malformed(name);
    values.push_back(value.value_or(0));
  }
  return values;
}

Status Node::Output(int i, const StatusOr<Op*>& value) {
  KILN_RETURN_IF_ERROR(problem_);
  KILN_RETURN_IF_ERROR(value.status());
  importer_->values().Set(ValueName(node_, i), *value);
  return OkStatus();
}

}  // namespace kiln::mxnet_import
