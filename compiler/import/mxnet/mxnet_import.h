// MXNet models: a symbol (-symbol.json) with the arrays of a .params file or without. See
// op_table.h for the operators.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "compiler/import/import.h"

namespace kiln {

/// Whether `bytes` look like a symbol or a .params file.
bool DetectMxnet(std::span<const char> bytes);

/// The table of operators.
std::vector<ImportableOp> MxnetOperators();

/// Imports the symbol in one of `paths` with the arrays in the other, if there are two.
StatusOr<std::unique_ptr<Module>> ImportMxnetFiles(const std::vector<std::string>& paths,
                                                   const ImportOptions& options);

/// The same for files in memory; `params` may be empty.
StatusOr<std::unique_ptr<Module>> ImportMxnet(std::span<const char> symbol,
                                              std::span<const char> params,
                                              const ImportOptions& options);

}  // namespace kiln
