// ONNX models (https://onnx.ai), opsets 1 to 27, inference graphs. See op_table.h for the
// operators.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "compiler/import/import.h"
#include "proto/onnx.pb.h"

namespace kiln {

/// Whether `bytes` look like the start of a serialised ModelProto.
bool DetectOnnx(std::span<const char> bytes);

/// The table of operators.
std::vector<ImportableOp> OnnxOperators();

/// Imports the file at `path`, whose external data lie in its folder.
StatusOr<std::unique_ptr<Module>> ImportOnnxFile(const std::string& path,
                                                 const ImportOptions& options);

/// Imports a model that is in memory; external data are looked for in `folder` (none when empty).
/// Consumes the raw data of its tensors.
StatusOr<std::unique_ptr<Module>> ImportOnnx(onnx::ModelProto model, const std::string& folder,
                                             const ImportOptions& options);

}  // namespace kiln
