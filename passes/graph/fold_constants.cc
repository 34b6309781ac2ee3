// fold-constants: an op whose operands are all known is computed now, by the reference interpreter.
//
//   f(constant, ...) = constant          frozen parameters count as constants
//   reshape(constant) = constant         shares the bytes, at no cost
//
// Budgets, because a tiny file may hold a giant broadcast or loop:
//   - a result larger than its operands together is left alone above kMaxGrownResult bytes (so the
//     broadcast of a scalar stays a broadcast), and the module grows by kMaxGrowth at most;
//   - all evaluations together cost kMaxWork element operations at most.
// Not folded: values that are not at hand (no side file), ops with a body, and what the interpreter
// refuses (an index out of range); their users keep their types and wait.
#include <algorithm>
#include <cmath>

#include "ir/eval/elementwise.h"
#include "ir/eval/interpreter.h"
#include "ir/graph/op_def.h"
#include "passes/graph/constants.h"
#include "passes/graph/graph_passes.h"
#include "passes/rewrite.h"

namespace kiln {

namespace {

constexpr char kName[] = "fold-constants";
constexpr int64_t kMaxGrownResult = int64_t{64} << 10;
constexpr int64_t kMaxGrowth = int64_t{16} << 20;
constexpr double kMaxWork = 1 << 28;

struct Budget {
  int64_t growth = kMaxGrowth;
  double work = kMaxWork;
};

// Element operations to evaluate `op`, estimated. For a product of [m,k] and [k,n] the square root
// is exactly mkn; for a convolution it is near.
double Work(const Op& op) {
  double total = static_cast<double>(op.type().count());
  double product = total;
  for (const Op* const operand : op.operands()) {
    const auto count = static_cast<double>(operand->type().count());
    total += count;
    product *= count;
  }
  return op.HasTrait(kContraction) ? std::max(total, std::sqrt(product)) : total;
}

// Why `op` is too large to fold, or "". Takes what it costs from the budget otherwise.
std::string Charge(const Op& op, Budget& budget) {
  int64_t operand_bytes = 0;
  for (const Op* const operand : op.operands()) operand_bytes += operand->type().bytes();
  const int64_t growth = op.type().bytes() - operand_bytes;
  if (growth > 0 && op.type().bytes() > kMaxGrownResult) {
    return StrCat("its result, ", op.type().ToString(), ", is larger than its operands");
  }
  if (growth > budget.growth) return "constants have grown as much as they may";
  const double work = Work(op);
  if (work > budget.work) return "the budget for evaluation is spent";
  budget.growth -= std::max<int64_t>(growth, 0);
  budget.work -= work;
  return "";
}

StatusOr<Tensor> Evaluate(const Op& op, const std::vector<const Tensor*>& operands) {
  const bool plain =
      op.type().layout.IsRowMajor() && std::ranges::all_of(operands, [](const Tensor* operand) {
        return operand->type().layout.IsRowMajor();
      });
  if (plain && op.HasTrait(kElementwise) && op.def().element) {
    return EvaluateElementwise(op, operands);
  }
  std::vector<Array> arrays;
  for (const Tensor* const operand : operands) arrays.push_back(Array::FromTensor(*operand));
  std::vector<const Array*> pointers;
  for (const Array& array : arrays) pointers.push_back(&array);
  KILN_ASSIGN_OR_RETURN(const Array result, EvaluateOp(op, pointers));
  return result.ToTensor(op.type().layout);
}

// The value of `op`, or nullopt when it is not known or not to be computed.
std::optional<Tensor> Fold(const Op& op, Budget& budget, PassContext& context) {
  if (op.Is("input") || op.Is("parameter") || op.Is("constant") || op.HasTrait(kRegion)) {
    return std::nullopt;
  }
  std::vector<const Tensor*> operands;
  for (const Op* const operand : op.operands()) {
    operands.push_back(KnownTensor(*operand, context));
    if (operands.back() == nullptr) return std::nullopt;
  }
  if (!context.Allow(kName, op)) return std::nullopt;
  if (op.HasTrait(kView) && operands[0]->type().layout.IsRowMajor()) {
    return operands[0]->Reshaped(op.shape());
  }
  const std::string why_not = Charge(op, budget);
  if (!why_not.empty()) {
    context.Refused(kName, op, StrCat(Describe(op), ": ", why_not));
    return std::nullopt;
  }
  StatusOr<Tensor> value = Evaluate(op, operands);
  if (value.ok()) return *std::move(value);
  context.Refused(kName, op, StrCat(Describe(op), ": ", Message(value.status())));
  return std::nullopt;
}

StatusOr<bool> FoldIn(Graph& graph, Budget& budget, PassContext& context) {
  bool changed = false;
  for (Op* const op : graph.Snapshot()) {
    std::optional<Tensor> value = Fold(*op, budget, context);
    if (!value) continue;
    context.Count("bytes folded", value->type().bytes());
    context.Fired(kName, *op, StrCat(Describe(*op), " = ", value->type().ToString(), " is known"));
    Builder builder(&graph, op);
    builder.SetSources(op->sources());
    builder.SetNameHint(op->name());
    KILN_ASSIGN_OR_RETURN(Op* const constant, builder.Constant(*std::move(value)));
    graph.ReplaceAllUses(op, constant);
    EraseIfDead(op);
    changed = true;
  }
  return changed;
}

}  // namespace

Pass FoldConstants() {
  return {.name = kName,
          .doc = "computes what depends on constants and frozen parameters only",
          .rules = {},
          .run = [](Module& module, PassContext& context) -> StatusOr<bool> {
            Budget budget;
            bool changed = false;
            for (const auto& function : module.functions()) {
              KILN_ASSIGN_OR_RETURN(const bool folded, FoldIn(*function, budget, context));
              changed |= folded;
            }
            return changed;
          }};
}

}  // namespace kiln
