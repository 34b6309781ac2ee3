// Program: a module lowered to kernels and the steps that call them. The driver generator (JIT and
// library alike) and the cost reports read it; nothing in it is specific to LLVM.
//
// Invariants: kernels are scheduled and pairwise different; every step names as many buffers as its
// kernel has inputs and outputs; a workspace slot is read only after a step has written it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ir/graph/graph.h"
#include "ir/loop/stmt.h"

namespace kiln {

/// Where a buffer lies when a function runs.
struct BufferRef {
  enum class Region { kInput, kOutput, kWorkspace, kParameters };
  Region region = Region::kWorkspace;
  int64_t position = 0;  ///< index of the input or output; offset in bytes otherwise
  bool operator==(const BufferRef&) const = default;
};

struct Step {
  int kernel = 0;  ///< index into Program::kernels
  std::vector<BufferRef> buffers;
  std::string name;                  ///< the op's SSA name
  std::vector<std::string> sources;  ///< the user's names of what this step computes
  double flops = 0;                  ///< arithmetic of one call
  double bytes = 0;                  ///< size of all buffers, each counted once
};

/// A workspace buffer and the steps [first, last] during which it holds a value.
struct WorkspaceSlot {
  std::string name;
  int64_t offset = 0;
  int64_t bytes = 0;
  int first = 0;
  int last = 0;
};

struct TensorSpec {
  std::string name;
  TensorType type;
};

struct FunctionProgram {
  std::string name;
  std::vector<TensorSpec> inputs;
  std::vector<TensorSpec> outputs;
  std::vector<Step> steps;
  std::vector<WorkspaceSlot> slots;
  int64_t workspace_bytes = 0;
  bool updates_parameters = false;  ///< some step writes to the parameter block
};

/// A constant or parameter in the parameter block that all functions share.
struct ParameterSlot {
  std::string name;  ///< the parameter's name; empty for an anonymous constant
  int64_t offset = 0;
  Tensor value;  ///< may be unknown: the program then compiles and cannot run
};

struct Program {
  std::string model;
  std::vector<loop::Kernel> kernels;
  std::vector<FunctionProgram> functions;
  std::vector<ParameterSlot> parameters;
  int64_t parameters_bytes = 0;
};

/// Every buffer starts at a multiple of this many bytes.
inline constexpr int64_t kBufferAlignment = 64;

}  // namespace kiln
