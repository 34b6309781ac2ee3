#include "compiler/import/pytorch/program.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>

#include "compiler/import/foreign/json.h"
#include "compiler/import/foreign/problems.h"

namespace kiln::pytorch_import {

namespace {

using foreign::Find;
using foreign::Json;
using foreign::TextIn;

constexpr size_t kMaxNodes = 200'000;

// Before 2.8 numbers that are none stand bare, which is no JSON: they get quotes, as of now.
std::vector<char> QuoteNonFinite(std::span<const char> text) {
  std::vector<char> out;
  out.reserve(text.size());
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\' && i + 1 < text.size()) out.push_back(text[i++]);
      in_string = c != '"';
      out.push_back(text[i]);
      continue;
    }
    in_string = c == '"';
    const std::string_view rest(text.data() + i, text.size() - i);
    for (const std::string_view word : {"-Infinity", "Infinity", "NaN"}) {
      if (!rest.starts_with(word)) continue;
      out.push_back('"');
      out.insert(out.end(), word.begin(), word.end());
      out.push_back('"');
      i += word.size();
      break;
    }
    if (i < text.size()) out.push_back(text[i]);
  }
  return out;
}

const Json* FindList(const Json& json, const char* key) {
  const Json* const found = Find(json, key);
  return found != nullptr && found->is_array() ? found : nullptr;
}

// The one member that a union has.
StatusOr<std::pair<std::string, const Json*>> Member(const Json& json) {
  if (!json.is_object()) return InvalidInput("is no object");
  std::pair<std::string, const Json*> found;
  for (const auto& [key, value] : json.items()) {
    if (value.is_null() && json.size() > 1) continue;  // as some versions write the others
    if (found.second != nullptr) return InvalidInput("has more than one kind");
    found = {key, &value};
  }
  if (found.second == nullptr) return InvalidInput("has no kind");
  return found;
}

Number FromInteger(int64_t value) { return {static_cast<double>(value), value, "", false}; }

Number FromDouble(double value) {
  constexpr double kLimit = 9.2e18;
  const double cut = std::isnan(value) ? 0 : std::clamp(value, -kLimit, kLimit);
  return {value, static_cast<int64_t>(cut), "", true};
}

StatusOr<Number> ReadNumber(const Json& json) {
  if (json.is_boolean()) return FromInteger(json.get<bool>() ? 1 : 0);
  if (json.is_number_integer()) return FromInteger(json.get<int64_t>());
  if (json.is_number()) return FromDouble(json.get<double>());
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (json == "Infinity") return FromDouble(kInfinity);
  if (json == "-Infinity") return FromDouble(-kInfinity);
  if (json == "NaN") return FromDouble(std::numeric_limits<double>::quiet_NaN());
  // {"as_name": "sym_size_int"}, {"as_int": 3}
  if (const Json* const value = Find(json, "as_int"); value != nullptr && value->is_number()) {
    return ReadNumber(*value);
  }
  Number number;
  number.symbol = TextIn(json, "as_name");
  if (number.symbol.empty()) return InvalidInput("is no number");
  return number;
}

// {"name": "x"}, or in lists of tensors that may be absent {"as_tensor": {"name": "x"}}.
StatusOr<std::string> ReadName(const Json& json) {
  if (Find(json, "as_none") != nullptr) return std::string();
  const Json* const inner = Find(json, "as_tensor");
  const std::string name = TextIn(inner == nullptr ? json : *inner, "name");
  if (name.empty()) return InvalidInput("is no name of a tensor");
  return name;
}

Argument::Kind KindOf(std::string_view key) {
  using Kind = Argument::Kind;
  static constexpr std::pair<std::string_view, Kind> kKinds[] = {
      {"as_none", Kind::kNone},
      {"as_tensor", Kind::kTensors},
      {"as_tensors", Kind::kTensors},
      {"as_optional_tensor", Kind::kTensors},
      {"as_optional_tensors", Kind::kTensors},
      {"as_int", Kind::kNumbers},
      {"as_ints", Kind::kNumbers},
      {"as_float", Kind::kNumbers},
      {"as_floats", Kind::kNumbers},
      {"as_sym_int", Kind::kNumbers},
      {"as_sym_ints", Kind::kNumbers},
      {"as_bool", Kind::kBools},
      {"as_bools", Kind::kBools},
      {"as_string", Kind::kText},
      {"as_scalar_type", Kind::kScalarType},
  };
  for (const auto& [name, kind] : kKinds) {
    if (key == name) return kind;
  }
  return Kind::kOther;
}

