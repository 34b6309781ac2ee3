// Linking object files with the LLD inside Kiln.
#pragma once

#include <string>
#include <vector>

#include "compiler/schedule/target.h"
#include "ir/support/status.h"

namespace kiln {

/// A shared library of `objects` (relocatable ELF files in memory). Undefined functions must be
/// libm's or libc's memory functions; the library then names libm.so.6 or libc.so.6 as needed.
/// Calls from several threads wait for each other: LLD has global state.
StatusOr<std::string> LinkSharedLibrary(const std::vector<std::string>& objects,
                                        const std::string& soname, const Target& target);

/// One relocatable object of all `objects`.
StatusOr<std::string> LinkRelocatable(const std::vector<std::string>& objects);

}  // namespace kiln
