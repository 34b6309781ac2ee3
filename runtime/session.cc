#include "runtime/session.h"

#include <sys/mman.h>

#include <algorithm>
#include <limits>
#include <new>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "runtime/library.h"

namespace kiln {
namespace {

// Large workspaces sit on huge pages where the system has them.
constexpr uint64_t kHugePage = uint64_t{1} << 21;

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

absl::StatusOr<std::unique_ptr<Session::Workspace>> Session::Workspace::Map(uint64_t bytes,
                                                                            uint64_t alignment) {
  if (bytes == 0) return std::unique_ptr<Workspace>(new Workspace(nullptr, 0, nullptr));
  if (bytes >= kHugePage) alignment = std::max(alignment, kHugePage);
  const absl::Status failure =
      absl::ResourceExhaustedError(absl::StrCat("no memory for a workspace of ", bytes, " bytes"));
  if (bytes > std::numeric_limits<uint64_t>::max() - alignment) return failure;
  const uint64_t size = bytes + alignment;
  void* pages = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) return failure;
  const uintptr_t start = (reinterpret_cast<uintptr_t>(pages) + alignment - 1) & ~(alignment - 1);
  void* aligned = reinterpret_cast<void*>(start);
  if (bytes >= kHugePage) madvise(aligned, bytes, MADV_HUGEPAGE);  // A hint: failing is fine.
  return std::unique_ptr<Workspace>(new Workspace(pages, size, aligned));
}

Session::Workspace::~Workspace() {
  if (pages_ != nullptr) munmap(pages_, size_);
}

absl::StatusOr<Session> Session::Create(const kiln_function_info* function,
                                        SessionOptions options) {
  if (absl::Status status = CheckFunctionInfo(*function); !status.ok()) return status;
  absl::StatusOr<std::unique_ptr<Workspace>> workspace =
      Workspace::Map(function->workspace_bytes, function->workspace_alignment);
  if (!workspace.ok()) return workspace.status();
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
  const kiln_call call = {inputs, outputs, options_.parameters, workspace_->aligned(),
                          options_.executor};
  const int32_t result = function_->run(&call);
  if (result == 0) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat("function '", function_->name, "' failed with code ", result));
}

}  // namespace kiln
