// The state of a random graph while it grows; what the recipes build on.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ir/graph/builder.h"
#include "ir/graph/op_def.h"
#include "tests/support/arrays.h"
#include "tests/support/random.h"

namespace kiln {

class GraphGenerator {
 public:
  GraphGenerator(uint64_t seed, ElementType float_type);

  Random& random() { return random_; }
  Builder& builder() { return builder_; }
  ElementType float_type() const { return float_type_; }

  /// A value of the graph that `accept` accepts, recent ones more often; nullptr when there is
  /// none.
  Op* Value(const std::function<bool(const Op&)>& accept);
  /// A float value of rank at least `min_rank` with no empty dimension, or a new leaf.
  Op* FloatValue(int min_rank, int max_rank = 5);
  /// A new input, parameter or constant with values in `range`.
  Op* Leaf(ElementType element, Shape shape, Range range = {});
  /// A new leaf of i32 or i64 that holds `values`: a parameter or a constant.
  Op* IndexLeaf(Shape shape, const std::vector<int64_t>& values);
  Shape RandomShape(int min_rank, int max_rank);
  int64_t RandomExtent();

  /// Runs `recipe` and keeps what it builds if all of it can be kept (see random_graph.h).
  bool Try(const std::function<StatusOr<Op*>(GraphGenerator&)>& recipe);

  /// Makes every value without users an output, and drops what none needs.
  std::unique_ptr<Module> Finish();

 private:
  struct Sample {
    Array exact;
    Array disturbed;
  };
  void Disturb(Array& array);
  bool Comparable(const Sample& sample) const;
  /// Interprets an op both ways; false when its value is not to be kept.
  bool Evaluate(const Op& op);

  const uint64_t seed_;
  const ElementType float_type_;
  Random random_;
  std::unique_ptr<Module> module_;
  Graph* graph_;
  Builder builder_;
  int leaves_ = 0;
  std::vector<Op*> values_;  ///< all kept ops, oldest first
  std::map<const Op*, Sample> samples_;
};

using Recipe = std::function<StatusOr<Op*>(GraphGenerator&)>;

/// How to make a random op of this kind; nullopt for kinds that are not drawn (leaves, regions).
std::optional<Recipe> RecipeFor(const OpDef& def);

}  // namespace kiln
