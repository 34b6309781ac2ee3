// Which updates of a function's parameters can be computed right where the parameter lies.
//
// Every read of a parameter must see its value from before the call. So the step that computes the
// new value may write over the old one only when all other reads have been done, and when what it
// reads of the old value itself is, for each element, that very element.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "compiler/lower/location.h"
#include "ir/graph/graph.h"
#include "ir/support/status.h"

namespace kiln {

/// The value whose bytes `op` shows: views are looked through.
Op* ViewRoot(Op* op);

class ParameterUpdates {
 public:
  ParameterUpdates(const Graph& graph, const Locations& locations);

  /// Whether the function updates any parameter.
  bool Any() const { return !updated_.empty(); }

  /// The parameter that `op` can be computed in the place of; nullptr when there is none. `inputs`
  /// are what the op's kernel reads, and `may_write_over` says over which it may write its result.
  const std::string* InPlace(Op& op, const std::vector<Op*>& inputs,
                             const std::function<bool(size_t input)>& may_write_over) const;

  /// An error when the value of `update` is itself the old value of another parameter that is
  /// updated: the order of the copies would matter.
  Status CheckSource(const Graph::Output& update) const;

 private:
  /// The value in whose memory `op` lies.
  const Op* MemoryOf(Op* op) const { return ViewRoot(locations_.Of(op).owner); }

  const Locations& locations_;
  std::set<std::string> updated_;
  std::map<const Op*, std::vector<std::string>>
      updates_by_;  ///< of what parameters an op is the value
  std::map<const Op*, size_t> position_;
  std::map<std::string, size_t> last_read_;  ///< the last position that reads an updated parameter
};

}  // namespace kiln
