// The parameter block in ELF files, in which it goes around LLVM and LLD: they would hold it
// several times over.
//
// An object file is written here, value by value. A library is linked with a placeholder in a
// segment of its own behind all others; the values take its place in the finished file, where they
// are mapped read-only.
#pragma once

#include <span>
#include <string>

#include "compiler/lower/program.h"
#include "ir/support/status.h"

namespace kiln {

// `sibling` holds the bytes of another object of the same link: what is written is for the same
// machine. Targets other than 64-bit little-endian ELF are Unsupported.

/// Writes a relocatable ELF file to `path` that defines the block under kParametersSymbol, hidden
/// and read-only. Lets go of each value in `program` once it is written.
Status WriteParameterObject(Program& program, const std::string& sibling, const std::string& path);

/// A relocatable ELF file that defines kParametersSymbol, hidden, where a library will hold it.
StatusOr<std::string> PlaceholderObject(const std::string& sibling);

/// Writes `library`, linked with the placeholder, to the file `output`, with the block in its
/// place.
Status WriteLibraryWithParameters(const Program& program, std::span<const char> library,
                                  const std::string& output);

}  // namespace kiln
