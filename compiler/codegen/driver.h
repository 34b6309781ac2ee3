// The driver: the LLVM module that ties a program's kernels together behind the C ABI
// (runtime/abi/kiln.h): one `run` per function that calls the kernel sections in order, and
// kiln_library(), the descriptor with all its tables.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "compiler/codegen/codegen.h"
#include "compiler/lower/program.h"
#include "compiler/schedule/target.h"
#include "ir/support/status.h"

namespace kiln {

struct DriverOptions {
  /// The symbol prefix of each kernel of the program, as it was given to CompileKernel.
  std::vector<std::string> kernel_symbols;
  /// The module defines the parameter block itself and the descriptor points to it. Otherwise every
  /// call passes one.
  bool embed_parameters = false;
};

/// Emits the driver of `program` in the given form. Deterministic.
StatusOr<std::string> CompileDriver(const Program& program, const DriverOptions& options,
                                    const Target& target, CodeForm form);

/// Bytes that start at a multiple of kBufferAlignment.
class AlignedBytes {
 public:
  AlignedBytes() = default;
  /// Zero-filled.
  explicit AlignedBytes(size_t size);
  char* data() { return bytes_.get(); }
  const char* data() const { return bytes_.get(); }
  size_t size() const { return size_; }

 private:
  struct Free {
    void operator()(char* bytes) const;
  };
  std::unique_ptr<char[], Free> bytes_;
  size_t size_ = 0;
};

/// The parameter block; an error names the first parameter whose value is unknown.
StatusOr<AlignedBytes> ParameterBlock(const Program& program);

}  // namespace kiln
