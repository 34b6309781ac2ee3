// Caffe2 models: the net that runs (predict_net) and the one that fills the weights (init_net),
// each binary or text. See op_table.h for the operators.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "compiler/import/import.h"

namespace kiln {

/// Whether `bytes` look like a NetDef, as text or binary.
bool DetectCaffe2(std::span<const char> bytes);

/// The table of operators.
std::vector<ImportableOp> Caffe2Operators();

/// Imports the net in paths[0], with the weights that the net in paths[1] fills if there are two
/// files (in either order). What neither defines is an input, whose shape the options must give.
StatusOr<std::unique_ptr<Module>> ImportCaffe2Files(const std::vector<std::string>& paths,
                                                    const ImportOptions& options);

/// The same for nets in memory; `init` may be empty.
StatusOr<std::unique_ptr<Module>> ImportCaffe2(std::span<const char> predict,
                                               std::span<const char> init,
                                               const ImportOptions& options);

}  // namespace kiln
