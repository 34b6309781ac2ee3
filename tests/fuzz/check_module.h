// What harnesses of readers share.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <span>

#include "ir/graph/verifier.h"

namespace kiln {

/// Aborts when a module that was accepted does not verify.
inline int CheckImported(const StatusOr<std::unique_ptr<Module>>& module) {
  if (!module.ok()) return 0;
  const Status verified = Verify(**module);
  if (verified.ok()) return 0;
  std::fprintf(stderr, "%s\n", Message(verified).c_str());
  std::abort();
}

}  // namespace kiln
