#include "runtime/session.h"

#include <algorithm>
#include <new>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "runtime/library.h"

namespace kiln {
namespace {

absl::Status CheckInput(const kiln_tensor_info& expected, const HostTensor& found) {
  if (found.dtype != expected.dtype || found.shape != ShapeOf(expected)) {
    return absl::InvalidArgumentError(absl::StrCat("input '", expected.name, "': expected ",
                                                   TypeText(expected), ", found ",
                                                   TypeText(found.dtype, found.shape)));
  }
  if (found.bytes.size() != expected.bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("input '", expected.name, "': ", TypeText(expected), " takes ", expected.bytes,
                     " bytes, found ", found.bytes.size()));
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<int64_t> ShapeOf(const kiln_tensor_info& tensor) {
  return std::vector<int64_t>(tensor.shape, tensor.shape + tensor.rank);
}

std::string TypeText(const kiln_tensor_info& tensor) {
  return TypeText(tensor.dtype, ShapeOf(tensor));
}

absl::StatusOr<Session> Session::Create(const kiln_function_info* function,
                                        SessionOptions options) {
  if (absl::Status status = CheckFunctionInfo(*function); !status.ok()) return status;
  absl::StatusOr<Pages> workspace =
      Pages::Map(function->workspace_bytes, function->workspace_alignment);
  if (!workspace.ok()) {
    return absl::ResourceExhaustedError(
        absl::StrCat("no memory for a workspace of ", function->workspace_bytes, " bytes"));
  }
  return Session(function, std::move(options), *std::move(workspace));
}

absl::Status Session::CheckInputs(std::span<const HostTensor> inputs) const {
  const size_t expected = function_->num_inputs;
  if (inputs.size() != expected) {
    std::string list;
    for (size_t i = 0; i < expected; ++i) {
      const kiln_tensor_info& input = function_->inputs[i];
      absl::StrAppend(&list, i == 0 ? "" : ", ", "'", input.name, "' ", TypeText(input));
    }
    return absl::InvalidArgumentError(absl::StrCat("expected ", expected, " input",
                                                   expected == 1 ? "" : "s", " (", list,
                                                   "), found ", inputs.size()));
  }
  for (size_t i = 0; i < expected; ++i) {
    absl::Status status = CheckInput(function_->inputs[i], inputs[i]);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<HostTensor>> Session::Run(std::span<const HostTensor> inputs) {
  if (absl::Status status = CheckInputs(inputs); !status.ok()) return status;
  std::vector<const void*> sources;
  for (const HostTensor& input : inputs) sources.push_back(input.bytes.data());
  std::vector<HostTensor> outputs;
  std::vector<void*> targets;
  for (int32_t i = 0; i < function_->num_outputs; ++i) {
    const kiln_tensor_info& info = function_->outputs[i];
    std::vector<char> bytes;
    try {
      bytes.resize(info.bytes);
    } catch (const std::bad_alloc&) {
      return absl::ResourceExhaustedError(
          absl::StrCat("no memory for output '", info.name, "' ", TypeText(info)));
    }
    targets.push_back(bytes.data());  // Moving a vector keeps its buffer.
    outputs.push_back({static_cast<kiln_dtype>(info.dtype), ShapeOf(info), std::move(bytes)});
  }
  absl::Status status = RunUnchecked(sources.data(), targets.data());
  if (!status.ok()) return status;
  return outputs;
}

absl::Status Session::RunUnchecked(const void* const* inputs, void* const* outputs) {
  const kiln_call call = {inputs, outputs, options_.parameters, workspace_.data(),
                          options_.executor};
  const int32_t result = function_->run(&call);
  if (result == 0) return absl::OkStatus();
  if (result == 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "function '", function_->name, "' updates parameters and needs a parameter block"));
  }
  return absl::InternalError(
      absl::StrCat("function '", function_->name, "' failed with code ", result));
}

}  // namespace kiln
