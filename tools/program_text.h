// Reports on lowered programs: the kernels' loops and the plan of the arena.
#pragma once

#include <string>

#include "compiler/lower/program.h"

namespace kiln {

/// Each kernel that a step calls: its loop IR, behind comments that name the steps' sources.
std::string KernelsText(const Program& program);

/// For each function a table of the workspace's slots (offset, bytes, lifetime in steps) and what
/// sharing saves.
std::string MemoryText(const Program& program);

}  // namespace kiln
