// A function ready to be called: a compiled function, its workspace, and checks of what goes in.
//
// The function comes from a Library or from the JIT: both hand out a kiln_function_info. A session
// runs one call at a time; threads that want to run at once have a session each, over the same
// function if they like.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime/abi/kiln.h"
#include "runtime/host_tensor.h"
#include "runtime/pages.h"

namespace kiln {

struct SessionOptions {
  const kiln_executor* executor = nullptr;  ///< null: run on the caller; must outlive the session
  const void* parameters = nullptr;         ///< null: the library's own; aligned to 64 bytes
  std::shared_ptr<const void> owner;        ///< what keeps the function's code loaded, if anything
};

class Session {
 public:
  /// Checks the function's tables and allocates its workspace.
  static absl::StatusOr<Session> Create(const kiln_function_info* function,
                                        SessionOptions options = {});

  const kiln_function_info& function() const { return *function_; }

  /// Calls the function. Inputs are in the function's order; each must have exactly the dtype and
  /// shape that the function declares, else the error names the input, what was expected and what
  /// was found.
  absl::StatusOr<std::vector<HostTensor>> Run(std::span<const HostTensor> inputs);

  /// The same without checks or allocation, for buffers that the caller keeps: one pointer for
  /// each input and output, aligned to the element size, of the declared size.
  absl::Status RunUnchecked(const void* const* inputs, void* const* outputs);

  /// Another executor from the next call on, e.g. one that takes times.
  void set_executor(const kiln_executor* executor) { options_.executor = executor; }

 private:
  Session(const kiln_function_info* function, SessionOptions options, Pages workspace)
      : function_(function), options_(std::move(options)), workspace_(std::move(workspace)) {}
  absl::Status CheckInputs(std::span<const HostTensor> inputs) const;

  const kiln_function_info* function_;
  SessionOptions options_;
  Pages workspace_;
};

/// The declared type of a tensor: "f32[1,3,224,224]".
std::string TypeText(const kiln_tensor_info& tensor);
/// The declared shape of a tensor.
std::vector<int64_t> ShapeOf(const kiln_tensor_info& tensor);

}  // namespace kiln
