// TensorFlow models: frozen graphs (GraphDef), binary or text, and SavedModels with their
// variables. See op_table.h for the operators.
//
// Data stay in TensorFlow's order (NHWC); the layout pass finds the fast one. The results of a
// graph are the nodes that nobody reads; those of a SavedModel its signature names.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "compiler/import/import.h"

namespace kiln {

/// Whether `bytes` look like a GraphDef, as text or binary, or a SavedModel.
bool DetectTensorflow(std::span<const char> bytes);

/// The table of operators.
std::vector<ImportableOp> TensorflowOperators();

/// Imports the graph or SavedModel at paths[0]; the variables of a SavedModel lie in the folder
/// "variables" beside it.
StatusOr<std::unique_ptr<Module>> ImportTensorflowFiles(const std::vector<std::string>& paths,
                                                        const ImportOptions& options);

/// The same for a file in memory; `folder` is where a SavedModel lies (empty: it has no variables).
StatusOr<std::unique_ptr<Module>> ImportTensorflow(std::span<const char> bytes,
                                                   const std::string& folder,
                                                   const ImportOptions& options);

}  // namespace kiln
