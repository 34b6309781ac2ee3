// The differences of two networks, told layer by layer in the words of their files.
#pragma once

#include <string>
#include <vector>

#include "compiler/diff/canonical.h"

namespace kiln {

struct Difference {
  enum class Kind {
    kInterface,  ///< numbers and types of inputs and outputs
    kOnlyInA,
    kOnlyInB,
    kChanged,  ///< the same kind of op with other attributes, another type or other operands
    kWeights,  ///< the same op with other numbers
  };
  Kind kind;
  std::string layer;   ///< the op's source names, those of both networks where they differ
  std::string reason;  ///< one line
};

/// Empty exactly when the hashes are equal. An op behind a difference is no difference by itself.
std::vector<Difference> Differences(const CanonicalNetwork& a, const CanonicalNetwork& b);

/// "- conv 'conv1': ...", "+ ...", "! ...".
std::string ToString(const Difference& difference);

}  // namespace kiln
