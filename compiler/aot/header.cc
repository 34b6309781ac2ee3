// The C header of an emitted library.
#include <cctype>
#include <set>

#include "compiler/aot/abi_text.h"
#include "compiler/aot/library.h"

namespace kiln {

namespace {

const char* CType(ElementType type) {
  switch (type) {
    case ElementType::kBool:
    case ElementType::kU8: return "uint8_t";
    case ElementType::kI8: return "int8_t";
    case ElementType::kI16: return "int16_t";
    case ElementType::kI32: return "int32_t";
    case ElementType::kI64: return "int64_t";
    case ElementType::kU16:
    case ElementType::kF16:
    case ElementType::kBF16: return "uint16_t";
    case ElementType::kU32: return "uint32_t";
    case ElementType::kU64: return "uint64_t";
    case ElementType::kF32: return "float";
    case ElementType::kF64: return "double";
  }
  return "void";
}

std::string Upper(std::string text) {
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

/// What an argument of the typed call may not be named.
const std::set<std::string>& ReservedNames() {
  static const auto* const names = new std::set<std::string>{
      "workspace", "executor", "kiln_inputs", "kiln_outputs", "call",     "auto",    "bool",
      "break",     "case",     "catch",       "char",         "class",    "const",   "continue",
      "default",   "delete",   "do",          "double",       "else",     "enum",    "extern",
      "false",     "float",    "for",         "friend",       "goto",     "if",      "inline",
      "int",       "long",     "namespace",   "new",          "operator", "private", "protected",
      "public",    "register", "restrict",    "return",       "short",    "signed",  "sizeof",
      "static",    "struct",   "switch",      "template",     "this",     "throw",   "true",
      "try",       "typedef",  "typename",    "union",        "unsigned", "using",   "virtual",
      "void",      "volatile", "while"};
  return *names;
}

/// Identifiers for tensors, made distinct where two names differ only in characters C lacks.
std::vector<std::string> Identifiers(const std::vector<TensorSpec>& tensors,
                                     std::set<std::string>& taken) {
  std::vector<std::string> names;
  for (const TensorSpec& tensor : tensors) {
    std::string name = CIdentifier(tensor.name);
    while (!taken.insert(name).second) name += "_";
    names.push_back(std::move(name));
  }
  return names;
}

std::string FunctionText(const FunctionProgram& function, size_t index, const std::string& prefix) {
  const std::string name = prefix + "_" + CIdentifier(function.name);
  std::set<std::string> taken = ReservedNames();
  const auto inputs = Identifiers(function.inputs, taken);
  const auto outputs = Identifiers(function.outputs, taken);
  std::string text =
      StrCat("\n#define ", Upper(name), "_WORKSPACE_BYTES ", function.workspace_bytes, "\n");
  std::string arguments;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const TensorSpec& tensor = function.inputs[i];
    text += StrCat("/* ", inputs[i], ": ", tensor.type.ToString(), " */\n#define ", Upper(name),
                   "_", Upper(inputs[i]), "_COUNT ", tensor.type.count(), "\n");
    arguments += StrCat("const ", CType(tensor.type.element), "* ", inputs[i], ", ");
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    const TensorSpec& tensor = function.outputs[i];
    text += StrCat("/* ", outputs[i], ": ", tensor.type.ToString(), " */\n#define ", Upper(name),
                   "_", Upper(outputs[i]), "_COUNT ", tensor.type.count(), "\n");
    arguments += StrCat(CType(tensor.type.element), "* ", outputs[i], ", ");
  }
  text +=
      StrCat("/* workspace: ", Upper(name), "_WORKSPACE_BYTES bytes, aligned to ", kBufferAlignment,
             ". executor may be NULL. Returns 0. */\n"
             "static inline int32_t ",
             name, "(", arguments,
             "void* workspace, const kiln_executor* executor) {\n"
             "  const void* kiln_inputs[",
             std::max<size_t>(inputs.size(), 1),
             "];\n"
             "  void* kiln_outputs[",
             std::max<size_t>(outputs.size(), 1),
             "];\n"
             "  kiln_call call;\n");
  for (size_t i = 0; i < inputs.size(); ++i) {
    text += StrCat("  kiln_inputs[", i, "] = ", inputs[i], ";\n");
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    text += StrCat("  kiln_outputs[", i, "] = ", outputs[i], ";\n");
  }
  text += StrCat(
      "  call.inputs = kiln_inputs;\n"
      "  call.outputs = kiln_outputs;\n"
      "  call.parameters = 0;\n"
      "  call.workspace = workspace;\n"
      "  call.executor = executor;\n"
      "  return kiln_library()->functions[",
      index,
      "].run(&call);\n"
      "}\n");
  return text;
}

}  // namespace

std::string CIdentifier(const std::string& text) {
  std::string name;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    name += byte < 128 && std::isalnum(byte) ? c : '_';
  }
  if (name.empty() || std::isdigit(static_cast<unsigned char>(name[0]))) name = "_" + name;
  return name;
}

std::string EmitHeader(const Program& program, const std::string& prefix) {
  const std::string guard = Upper(prefix) + "_KILN_LIBRARY_H_";
  std::string text = StrCat("/* ", prefix,
                            ": a model compiled by Kiln " KILN_VERSION
                            ". Valid C99 and C++; needs no other file. */\n#ifndef ",
                            guard, "\n#define ", guard, "\n\n", kAbiHeaderText,
                            "\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n");
  for (size_t i = 0; i < program.functions.size(); ++i) {
    text += FunctionText(program.functions[i], i, prefix);
  }
  text += StrCat("\n#ifdef __cplusplus\n}\n#endif\n\n#endif /* ", guard, " */\n");
  return text;
}

}  // namespace kiln
