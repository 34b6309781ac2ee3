#include "compiler/import/foreign/known_values.h"

#include <vector>

#include "ir/eval/array.h"
#include "ir/eval/interpreter.h"
#include "ir/graph/op_def.h"

namespace kiln::foreign {

namespace {

constexpr int64_t kMaxElements = 1 << 16;       // of one tensor
constexpr int64_t kMaxTotalElements = 1 << 24;  // of all that is computed for one model

// Shapes are computed with these; anything else (contractions, pools) is real work.
constexpr uint32_t kCheap = kElementwise | kMovement | kView | kReduction;

Status TooMuch() { return Unsupported("is too large to be computed when compiling"); }

StatusOr<Tensor> Compute(const Op& op, const std::vector<Tensor>& operands) {
  if (!op.HasTrait(kCheap) && !operands.empty()) {
    return Unsupported("comes from the op ", op.kind(), ", which is not computed when compiling");
  }
  std::vector<Array> arrays;
  for (const Tensor& operand : operands) arrays.push_back(Array::FromTensor(operand));
  std::vector<const Array*> pointers;
  for (const Array& array : arrays) pointers.push_back(&array);
  KILN_ASSIGN_OR_RETURN(const Array result, EvaluateOp(op, pointers));
  return result.ToTensor();
}

}  // namespace

KnownValues::Entry KnownValues::EvaluateInput(const Op* op, Inputs inputs) {
  const std::string& name = op->sources().front();
  if (inputs == Inputs::kUse) {
    if (const auto it = inputs_->find(name); it != inputs_->end()) {
      if (it->second.type() == op->type()) return {it->second, {name}};
    }
  }
  return {Unsupported("depends on input '", name, "'"), {}};
}

KnownValues::Entry KnownValues::Evaluate(const Op* op, const Memo& memo, Inputs inputs) {
  if (op->Is("input")) return EvaluateInput(op, inputs);
  if (op->Is("constant")) return {op->Constant("value"), {}};
  if (op->Is("parameter")) {
    const Tensor& value = op->graph()->module()->FindParameter(op->String("name"))->value;
    if (!value.known()) return {Unsupported("depends on weights that the model lacks"), {}};
    return {value, {}};
  }
  Entry entry{Tensor(), {}};
  std::vector<Tensor> operands;
  int64_t elements = op->type().count();
  for (const Op* const operand : op->operands()) {
    const Entry& known = memo.at(operand);
    if (!known.value.ok()) return {known.value.status(), {}};
    elements = std::max(elements, known.value->type().count());
    operands.push_back(*known.value);
    entry.inputs.insert(known.inputs.begin(), known.inputs.end());
  }
  computed_elements_ += elements;
  if (elements > kMaxElements || computed_elements_ > kMaxTotalElements) return {TooMuch(), {}};
  entry.value = Compute(*op, operands);
  return entry;
}

StatusOr<Tensor> KnownValues::Find(const Op* op, Inputs inputs) {
  Memo& memo = memo_[inputs == Inputs::kUse];
  std::vector<const Op*> stack = {op};
  while (!stack.empty()) {
    const Op* const next = stack.back();
    if (memo.contains(next)) {
      stack.pop_back();
      continue;
    }
    const size_t before = stack.size();
    for (const Op* const operand : next->operands()) {
      if (!memo.contains(operand)) stack.push_back(operand);
    }
    if (stack.size() > before) continue;
    memo.emplace(next, Evaluate(next, memo, inputs));
    stack.pop_back();
  }
  const Entry& entry = memo.at(op);
  used_inputs_.insert(entry.inputs.begin(), entry.inputs.end());
  return entry.value;
}

}  // namespace kiln::foreign
