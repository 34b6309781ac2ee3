// `kiln ops`: the supported operators.
#include <algorithm>

#include "compiler/import/import.h"
#include "ir/graph/op_def.h"
#include "ir/graph/printer.h"
#include "ir/ops/ops_doc.h"
#include "tools/common.h"

namespace kiln {

namespace {

struct OpsOptions {
  std::string format;
};

std::string OperandText(const OpDef& op) {
  std::vector<std::string> names;
  for (const OperandDef& operand : op.operands) {
    names.push_back(operand.name + (operand.variadic ? "..." : ""));
  }
  return StrJoin(names, ", ");
}

std::string AttributeText(const AttributeDef& attribute) {
  std::string text = StrCat(attribute.name, ": ", Name(attribute.kind));
  if (attribute.default_value) text += StrCat(" = ", Print(*attribute.default_value));
  if (!attribute.doc.empty()) text += StrCat("  ", attribute.doc);
  return text;
}

Json OwnOpsJson() {
  Json ops = Json::array();
  for (const OpDef* op : AllOps()) {
    Json attributes = Json::array();
    for (const AttributeDef& attribute : op->attributes) {
      Json entry = {
          {"name", attribute.name}, {"kind", Name(attribute.kind)}, {"doc", attribute.doc}};
      if (attribute.default_value) entry["default"] = Print(*attribute.default_value);
      attributes.push_back(std::move(entry));
    }
    ops.push_back({{"name", op->name},
                   {"operands", OperandText(*op)},
                   {"attributes", std::move(attributes)},
                   {"gradient", GradientStatus(*op)},
                   {"doc", op->doc}});
  }
  return ops;
}

void PrintOwnOps() {
  for (const OpDef* op : AllOps()) {
    PrintOut(StrCat(op->name, "(", OperandText(*op), ")\n"));
    if (!op->doc.empty()) PrintOut(StrCat("    ", op->doc, "\n"));
    PrintOut(StrCat("    gradient: ", GradientStatus(*op), "\n"));
    for (const AttributeDef& attribute : op->attributes) {
      PrintOut(StrCat("    - ", AttributeText(attribute), "\n"));
    }
  }
}

Json ImportableOpsJson(const std::vector<ImportableOp>& ops) {
  Json list = Json::array();
  for (const ImportableOp& op : ops) {
    list.push_back({{"name", op.name}, {"versions", op.versions}, {"limits", op.limits}});
  }
  return list;
}

void PrintImportableOps(const std::vector<ImportableOp>& ops) {
  size_t width = 8;
  for (const ImportableOp& op : ops) width = std::max(width, op.name.size());
  const int columns = static_cast<int>(width) + 2;
  PrintOut(StrCat(Pad("operator", columns), Pad("versions", 10), "limits\n"));
  for (const ImportableOp& op : ops) {
    PrintOut(StrCat(Pad(op.name, columns), Pad(op.versions, op.limits.empty() ? 0 : 10), op.limits,
                    "\n"));
  }
  PrintOut(StrCat(ops.size(), " operators\n"));
}

Status Ops(const OpsOptions& options, const Globals& globals) {
  if (options.format.empty()) {
    if (globals.json) {
      PrintJson(OwnOpsJson());
    } else {
      PrintOwnOps();
    }
    return OkStatus();
  }
  KILN_ASSIGN_OR_RETURN(const auto ops, ImportableOps(options.format));
  if (globals.json) {
    PrintJson(ImportableOpsJson(ops));
  } else {
    PrintImportableOps(ops);
  }
  return OkStatus();
}

}  // namespace

void AddOpsCommand(CLI::App& app, const Globals& globals, Action& action) {
  const auto options = std::make_shared<OpsOptions>();
  CLI::App* const command = app.add_subcommand(
      "ops", "List the operators: Kiln's own, or those of a format with what is not supported.");
  command->add_option("--format", options->format, "The format whose operators to list")
      ->check(CLI::IsMember(ImportFormats()));
  command->callback(
      [options, &globals, &action] { action = [=, &globals] { return Ops(*options, globals); }; });
}

}  // namespace kiln
