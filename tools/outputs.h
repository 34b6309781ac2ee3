// The outputs of a run: to .npy files, and described for people and machines.
#pragma once

#include <CLI/CLI.hpp>
#include <set>
#include <string>
#include <vector>

#include "ir/support/status.h"
#include "runtime/host_tensor.h"
#include "tools/common.h"

namespace kiln {

struct OutputOptions {
  std::string directory = ".";
  int64_t top = 0;     ///< how many of the best classes to tell; 0: none
  std::string labels;  ///< file with a class name a line; empty: none
};

void AddOutputOptions(CLI::App& app, OutputOptions& options);

class OutputWriter {
 public:
  /// Makes the folder and reads the labels: what can fail does so before the model runs.
  static StatusOr<OutputWriter> Create(const OutputOptions& options);

  /// Writes NAME.npy and describes the tensor: {name, type, min, max, mean, nans, file, top}, where
  /// top holds for each row of the leading dimension the best classes, {class, score, label}. In
  /// the file's name, what could steer a file system becomes '_', and equal names are numbered.
  StatusOr<Json> Write(const std::string& name, const HostTensor& tensor);

 private:
  OutputWriter(OutputOptions options, std::vector<std::string> labels)
      : options_(std::move(options)), labels_(std::move(labels)) {}

  OutputOptions options_;
  std::vector<std::string> labels_;
  std::set<std::string> taken_;
};

/// Prints such a description as text.
void PrintOutput(const Json& output);

}  // namespace kiln
