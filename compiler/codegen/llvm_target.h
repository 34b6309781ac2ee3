// LLVM's side of a Target. Only code that includes LLVM includes this.
#pragma once

#include <memory>

#include "compiler/schedule/target.h"
#include "ir/support/status.h"
#include "llvm/Target/TargetMachine.h"

namespace kiln {

/// A new machine for position-independent code.
StatusOr<std::unique_ptr<llvm::TargetMachine>> MakeTargetMachine(const Target& target);

/// What expression emission must know beyond the Target.
struct InstructionSet {
  int vector_bytes;
  bool has_fma;
  bool has_masked_memory;
  bool has_half_conversion;  ///< f16 <-> f32 in hardware: without it LLVM would call a library
  bool has_nan_passing_min;  ///< min and max instructions that pass NaN on (AArch64)
};
InstructionSet DescribeInstructionSet(const Target& target, const llvm::TargetMachine& machine);

}  // namespace kiln
