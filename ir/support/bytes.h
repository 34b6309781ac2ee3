// Uninitialised memory for tensors of many megabytes.
#pragma once

#include <cstddef>
#include <memory>

namespace kiln {

/// A vector would be filled with zeros first. Large ones lie on huge pages where the system has
/// them, because taking memory page by page costs more than computing what goes into it.
std::shared_ptr<char> AllocateBytes(size_t size);

}  // namespace kiln
