// Checks in a child process, so that code that crashes or hangs is a failure like any other.
#pragma once

#include <functional>
#include <optional>
#include <string>

namespace kiln {

/// What is wrong, or nullopt.
using Check = std::function<std::optional<std::string>()>;

/// The result of `check`, run in a child of this process, which must have no other threads. A child
/// that dies of a signal, or needs more than `seconds` of CPU time, gives "killed by signal: NAME".
std::optional<std::string> CheckInChild(const Check& check, int seconds);

}  // namespace kiln
