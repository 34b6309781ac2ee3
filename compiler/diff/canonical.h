// The canonical form of a network: what it computes, whatever file format said it and how.
//
// The imported graph is simplified until spellings no longer differ: composites are decomposed,
// constants folded, equal values merged, transposes cancelled or folded into weights. Then its ops
// are put into an order that follows from the graph alone. Names do not count: inputs
// stand for the order in which they are first used, outputs for their positions, parameters and
// constants for their contents. Outputs that are known when compiling compute nothing and are left
// out (Caffe2's Reshape gives the old shape as a second result).
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ir/graph/graph.h"
#include "ir/support/status.h"

namespace kiln {

class CanonicalNetwork {
 public:
  /// Takes the module's function "forward".
  static StatusOr<CanonicalNetwork> Create(std::unique_ptr<Module> module);

  /// The ops that compute, each behind its operands; no inputs, parameters and constants.
  const std::vector<const Op*>& ops() const { return ops_; }
  const Graph& graph() const { return *module_->FindFunction("forward"); }
  /// In canonical order.
  const std::vector<const Op*>& inputs() const { return inputs_; }
  const std::vector<const Op*>& outputs() const { return outputs_; }

  /// The operands in canonical order: those of commutative ops are sorted.
  std::vector<const Op*> Operands(const Op& op) const;
  /// What the op is, without its operands: kind, type, attributes.
  static std::string Signature(const Op& op);
  /// What the op computes, operands included.
  const std::string& Hash(const Op& op) const { return hashes_.at(&op); }
  /// What the whole network computes.
  const std::string& hash() const { return hash_; }
  /// The same, whatever numbers its parameters and constants hold.
  const std::string& structure() const { return structure_; }

 private:
  CanonicalNetwork() = default;
  /// Hashes every op, and returns the hash of all.
  std::string HashOps(bool with_numbers);
  /// Sets ops_ and inputs_ from the hashes.
  void Order();

  std::unique_ptr<Module> module_;
  std::map<const Op*, std::string> hashes_;
  std::vector<const Op*> ops_, inputs_, outputs_;
  std::string hash_, structure_;
};

/// The tensor that a parameter or constant holds; nullptr for other ops.
const Tensor* TensorOf(const Op& op);

}  // namespace kiln
