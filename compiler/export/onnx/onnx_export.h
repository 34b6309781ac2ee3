// Writes a function as an ONNX model (https://onnx.ai), opset 19, IR version 9.
//
// What is written reads back as the same computation; node names are the model's own where an op
// still has one. Parameters become initializers under their names. Ops that only the passes make
// (fusions, layouts, Winograd forms), and what ONNX has no operator for, are refused by name, all
// at once.
#pragma once

#include <string>
#include <vector>

#include "ir/graph/graph.h"
#include "ir/support/status.h"
#include "proto/onnx.pb.h"

namespace kiln {

struct OnnxExportOptions {
  std::string function = "forward";
  /// The leading dimension of inputs and outputs is "N" and reshapes keep it, where it is that of
  /// the first input. The caller must know that the model does not depend on it.
  bool open_batch = false;
};

/// The model as a message, tensors inside.
StatusOr<onnx::ModelProto> ExportOnnx(const Module& module, const OnnxExportOptions& options = {});

/// Writes it to a file, atomically. Tensors go to PATH.data beside it where they would not fit into
/// the 2 GiB of a message.
Status SaveOnnx(const Module& module, const std::string& path,
                const OnnxExportOptions& options = {});

/// The ops that can be written, by name; composites that are not among them are written as what
/// they are made of.
std::vector<std::string> ExportableOps();

}  // namespace kiln
