// The --input options: files, pictures and random numbers as the inputs of a function.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "ir/support/status.h"
#include "runtime/host_tensor.h"
#include "tools/image.h"
#include "tools/tensors.h"

namespace kiln {

struct InputOptions {
  std::vector<std::string> inputs;  ///< [NAME=]FILE or [NAME=]random[:SEED]
  ImageOptions image;               ///< but for the order
  std::string order = "rgb";
};

void AddInputOptions(CLI::App& app, InputOptions& options);

/// An error when inputs, outputs and workspace together are larger than this machine's memory.
Status CheckMemory(const std::vector<TensorSignature>& inputs,
                   const std::vector<TensorSignature>& outputs, uint64_t workspace_bytes = 0);

/// What a function without a value for an input gets.
enum class MissingInputs { kError, kRandom };

/// The inputs in the order of `signature`. NAME= may be left out where the function has one input;
/// `random` without a name fills every input that is not named. Errors begin with the
/// file that is wrong, or with `model` when an --input is, and say what was expected and found.
StatusOr<std::vector<HostTensor>> LoadInputs(const std::string& model, const InputOptions& options,
                                             const std::vector<TensorSignature>& signature,
                                             MissingInputs missing);

}  // namespace kiln
