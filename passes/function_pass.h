// Passes that treat each function of a module by itself.
#pragma once

#include <functional>
#include <string>

#include "passes/pass.h"

namespace kiln {

/// A pass that changes a module where `run` changes one of its functions. It has no rules beside
/// itself.
Pass FunctionPass(std::string name, std::string doc,
                  std::function<StatusOr<bool>(Graph&, PassContext&)> run);

}  // namespace kiln
