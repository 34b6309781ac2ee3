#include "ir/ops/ops_doc.h"

#include "ir/graph/op_def.h"
#include "ir/graph/printer.h"

namespace kiln {

namespace {

constexpr char kHeader[] =
    "# Ops of the graph IR\n"
    "\n"
    "Generated from the definitions in `ir/ops/`; do not edit. After a change of an op, run\n"
    "`KILN_UPDATE_DOCS=1 build/release/tests/tests_ir --gtest_filter='OpsDocTest.*'`.\n"
    "\n"
    "Every op has one result. In signatures, `x...` is one or more operands. An attribute with a\n"
    "default may be left out.\n";

struct TraitName {
  Trait trait;
  const char* name;
};
constexpr TraitName kTraitNames[] = {
    {kElementwise, "elementwise"},
    {kCommutative, "commutative"},
    {kContraction, "contraction"},
    {kReduction, "reduction"},
    {kMovement, "movement"},
    {kView, "view"},
    {kLeaf, "leaf"},
    {kRegion, "region"},
    {kExpensive, "expensive"},
};

std::string Signature(const OpDef& def) {
  std::string operands;
  for (const OperandDef& operand : def.operands) {
    operands += StrCat(operands.empty() ? "" : ", ", operand.name, operand.variadic ? "..." : "");
  }
  return StrCat(def.name, "(", operands, ")");
}

// How the op computes, in a word, then its traits.
std::string Kind(const OpDef& def) {
  std::string text = def.decompose ? "composite"
                     : def.nest    ? "primitive with an own loop nest"
                     : def.stages  ? "primitive computed in stages"
                     : def.element ? "primitive"
                                   : "structural";
  for (const TraitName& entry : kTraitNames) {
    if (def.traits & entry.trait) text += StrCat(", ", entry.name);
  }
  return text;
}

std::string Attributes(const OpDef& def) {
  if (def.attributes.empty()) return "";
  std::string text = "\n| attribute | kind | default | |\n|---|---|---|---|\n";
  for (const AttributeDef& attribute : def.attributes) {
    const std::string value =
        attribute.default_value ? StrCat("`", Print(*attribute.default_value), "`") : "required";
    text += StrCat("| `", attribute.name, "` | ", Name(attribute.kind), " | ", value, " | ",
                   attribute.doc, " |\n");
  }
  return text;
}

}  // namespace

std::string GradientStatus(const OpDef& def) {
  if (def.gradient) return "yes";
  if (def.no_gradient.empty()) return "by its decomposition";
  return StrCat("none, ", def.no_gradient);
}

std::string OpsDocumentation() {
  std::string text = kHeader;
  for (const OpDef* const def : AllOps()) {
    text += StrCat("\n## ", def->name, "\n\n`", Signature(*def), "` (", Kind(*def), ")\n\n",
                   def->doc, "\n\nGradient: ", GradientStatus(*def), ".\n", Attributes(*def));
  }
  return text;
}

}  // namespace kiln
