#include "tests/support/random_graph.h"

#include <algorithm>

#include "ir/graph/op_def.h"
#include "tests/support/graph_generator.h"

namespace kiln {

namespace {

// Attempts per op: many draws do not fit what is there.
constexpr int kMaxAttempts = 60;

std::vector<Recipe> Recipes(const RandomGraphOptions& options) {
  std::vector<Recipe> recipes;
  for (const OpDef* const def : AllOps()) {
    const auto& kinds = options.kinds;
    if (!kinds.empty() && std::find(kinds.begin(), kinds.end(), def->name) == kinds.end()) continue;
    if (auto recipe = RecipeFor(*def)) recipes.push_back(std::move(*recipe));
  }
  return recipes;
}

ElementType RandomFloatType(Random& random) {
  if (random.Chance(0.8)) return ElementType::kF32;
  return random.Pick<ElementType>({ElementType::kF16, ElementType::kBF16, ElementType::kF64});
}

bool Holds(const Module& module, ElementType element) {
  const auto& ops = module.functions()[0]->ops();
  return std::any_of(ops.begin(), ops.end(),
                     [&](const auto& op) { return op->element() == element; });
}

}  // namespace

StatusOr<std::unique_ptr<Module>> RandomModule(uint64_t seed, const RandomGraphOptions& options) {
  const std::vector<Recipe> recipes = Recipes(options);
  if (recipes.empty()) return InvalidInput("there is no op to draw");
  Random random(seed, "module");
  GraphGenerator generator(seed, RandomFloatType(random));
  const int64_t ops = random.Int(options.min_ops, options.max_ops);
  int64_t kept = 0;
  for (int64_t i = 0; kept < ops && i < ops * kMaxAttempts; ++i) {
    kept += generator.Try(random.Pick(recipes));
  }
  if (kept == 0) return InternalError("no op fits");
  return generator.Finish();
}

Tolerance GraphTolerance(const Module& module) {
  if (Holds(module, ElementType::kBF16)) return {0.1, 0.1};
  if (Holds(module, ElementType::kF16)) return {0.05, 0.05};
  return {1e-3, 1e-4};
}

}  // namespace kiln
