// PyTorch models: the .pt2 archives of torch.export.save. No pickle is run. See op_table.h for the
// operators and archive.h for the layouts of archives.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "compiler/import/import.h"

namespace kiln {

namespace pytorch_import {
struct Archive;
}

/// Whether `bytes` are a zip archive: the only form of PyTorch's files, and no other model's.
bool DetectPytorch(std::span<const char> bytes);

/// The table of operators.
std::vector<ImportableOp> PytorchOperators();

/// Imports the archive in the one of `paths`.
StatusOr<std::unique_ptr<Module>> ImportPytorchFiles(const std::vector<std::string>& paths,
                                                     const ImportOptions& options);

/// The same for an archive in memory.
StatusOr<std::unique_ptr<Module>> ImportPytorch(std::span<const char> bytes,
                                                const ImportOptions& options);
/// The same for one that is unpacked.
StatusOr<std::unique_ptr<Module>> ImportPytorch(const pytorch_import::Archive& archive,
                                                const ImportOptions& options);

}  // namespace kiln
