// Ahead of time: a program to a self-contained shared library (or one object file) and its C
// header.
//
// The library exports kiln_library() alone, depends on libc and libm only, has no mutable state and
// no path, time or name of this machine in it: the same program gives the same bytes. LLD is linked
// into Kiln, so no linker or compiler is needed.
#pragma once

#include <string>

#include "compiler/codegen/codegen.h"
#include "compiler/jit/jit.h"
#include "compiler/lower/program.h"
#include "ir/support/status.h"

namespace kiln {

/// Writes an ELF shared library with the given SONAME to `output`.
Status EmitLibrary(const Program& program, const ObjectOptions& options, const std::string& soname,
                   const std::string& output);

/// Writes one relocatable object file that defines kiln_library(). Takes the parameters' values out
/// of `program`; all else stays.
Status EmitObject(Program& program, const ObjectOptions& options, const std::string& output);

/// The LLVM IR or assembly of all kernels and the driver, one after another.
StatusOr<std::string> EmitText(const Program& program, const Target& target, CodeForm form);

/// A C header, valid in C99 and C++, that needs no other file of Kiln's: the C ABI, and for each
/// function the sizes of its buffers and a typed inline call. Names in it start with `prefix`.
std::string EmitHeader(const Program& program, const std::string& prefix);

/// `text` as a C identifier: other characters become '_', and it does not start with a digit.
std::string CIdentifier(const std::string& text);

}  // namespace kiln
