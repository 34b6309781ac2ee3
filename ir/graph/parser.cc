#include "ir/graph/parser.h"

#include <algorithm>
#include <set>
#include <unordered_map>
#include <utility>

#include "ir/graph/builder.h"
#include "ir/graph/op_def.h"
#include "ir/graph/text_reader.h"

namespace kiln {

namespace {

// An op's sources are kept in a list that is searched when one is added.
constexpr size_t kMaxSources = 4096;

using Scope = std::unordered_map<std::string, Op*>;

// What stands before a body on an op's line.
struct Statement {
  Token name;
  Token kind;
  std::vector<Op*> operands;
  AttributeMap attributes;
  Token type_token;
  TensorType type;
  std::vector<std::string> sources;
};

// An output before the ops of its function have been read.
struct OutputText {
  std::string name;
  Token value;
  bool update;
};

class Parser {
 public:
  Parser(std::string_view text, const SideFile* side_file)
      : reader_(text, side_file), module_(std::make_unique<Module>()) {}

  StatusOr<std::unique_ptr<Module>> Parse();

 private:
  Status ParseMetadata();
  Status ParseParameter();
  Status ParseFunction();
  StatusOr<std::string> FunctionName();
  Status ParseInputs(Graph& graph, Scope& scope);
  Status ParseOutputs(std::vector<OutputText>& outputs);
  StatusOr<std::vector<std::string>> ParseSources();
  StatusOr<Statement> ParseStatement(const Scope& scope);
  Status ParseAttributes(const OpDef& def, AttributeMap& attributes);
  Status ParseOp(Graph& graph, Scope& scope, int depth);
  StatusOr<std::unique_ptr<Graph>> ParseBody(int depth);
  StatusOr<Op*> Find(const Scope& scope, const Token& name) const;

