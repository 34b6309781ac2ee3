// Code generation: a scheduled loop-IR kernel to LLVM IR, assembly or an object file.
//
// Each section (top-level statement) of a kernel becomes one function
//   void <symbol>_s<i>(void* const* buffers, int64_t begin, int64_t end)
// where buffers are the kernel's inputs then outputs, and [begin, end) is the range of the
// section's outermost parallel loop (ignored when the section is serial). Buffers are aligned to
// the element at least. The functions call nothing but libm.
#pragma once

#include <string>
#include <vector>

#include "compiler/schedule/target.h"
#include "ir/loop/stmt.h"
#include "ir/support/status.h"

namespace kiln {

/// Part of the key under which compiled kernels are kept: it is raised when the same kernel becomes
/// other code.
inline constexpr int kCodeRevision = 3;

enum class CodeForm { kLlvmIr, kAssembly, kObject };

/// Compiles `kernel` for `target`. Deterministic: the same kernel, symbol and target give the same
/// bytes. Safe to call from several threads at once.
StatusOr<std::string> CompileKernel(const loop::Kernel& kernel, const std::string& symbol,
                                    const Target& target, CodeForm form);

/// The extent of each section's parallel loop; 1 for a serial section.
std::vector<int64_t> SectionExtents(const loop::Kernel& kernel);

}  // namespace kiln
