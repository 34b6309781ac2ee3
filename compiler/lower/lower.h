// Lowering: a module after the passes to a Program of scheduled kernels over a planned arena.
#pragma once

#include <functional>
#include <optional>

#include "compiler/lower/program.h"
#include "compiler/schedule/contraction.h"
#include "compiler/schedule/target.h"
#include "ir/support/status.h"

namespace kiln {

struct LowerOptions {
  Target target;
  /// Off: loops stay as they are lowered, serial and scalar (`--no-schedule`, for debugging).
  bool schedule = true;
  int threads = 1;  ///< for making kernels
  /// The tile shape for an unscheduled kernel, nullopt for the cost model's; may be empty.
  std::function<StatusOr<std::optional<TileShape>>(const loop::Kernel&)> shape_of;
};

/// Lowers every function of `module`, whose composites must have been decomposed.
StatusOr<Program> LowerModule(const Module& module, const LowerOptions& options);

}  // namespace kiln
