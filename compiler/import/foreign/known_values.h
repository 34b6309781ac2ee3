// Values that are known when compiling, computed on demand: what a Reshape's shape operand holds
// when it comes from initializers, constants and shapes through a chain of ops.
#pragma once

#include <map>
#include <set>
#include <string>
#include <unordered_map>

#include "ir/graph/graph.h"
#include "ir/graph/tensor.h"
#include "ir/support/status.h"

namespace kiln::foreign {

class KnownValues {
 public:
  /// `inputs`: values of graph inputs that may be used (ImportOptions::known_inputs).
  explicit KnownValues(const std::map<std::string, Tensor>* inputs) : inputs_(inputs) {}

  enum class Inputs { kIgnore, kUse };

  /// The value of `op`. Unimplemented when it depends on a graph input (unless `inputs` says that
  /// the known ones may be used), or when it takes more computing than shapes ever do: more than
  /// 65536 elements in one tensor, or contractions.
  StatusOr<Tensor> Find(const Op* op, Inputs inputs);

  /// The graph inputs whose values have been used.
  const std::set<std::string>& used_inputs() const { return used_inputs_; }

 private:
  struct Entry {
    StatusOr<Tensor> value;
    std::set<std::string> inputs;  // that the value depends on
  };
  using Memo = std::unordered_map<const Op*, Entry>;

  Entry Evaluate(const Op* op, const Memo& memo, Inputs inputs);
  Entry EvaluateInput(const Op* op, Inputs inputs);

  const std::map<std::string, Tensor>* inputs_;
  Memo memo_[2];
  std::set<std::string> used_inputs_;
  int64_t computed_elements_ = 0;
};

}  // namespace kiln::foreign