Status ReadEntry(const Json& json, Argument* argument) {
  if (argument->kind == Argument::Kind::kTensors) {
    KILN_ASSIGN_OR_RETURN(std::string name, ReadName(json));
    argument->names.push_back(std::move(name));
    return OkStatus();
  }
  KILN_ASSIGN_OR_RETURN(Number number, ReadNumber(json));
  argument->numbers.push_back(std::move(number));
  return OkStatus();
}

StatusOr<Argument> ReadArgument(const Json& json) {
  KILN_ASSIGN_OR_RETURN(const auto member, Member(json));
  const auto& [key, value] = member;
  Argument argument;
  argument.kind = KindOf(key);
  switch (argument.kind) {
    case Argument::Kind::kNone: return argument;
    case Argument::Kind::kOther: argument.text = key; return argument;
    case Argument::Kind::kText:
      if (!value->is_string()) return InvalidInput("is no text");
      argument.text = value->get<std::string>();
      return argument;
    default: break;
  }
  argument.is_list = value->is_array();
  if (!argument.is_list) {
    KILN_RETURN_IF_ERROR(ReadEntry(*value, &argument));
    if (argument.kind == Argument::Kind::kTensors && argument.names[0].empty()) return Argument();
    return argument;
  }
  for (const Json& entry : *value) KILN_RETURN_IF_ERROR(ReadEntry(entry, &argument));
  return argument;
}

// "layer1.0" of "L__self__,,Net;L__self___layer1_0,layer1.0,torch.nn...Sequential".
std::string ModulePath(const Json& node) {
  const Json* const metadata = Find(node, "metadata");
  if (metadata == nullptr) return "";
  const std::string stack = TextIn(*metadata, "nn_module_stack");
  const std::string last = stack.substr(stack.rfind(';') + 1);
  const std::vector<std::string> parts = StrSplit(last, ',');
  // As of old the path may be an expression.
  return parts.size() < 3 || parts[1].find('(') != std::string::npos ||
                 parts[1].find('[') != std::string::npos
             ? ""
             : parts[1];
}

StatusOr<ProgramNode> ReadNode(const Json& json, size_t index) {
  ProgramNode node;
  node.target = TextIn(json, "target");
  if (node.target.empty()) return InvalidInput("has no target");
  if (node.target.starts_with("torch.ops.")) node.target.erase(0, 10);
  const Json* const inputs = FindList(json, "inputs");
  const Json* const outputs = FindList(json, "outputs");
  if (inputs == nullptr || outputs == nullptr) return InvalidInput("has no inputs or outputs");
  for (const Json& output : *outputs) {
    KILN_ASSIGN_OR_RETURN(const Argument result, ReadArgument(output));
    if (result.kind == Argument::Kind::kTensors) {
      node.results.insert(node.results.end(), result.names.begin(), result.names.end());
    } else if (result.kind == Argument::Kind::kNumbers) {
      for (const Number& number : result.numbers) node.results.push_back(number.symbol);
    } else {
      node.results.push_back("");
    }
  }
  node.name = TextIn(json, "name");  // since 2.9
  for (const std::string& result : node.results) {
    if (node.name.empty()) node.name = result;
  }
  if (node.name.empty()) node.name = StrCat("node_", static_cast<uint64_t>(index));
  const std::string path = ModulePath(json);
  node.label = path.empty() ? node.name : StrCat(path, "/", node.name);
  for (size_t i = 0; i < inputs->size(); ++i) {
    const Json& input = (*inputs)[i];
    std::string name = TextIn(input, "name");
    // The operators on integers have no schema: their operands are a and b.
    if (name.empty()) name = std::string(1, static_cast<char>('a' + i % 26));
    const Json* const value = Find(input, "arg");
    if (value == nullptr) return InvalidInput("argument '", name, "' has no value");
    auto argument = ReadArgument(*value);
    if (!argument.ok()) {
      return Annotate(argument.status(), StrCat("argument '", foreign::Printable(name), "'"));
    }
    node.arguments[name] = *std::move(argument);
  }
  return node;
}

