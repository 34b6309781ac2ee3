// Caffe models (https://caffe.berkeleyvision.org): a net as .prototxt or binary, with the weights
// of a .caffemodel or without. See layer_table.h for the layers.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "compiler/import/import.h"

namespace kiln {

/// Whether `bytes` look like a NetParameter, as text or binary, or like a solver (which is no
/// model, and is refused as such).
bool DetectCaffe(std::span<const char> bytes);

/// The table of layers.
std::vector<ImportableOp> CaffeOperators();

/// Imports the net in paths[0], with the weights in paths[1] if there are two files (in either
/// order). A net that holds blobs itself is its own weights.
StatusOr<std::unique_ptr<Module>> ImportCaffeFiles(const std::vector<std::string>& paths,
                                                   const ImportOptions& options);

/// The same for files in memory; `weights` may be empty.
StatusOr<std::unique_ptr<Module>> ImportCaffe(std::span<const char> net,
                                              std::span<const char> weights,
                                              const ImportOptions& options);

}  // namespace kiln
