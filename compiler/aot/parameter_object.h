// The parameter block as an object file for the linker.
//
// Weights do not go through LLVM, which would hold them several times over: the ELF file is written
// here, value by value.
#pragma once

#include <string>

#include "compiler/lower/program.h"
#include "ir/support/status.h"

namespace kiln {

/// Writes a relocatable ELF file to `path` that defines the block under kParametersSymbol, hidden
/// and read-only. `sibling` holds the bytes of another object of the same link: the file is for the
/// same machine. Lets go of each value in `program` once it is written. Fails for targets other
/// than 64-bit little-endian ELF.
Status WriteParameterObject(Program& program, const std::string& sibling, const std::string& path);

}  // namespace kiln
