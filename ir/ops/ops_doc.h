// The reference page of all ops, docs/ops.md, written from their definitions.
#pragma once

#include <string>

namespace kiln {

/// Markdown: every op in the order of its name, with its equation, operands and attributes.
std::string OpsDocumentation();

}  // namespace kiln
