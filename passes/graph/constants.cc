#include "passes/graph/constants.h"

#include <algorithm>
#include <unordered_set>
#include <vector>

#include "ir/graph/op_def.h"

namespace kiln {

const Tensor* KnownTensor(const Op& op, const PassContext& context) {
  const Tensor* tensor = nullptr;
  if (op.Is("constant")) {
    tensor = &op.Constant("value");
  } else if (op.Is("parameter") && context.freeze_parameters()) {
    const Parameter* const parameter = op.graph()->module()->FindParameter(op.String("name"));
    if (parameter != nullptr) tensor = &parameter->value;
  }
  return tensor != nullptr && tensor->known() ? tensor : nullptr;
}

std::optional<double> SplatValue(const Op& op, const PassContext& context) {
  const Tensor* const tensor = KnownTensor(op, context);
  if (tensor == nullptr || !tensor->type().layout.IsRowMajor()) return std::nullopt;
  const std::span<const char> bytes = tensor->bytes();
  const auto size = static_cast<size_t>(ByteSize(tensor->type().element));
  if (bytes.empty()) return std::nullopt;
  // All elements are equal when the bytes repeat with the period of one element.
  if (!std::equal(bytes.begin() + static_cast<ptrdiff_t>(size), bytes.end(), bytes.begin())) {
    return std::nullopt;
  }
  return tensor->GetDouble(0);
}

bool IsStatic(const Op& op, const PassContext& context) {
  constexpr size_t kMaxVisits = 64;
  std::unordered_set<const Op*> seen = {&op};
  std::vector<const Op*> work = {&op};
  while (!work.empty()) {
    const Op* const next = work.back();
    work.pop_back();
    const bool known_leaf =
        next->Is("constant") || (next->Is("parameter") && context.freeze_parameters());
    if (known_leaf) continue;
    if (next->operands().empty() || seen.size() > kMaxVisits) return false;
    for (const Op* const operand : next->operands()) {
      if (seen.insert(operand).second) work.push_back(operand);
    }
  }
  return true;
}

bool VariesOnlyAlong(const Op& op, const Shape& shape, size_t dim) {
  const Shape& own = op.shape();
  if (own.size() > shape.size()) return false;
  const size_t skip = shape.size() - own.size();
  for (size_t d = 0; d < own.size(); ++d) {
    if (own[d] != 1 && d + skip != dim) return false;
  }
  return true;
}

}  // namespace kiln
