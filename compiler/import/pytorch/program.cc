#include "compiler/import/pytorch/program.h"

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

/// Reads graphs, those in nodes too, as one. The names of an inner graph get the node's name in
/// front, so that they are their own.
class GraphReader {
 public:
  explicit GraphReader(Program* program) : program_(*program) {}

  /// The nodes and values of `graph`. `prefix` stands before all names but those in `renamed`.
  Status Read(const Json& graph, const std::string& prefix,
              const std::map<std::string, std::string>& renamed) {
    const Json* const nodes = FindList(graph, "nodes");
    if (nodes == nullptr) return InvalidInput("a graph has no nodes");
    const Scope scope{prefix, renamed};
    if (const Json* const values = Find(graph, "tensor_values"); values != nullptr) {
      KILN_RETURN_IF_ERROR(ReadValues(*values, scope));
    }
    for (const Json& node : *nodes) {
      const Status status = ReadNode(node, scope);
      if (!status.ok()) {
        return Annotate(status, StrCat("node ", static_cast<uint64_t>(program_.nodes.size())));
      }
    }
    return OkStatus();
  }

 private:
  struct Scope {
    const std::string& prefix;
    const std::map<std::string, std::string>& renamed;

    void Rename(std::string& name) const {
      if (name.empty()) return;
      const auto it = renamed.find(name);
      name = it == renamed.end() ? prefix + name : it->second;
    }
  };

  Status ReadValues(const Json& values, const Scope& scope) {
    if (!values.is_object()) return InvalidInput("tensor_values is no object");
    for (const auto& [name, meta] : values.items()) {
      auto read = ReadTensorMeta(meta);
      if (!read.ok()) {
        return Annotate(read.status(), StrCat("value '", foreign::Printable(name), "'"));
      }
      std::string renamed = name;
      scope.Rename(renamed);
      program_.values[renamed] = *std::move(read);
    }
    return OkStatus();
  }

  static StatusOr<Argument> ReadRenamed(const Json& json, const Scope& scope) {
    KILN_ASSIGN_OR_RETURN(Argument argument, ReadArgument(json));
    for (std::string& name : argument.names) scope.Rename(name);
    for (Number& number : argument.numbers) scope.Rename(number.symbol);
    return argument;
  }

  static StatusOr<std::vector<std::string>> ReadResults(const Json& outputs, const Scope& scope) {
    std::vector<std::string> results;
    for (const Json& output : outputs) {
      KILN_ASSIGN_OR_RETURN(const Argument result, ReadRenamed(output, scope));
      if (result.kind == Argument::Kind::kTensors) {
        results.insert(results.end(), result.names.begin(), result.names.end());
      } else if (result.kind == Argument::Kind::kNumbers) {
        for (const Number& number : result.numbers) results.push_back(number.symbol);
      } else {
        results.push_back("");
      }
    }
    return results;
  }

  Status ReadNode(const Json& json, const Scope& scope) {
    if (program_.nodes.size() >= kMaxNodes) {
      return Unsupported("the program has more than ", static_cast<uint64_t>(kMaxNodes), " nodes");
    }
    ProgramNode node;
    node.target = TextIn(json, "target");
    if (node.target.empty()) return InvalidInput("has no target");
    if (node.target.starts_with("torch.ops.")) node.target.erase(0, 10);
    const Json* const inputs = FindList(json, "inputs");
    const Json* const outputs = FindList(json, "outputs");
    if (inputs == nullptr || outputs == nullptr) return InvalidInput("has no inputs or outputs");
    KILN_ASSIGN_OR_RETURN(node.results, ReadResults(*outputs, scope));
    node.name = TextIn(json, "name");  // since 2.9
    scope.Rename(node.name);
    for (const std::string& result : node.results) {
      if (node.name.empty()) node.name = result;
    }
    if (node.name.empty()) {
      node.name = StrCat(scope.prefix, "node_", static_cast<uint64_t>(program_.nodes.size()));
    }
    const std::string path = ModulePath(json);
    node.label = path.empty() ? node.name : StrCat(path, "/", node.name);
    if (const Json* const region = FindRegion(node.target, *inputs); region != nullptr) {
      return Inline(node, *inputs, *region, scope);
    }
    for (size_t i = 0; i < inputs->size(); ++i) {
      const Json& input = (*inputs)[i];
      std::string name = TextIn(input, "name");
      // The operators on integers have no schema: their operands are a and b.
      if (name.empty()) name = std::string(1, static_cast<char>('a' + i % 26));
      const Json* const value = Find(input, "arg");
      if (value == nullptr) return InvalidInput("argument '", name, "' has no value");
      auto argument = ReadRenamed(*value, scope);
      if (!argument.ok()) {
        return Annotate(argument.status(), StrCat("argument '", foreign::Printable(name), "'"));
      }
      node.arguments[name] = *std::move(argument);
    }
    program_.nodes.push_back(std::move(node));
    return OkStatus();
  }

