// The reference page of all ops, docs/ops.md, written from their definitions.
#pragma once

#include <string>

#include "ir/graph/op_def.h"

namespace kiln {

/// Whether an op can be differentiated: "yes", "by its decomposition" or "none, " and the reason.
std::string GradientStatus(const OpDef& def);

/// Markdown: every op in the order of its name, with its equation, operands and attributes.
std::string OpsDocumentation();

}  // namespace kiln