  TextReader reader_;
  std::unique_ptr<Module> module_;
  std::set<std::string> function_names_;
};

Status Located(const Token& at, const Status& status) {
  return status.ok() ? status : TextReader::ErrorAt(at, Message(status));
}

StatusOr<std::unique_ptr<Module>> Parser::Parse() {
  KILN_RETURN_IF_ERROR(reader_.ExpectWord("module"));
  KILN_ASSIGN_OR_RETURN(module_->name, reader_.String());
  KILN_RETURN_IF_ERROR(reader_.Expect("{"));
  while (!reader_.Accept("}")) {
    if (reader_.AcceptWord("metadata")) {
      KILN_RETURN_IF_ERROR(ParseMetadata());
    } else if (reader_.AcceptWord("parameter")) {
      KILN_RETURN_IF_ERROR(ParseParameter());
    } else if (reader_.AcceptWord("func")) {
      KILN_RETURN_IF_ERROR(ParseFunction());
    } else {
      return reader_.Error("'metadata', 'parameter', 'func' or '}'");
    }
  }
  if (reader_.token().kind != TokenKind::kEnd) return reader_.Error("the end of the text");
  return std::move(module_);
}

Status Parser::ParseMetadata() {
  const Token at = reader_.token();
  KILN_ASSIGN_OR_RETURN(std::string key, reader_.String());
  KILN_RETURN_IF_ERROR(reader_.Expect("="));
  KILN_ASSIGN_OR_RETURN(std::string value, reader_.String());
  if (!module_->metadata.emplace(std::move(key), std::move(value)).second) {
    return TextReader::ErrorAt(at, "the metadata has this key already");
  }
  return OkStatus();
}

Status Parser::ParseParameter() {
  const Token at = reader_.token();
  Parameter parameter;
  KILN_ASSIGN_OR_RETURN(parameter.name, reader_.String());
  KILN_RETURN_IF_ERROR(reader_.Expect(":"));
  KILN_ASSIGN_OR_RETURN(const TensorType type, reader_.Type());
  KILN_RETURN_IF_ERROR(reader_.Expect("="));
  KILN_ASSIGN_OR_RETURN(parameter.value, reader_.Content(type));
  parameter.trainable = !reader_.AcceptWord("frozen");
  if (module_->FindParameter(parameter.name) != nullptr) {
    return TextReader::ErrorAt(at, "there is a parameter of this name already");
  }
  module_->SetParameter(std::move(parameter));
  return OkStatus();
}

StatusOr<std::string> Parser::FunctionName() {
  KILN_RETURN_IF_ERROR(reader_.Expect("@"));
  const TokenKind kind = reader_.token().kind;
  // A bare name may start with a digit, which makes it a number to the lexer.
  const bool bare = kind == TokenKind::kIdentifier || kind == TokenKind::kNumber;
  if (!bare && kind != TokenKind::kString) return reader_.Error("a function name");
  return reader_.Take().text;
}

Status Parser::ParseFunction() {
  const Token at = reader_.lookahead();
  KILN_ASSIGN_OR_RETURN(const std::string name, FunctionName());
  if (!function_names_.insert(name).second) {
    return TextReader::ErrorAt(at, "there is a function of this name already");
  }
  Graph& graph = *module_->AddFunction(name);
  Scope scope;
  KILN_RETURN_IF_ERROR(ParseInputs(graph, scope));
  KILN_RETURN_IF_ERROR(reader_.Expect("->"));
  std::vector<OutputText> outputs;
  KILN_RETURN_IF_ERROR(ParseOutputs(outputs));
  KILN_RETURN_IF_ERROR(reader_.Expect("{"));
  while (!reader_.Accept("}")) KILN_RETURN_IF_ERROR(ParseOp(graph, scope, 0));
  for (const auto& [output, value, update] : outputs) {
    KILN_ASSIGN_OR_RETURN(Op* const op, Find(scope, value));
    if (update) KILN_RETURN_IF_ERROR(Located(value, CheckUpdate(*module_, {output, op, true})));
    update ? graph.AddUpdate(output, op) : graph.AddOutput(output, op);
  }
  return OkStatus();
}

Status Parser::ParseInputs(Graph& graph, Scope& scope) {
  std::set<std::string> public_names;
  KILN_RETURN_IF_ERROR(reader_.Expect("("));
  return reader_.List(")", [&]() -> Status {
    KILN_ASSIGN_OR_RETURN(const Token name, reader_.Value());
    KILN_RETURN_IF_ERROR(reader_.Expect(":"));
    KILN_ASSIGN_OR_RETURN(TensorType type, reader_.Type());
    std::vector<std::string> sources = {name.text};
    if (reader_.AtWord("loc")) {
      KILN_ASSIGN_OR_RETURN(sources, ParseSources());
    }
    if (scope.contains(name.text) || !public_names.insert(sources[0]).second) {
      return TextReader::ErrorAt(name, "there is an input of this name already");
    }
    Builder builder(&graph);
    builder.SetNameHint(name.text);
    KILN_ASSIGN_OR_RETURN(Op* const input, builder.Input(sources[0], std::move(type)));
    input->AddSources(sources);
    scope.emplace(name.text, input);
    return OkStatus();
  });
}

Status Parser::ParseOutputs(std::vector<OutputText>& outputs) {
  std::set<std::pair<bool, std::string>> names;
  KILN_RETURN_IF_ERROR(reader_.Expect("("));
  return reader_.List(")", [&]() -> Status {
    const bool update = reader_.AcceptWord("update");
    const Token at = reader_.token();
    KILN_ASSIGN_OR_RETURN(std::string name, reader_.String());
    if (!names.emplace(update, name).second) {
      return TextReader::ErrorAt(at, "there is an output of this name already");
    }
    KILN_RETURN_IF_ERROR(reader_.Expect(":"));
    KILN_ASSIGN_OR_RETURN(Token value, reader_.Value());
    outputs.push_back({std::move(name), std::move(value), update});
    return OkStatus();
  });
}

StatusOr<std::vector<std::string>> Parser::ParseSources() {
  const Token at = reader_.Take();
  std::vector<std::string> sources;
  KILN_RETURN_IF_ERROR(reader_.Expect("("));
  KILN_RETURN_IF_ERROR(reader_.List(")", [&]() -> Status {
    KILN_ASSIGN_OR_RETURN(sources.emplace_back(), reader_.String());
    return OkStatus();
  }));
  if (sources.empty() || sources.size() > kMaxSources) {
    return TextReader::ErrorAt(
        at, StrCat("expected 1 to ", kMaxSources, " names, found ", sources.size()));
  }
  return sources;
}

StatusOr<Op*> Parser::Find(const Scope& scope, const Token& name) const {
  const auto it = scope.find(name.text);
  if (it == scope.end()) {
    return TextReader::ErrorAt(name,
                               StrCat("expected a value defined above, found ", name.Describe()));
  }
  return it->second;
}

Status Parser::ParseAttributes(const OpDef& def, AttributeMap& attributes) {
  if (!reader_.Accept("{")) return OkStatus();
  return reader_.List("}", [&]() -> Status {
    const Token at = reader_.token();
    KILN_ASSIGN_OR_RETURN(std::string name, reader_.Identifier("an attribute name"));
    const auto it = std::find_if(def.attributes.begin(), def.attributes.end(),
                                 [&](const AttributeDef& a) { return a.name == name; });
    if (it == def.attributes.end()) {
      return TextReader::ErrorAt(
          at, StrCat("expected an attribute of ", def.name, ", found '", name, "'"));
    }
    KILN_RETURN_IF_ERROR(reader_.Expect("="));
    KILN_ASSIGN_OR_RETURN(Attribute value, reader_.Value(it->kind));
    if (!attributes.emplace(std::move(name), std::move(value)).second) {
      return TextReader::ErrorAt(at, "the op has this attribute already");
    }
    return OkStatus();
  });
}

StatusOr<Statement> Parser::ParseStatement(const Scope& scope) {
  Statement statement;
  KILN_ASSIGN_OR_RETURN(statement.name, reader_.Value());
  if (scope.contains(statement.name.text)) {
    return TextReader::ErrorAt(statement.name, "there is a value of this name already");
  }
  KILN_RETURN_IF_ERROR(reader_.Expect("="));
  statement.kind = reader_.token();
  const OpDef* const def =
      statement.kind.kind == TokenKind::kIdentifier ? FindOp(statement.kind.text) : nullptr;
  if (def == nullptr) return reader_.Error("an op");
  reader_.Take();
  KILN_RETURN_IF_ERROR(reader_.Expect("("));
  KILN_RETURN_IF_ERROR(reader_.List(")", [&]() -> Status {
    KILN_ASSIGN_OR_RETURN(const Token operand, reader_.Value());
    KILN_ASSIGN_OR_RETURN(statement.operands.emplace_back(), Find(scope, operand));
    return OkStatus();
  }));
  KILN_RETURN_IF_ERROR(ParseAttributes(*def, statement.attributes));
  KILN_RETURN_IF_ERROR(reader_.Expect(":"));
  statement.type_token = reader_.token();
  KILN_ASSIGN_OR_RETURN(statement.type, reader_.Type());
  if (reader_.AtWord("loc")) {
    KILN_ASSIGN_OR_RETURN(statement.sources, ParseSources());
  }
  return statement;
}

StatusOr<std::unique_ptr<Graph>> Parser::ParseBody(int depth) {
  if (depth > kMaxRegionDepth) {
    return TextReader::ErrorAt(reader_.token(),
                               StrCat("bodies nest more than ", kMaxRegionDepth, " deep"));
  }
  auto body = std::make_unique<Graph>(module_.get(), "body");
  Scope scope;
  KILN_RETURN_IF_ERROR(reader_.Expect("{"));
  KILN_RETURN_IF_ERROR(ParseInputs(*body, scope));
  while (!reader_.Accept("->")) KILN_RETURN_IF_ERROR(ParseOp(*body, scope, depth));
  KILN_ASSIGN_OR_RETURN(const Token result, reader_.Value());
  KILN_ASSIGN_OR_RETURN(Op* const op, Find(scope, result));
  body->AddOutput("result", op);
  KILN_RETURN_IF_ERROR(reader_.Expect("}"));
  return body;
}

Status Parser::ParseOp(Graph& graph, Scope& scope, int depth) {
  KILN_ASSIGN_OR_RETURN(Statement statement, ParseStatement(scope));
  Builder builder(&graph);
  builder.SetNameHint(statement.name.text);
  builder.SetSources(std::move(statement.sources));
  StatusOr<Op*> op = nullptr;
  if (reader_.At("{")) {
    KILN_ASSIGN_OR_RETURN(auto body, ParseBody(depth + 1));
    op = builder.MakeRegion(statement.kind.text, statement.operands, std::move(body),
                            std::move(statement.attributes));
  } else {
    op = builder.Make(statement.kind.text, {statement.operands.begin(), statement.operands.end()},
                      std::move(statement.attributes));
  }
  KILN_RETURN_IF_ERROR(Located(statement.kind, op.status()));
  // A computed value may lie in any layout; a leaf or a relayout has its own.
  if (!(*op)->HasTrait(kLeaf) && !(*op)->attributes().contains("layout")) {
    (*op)->SetLayout(statement.type.layout);
  }
  if ((*op)->type() != statement.type) {
    return TextReader::ErrorAt(statement.type_token,
                               StrCat("expected ", (*op)->type().ToString(),
                                      " (the inferred type), found ", statement.type.ToString()));
  }
  scope.emplace(statement.name.text, *op);
  return OkStatus();
}

}  // namespace

StatusOr<std::unique_ptr<Module>> ParseModule(std::string_view text, const SideFile* side_file) {
  return Parser(text, side_file).Parse();
}

}  // namespace kiln
