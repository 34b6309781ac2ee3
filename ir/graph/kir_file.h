// Model files in the text form: `foo.kir`, with the bytes of its large tensors in `foo.kir.data`.
#pragma once

#include <memory>
#include <string>

#include "ir/graph/graph.h"
#include "ir/support/status.h"

namespace kiln {

/// Errors start with the path, and `line:column` where the text is wrong. Without the side file the
/// large tensors are unknown.
StatusOr<std::unique_ptr<Module>> LoadKir(const std::string& path);

/// Writes the side file first (only when there is something to put in), then the text; each is
/// replaced in one step.
Status SaveKir(const Module& module, const std::string& path);

}  // namespace kiln
