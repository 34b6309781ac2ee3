// differentiate: the function "loss" gets a sister "gradient".
//
//   gradient(inputs) = loss(inputs), d loss / d p for every trainable parameter p
#include "ir/graph/builder.h"
#include "passes/training/differentiate.h"
#include "passes/training/train_step.h"
#include "passes/training/training_passes.h"

namespace kiln {

namespace {

constexpr char kName[] = "differentiate";
constexpr char kGradient[] = "gradient";

StatusOr<bool> Run(Module& module, PassContext& context) {
  const Graph* const loss = module.FindFunction(kLoss);
  if (loss == nullptr || module.FindFunction(kGradient) != nullptr || loss->outputs().empty()) {
    return false;
  }
  const Op& value = *loss->outputs()[0].value;
  if (!context.Allow(kName, value)) return false;
  const std::map<std::string, Op*> parameters = TrainableReads(*loss);
  if (parameters.empty()) {
    context.Refused(kName, value, StrCat("@", kLoss, " reads no trainable parameter"));
    return false;
  }
  Graph& function = *CloneFunction(*loss, module, kGradient);
  std::vector<Op*> wanted;
  for (const auto& [name, read] : TrainableReads(function)) wanted.push_back(read);
  KILN_ASSIGN_OR_RETURN(const std::vector<Op*> gradients,
                        Differentiate(function.outputs()[0].value, wanted));
  while (function.outputs().size() > 1) function.EraseOutput(1);
  size_t i = 0;
  for (const auto& [name, read] : parameters) {
    if (Op* const gradient = gradients[i++]) function.AddOutput("d " + name, gradient);
  }
  function.EraseDeadOps();
  context.Fired(kName, value,
                StrCat(Describe(value), " differentiated by ", parameters.size(), " parameters"));
  return true;
}

}  // namespace

Pass DifferentiateLoss() {
  return {.name = kName,
          .doc = "adds @gradient: the value of @loss and its gradients by the trainable parameters",
          .rules = {},
          .run = Run};
}

}  // namespace kiln