  // The graph of a node that only says how gradients or types are handled in it: nullptr for all
  // other nodes, and for autocast that is switched on.
  static const Json* FindRegion(const std::string& target, const Json& inputs) {
    const auto argument = [&inputs](size_t i, const char* kind) -> const Json* {
      const Json* const arg = i < inputs.size() ? Find(inputs[i], "arg") : nullptr;
      return arg == nullptr ? nullptr : Find(*arg, kind);
    };
    const Json* graph = nullptr;
    if (target == "higher_order.wrap_with_set_grad_enabled") {
      graph = argument(1, "as_graph");  // (enabled, graph, operands...)
    } else if (target == "higher_order.wrap_with_autocast") {
      // (device, type, enabled, caching, graph, operands...)
      const Json* const enabled = argument(2, "as_bool");
      if (enabled != nullptr && *enabled == false) graph = argument(4, "as_graph");
    }
    return graph == nullptr ? nullptr : Find(*graph, "graph");
  }

  Status Inline(const ProgramNode& node, const Json& inputs, const Json& region,
                const Scope& scope) {
    const Json* const inner_inputs = FindList(region, "inputs");
    const Json* const inner_outputs = FindList(region, "outputs");
    if (inner_inputs == nullptr || inner_outputs == nullptr ||
        inner_inputs->size() > inputs.size() || inner_outputs->size() != node.results.size()) {
      return InvalidInput("its graph does not fit it");
    }
    std::map<std::string, std::string> renamed;
    const size_t first = inputs.size() - inner_inputs->size();
    for (size_t i = 0; i < inner_inputs->size(); ++i) {
      const Json* const operand = Find(inputs[first + i], "arg");
      if (operand == nullptr) return InvalidInput("an operand has no value");
      KILN_ASSIGN_OR_RETURN(const Argument outer, ReadRenamed(*operand, scope));
      KILN_ASSIGN_OR_RETURN(const Argument inner, ReadArgument((*inner_inputs)[i]));
      if (outer.names.size() != 1 || inner.names.size() != 1) {
        return Unsupported("an operand that is no tensor is not supported");
      }
      renamed[inner.names[0]] = outer.names[0];
    }
    const std::string prefix = node.name + ".";
    KILN_RETURN_IF_ERROR(Read(region, prefix, renamed));
    KILN_ASSIGN_OR_RETURN(const auto results, ReadResults(*inner_outputs, {prefix, renamed}));
    for (size_t i = 0; i < results.size(); ++i) {
      if (results[i].empty()) continue;
      ProgramNode result{node.results[i], "aten.alias.default", node.label, {}, {node.results[i]}};
      result.arguments["self"] = {Argument::Kind::kTensors, false, {results[i]}, {}, ""};
      program_.nodes.push_back(std::move(result));
    }
    return OkStatus();
  }

  Program& program_;
};

StatusOr<InputSpec> ReadInputSpec(const Json& json) {
  using Kind = InputSpec::Kind;
  KILN_ASSIGN_OR_RETURN(const auto member, UnionMember(json));
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
      KILN_ASSIGN_OR_RETURN(const auto kind, UnionMember(*arg));
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
  KILN_ASSIGN_OR_RETURN(const auto member, UnionMember(json));
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
  if (graph == nullptr || signature == nullptr) {
    return InvalidInput("the program has no graph or no signature");
  }
  Program program;
  KILN_RETURN_IF_ERROR(ReadSignature(*signature, &program));
  KILN_RETURN_IF_ERROR(GraphReader(&program).Read(*graph, "", {}));
  return program;
}

}  // namespace kiln::pytorch_import
