// Where the values of a graph lie: most in a buffer of their own, some inside another value's.
//
//   y = slice(x)            y is read where it lies in x
//   y = concat(a, b, ...)   a, b, ... are computed where they lie in y
//   y = transpose(x)        y is x's bytes when its layout is x's with the dimensions renamed, and
//   y = reshape(x)          always
//
// A value that something reads as plain bytes (a reshape, a nest, the caller) has a buffer to
// itself.
#pragma once

#include <map>
#include <vector>

#include "ir/graph/graph.h"

namespace kiln {

/// The element of a value at logical index i is the element of `owner` at i + offset.
struct Location {
  Op* owner = nullptr;
  std::vector<int64_t> offset;
};

class Locations {
 public:
  explicit Locations(const Graph& graph);

  Location Of(Op* op) const;
  /// Whether `op` is part of another value's buffer.
  bool IsPart(const Op* op) const { return parts_.contains(op); }

 private:
  std::map<const Op*, Location> parts_;  ///< owners may be parts themselves
};

}  // namespace kiln