StatusOr<InputSpec> ReadInputSpec(const Json& json) {
  using Kind = InputSpec::Kind;
  KILN_ASSIGN_OR_RETURN(const auto member, Member(json));
  const auto& [key, spec] = member;
  InputSpec input;
  input.what = key;
  const Json* const arg = Find(*spec, "arg");
  if (key == "user_input" && arg != nullptr) {
    KILN_ASSIGN_OR_RETURN(const Argument argument, ReadArgument(*arg));
    input.kind = Kind::kUser;
    if (argument.kind == Argument::Kind::kTensors && argument.names.size() == 1) {
      input.name = argument.names[0];
    } else {
      KILN_ASSIGN_OR_RETURN(const auto kind, Member(*arg));
      input.what = kind.first;
    }
    return input;
  }
  static constexpr struct {
    const char* what;
    Kind kind;
    const char* target;
  } kKinds[] = {{"parameter", Kind::kParameter, "parameter_name"},
                {"buffer", Kind::kBuffer, "buffer_name"},
                {"tensor_constant", Kind::kConstant, "tensor_constant_name"}};
  for (const auto& row : kKinds) {
    if (key != row.what || arg == nullptr) continue;
    input.kind = row.kind;
    input.name = TextIn(*arg, "name");
    input.target = TextIn(*spec, row.target);
    if (input.name.empty() || input.target.empty()) return InvalidInput("a ", key, " has no name");
  }
  return input;
}

StatusOr<OutputSpec> ReadOutputSpec(const Json& json) {
  KILN_ASSIGN_OR_RETURN(const auto member, Member(json));
  const auto& [key, spec] = member;
  OutputSpec output;
  output.what = key;
  const Json* const arg = Find(*spec, "arg");
  if (key == "user_output" && arg != nullptr) {
    output.kind = OutputSpec::Kind::kUser;
    KILN_ASSIGN_OR_RETURN(output.value, ReadArgument(*arg));
    return output;
  }
  for (const char* const name : {"buffer_name", "parameter_name", "user_input_name"}) {
    if (output.target.empty()) output.target = TextIn(*spec, name);
  }
  return output;
}

Status ReadSignature(const Json& json, Program* program) {
  const Json* const inputs = FindList(json, "input_specs");
  const Json* const outputs = FindList(json, "output_specs");
  if (inputs == nullptr || outputs == nullptr) {
    return InvalidInput("the program's signature has no input_specs or output_specs");
  }
  for (const Json& spec : *inputs) {
    auto input = ReadInputSpec(spec);
    if (!input.ok()) return Annotate(input.status(), "an input of the signature");
    program->inputs.push_back(*std::move(input));
  }
  for (const Json& spec : *outputs) {
    auto output = ReadOutputSpec(spec);
    if (!output.ok()) return Annotate(output.status(), "an output of the signature");
    program->outputs.push_back(*std::move(output));
  }
  return OkStatus();
}

}  // namespace

StatusOr<Program> ReadProgram(std::span<const char> bytes) {
  KILN_ASSIGN_OR_RETURN(const Json json, foreign::ParseJson(QuoteNonFinite(bytes), "program"));
  const Json* const module = Find(json, "graph_module");
  const Json* const graph = module == nullptr ? nullptr : Find(*module, "graph");
  const Json* const signature = module == nullptr ? nullptr : Find(*module, "signature");
  const Json* const nodes = graph == nullptr ? nullptr : FindList(*graph, "nodes");
  if (nodes == nullptr || signature == nullptr) {
    return InvalidInput("the program has no graph or no signature");
  }
  if (nodes->size() > kMaxNodes) {
    return Unsupported("the program has more than ", static_cast<uint64_t>(kMaxNodes), " nodes");
  }
  Program program;
  KILN_RETURN_IF_ERROR(ReadSignature(*signature, &program));
  for (size_t i = 0; i < nodes->size(); ++i) {
    auto node = ReadNode((*nodes)[i], i);
    if (!node.ok()) return Annotate(node.status(), StrCat("node ", static_cast<uint64_t>(i)));
    program.nodes.push_back(*std::move(node));
  }
  const Json* const values = Find(*graph, "tensor_values");
  if (values == nullptr || !values->is_object()) return program;
  for (const auto& [name, meta] : values->items()) {
    auto read = ReadTensorMeta(meta);
    if (!read.ok()) {
      return Annotate(read.status(), StrCat("value '", foreign::Printable(name), "'"));
    }
    program.values[name] = *std::move(read);
  }
  return program;
}

}  // namespace kiln::pytorch_import
