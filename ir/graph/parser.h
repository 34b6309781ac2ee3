// Reads the text form of the graph IR, described in printer.h.
#pragma once

#include <memory>
#include <string_view>

#include "ir/graph/graph.h"
#include "ir/graph/side_file.h"
#include "ir/support/status.h"

namespace kiln {

/// Parses one module. Every op goes through the builder, and its written type must be the one that
/// is inferred. The text may be hostile: all sizes, counts and depths are bounded. Tensors named by
/// hash come from `side_file`; when that is null or lacks them they are unknown.
/// Errors: "line:column: expected X, found Y", or what the builder says about an op.
StatusOr<std::unique_ptr<Module>> ParseModule(std::string_view text,
                                              const SideFile* side_file = nullptr);

}  // namespace kiln
