// What a program's function needs in memory while it runs, known before it does.
#pragma once

#include <cstdint>
#include <string>

#include "compiler/lower/program.h"
#include "ir/support/status.h"

namespace kiln {

/// Bytes.
struct MemoryUse {
  int64_t parameters = 0;  ///< of the whole program
  int64_t arena = 0;
  int64_t interface = 0;  ///< inputs and outputs

  int64_t total() const { return parameters + arena + interface; }
  /// "553.2 MiB: 527.9 MiB of parameters, 24.7 MiB of intermediates, 0.6 MiB of inputs and
  /// outputs".
  std::string ToString() const;
};

MemoryUse MemoryUseOf(const Program& program, const FunctionProgram& function);

/// An error when a function needs more than `max_bytes`; it names the largest tensors by the
/// model's nodes and parameters.
Status CheckMemoryUse(const Program& program, int64_t max_bytes);

/// "12.3 MiB".
std::string FormatMemory(int64_t bytes);

}  // namespace kiln
