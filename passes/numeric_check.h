// Numeric checks of passes: runs modules through the reference interpreter on seeded inputs and
// says where their values part. Behind --verify-passes and the golden tests.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ir/eval/array.h"
#include "ir/graph/graph.h"
#include "passes/pass.h"

namespace kiln {

/// The outputs of every function, by the function's name.
using ModuleValues = std::map<std::string, std::vector<Array>>;

/// Interprets every function of `module` on inputs drawn from `seed` and the inputs' names. Tensors
/// whose values are unknown are drawn from their content hash, so that they agree before and after
/// a pass. Integer inputs are 0 throughout when other values are out of range for some op.
StatusOr<ModuleValues> InterpretSeeded(const Module& module, uint64_t seed);

/// The first place where two interpretations of a module differ, in words; nullopt when they agree.
/// Floats may differ by rounding in the narrowest float type of `module`, relative to the largest
/// finite value of their tensor (plus 0.01); NaNs agree with each other, and everything else must
/// be equal.
std::optional<std::string> FirstDifference(const Module& module, const ModuleValues& before,
                                           const ModuleValues& after);

/// What a wrong pass did.
struct WrongRewrite {
  std::string difference;  ///< where the numbers part
  std::string remark;      ///< the first rewrite after which they do; empty when none was reported
  std::string diff;        ///< the IR around that rewrite, before and after, as a unified diff
};

/// Finds the first rewrite of `pass` that changes the values of `before`, by running the pass on
/// copies under ever other limits on the number of its rewrites, of which there are `rewrites`.
StatusOr<WrongRewrite> BisectRewrites(const Pass& pass, const Module& before,
                                      const ModuleValues& expected, RewriteOptions options,
                                      int64_t rewrites, uint64_t seed);

}  // namespace kiln
