#include "compiler/lower/location.h"

#include <algorithm>

#include "ir/graph/op_def.h"
#include "ir/graph/relayout.h"

namespace kiln {

namespace {

bool ReadsPlainBytes(const Op& op) {
  return IsSameBytes(op) || (op.def().nest && op.body() == nullptr);
}

/// Whether everything that reads `op` can read it inside another buffer.
bool MayBePart(const Op& op) {
  return !op.graph()->IsOutput(&op) &&
         std::none_of(op.users().begin(), op.users().end(),
                      [](const Op* user) { return ReadsPlainBytes(*user); });
}

/// Whether a box of a value in `layout` that begins at `start` and has `size` of the `extent`
/// elements of dimension d is laid out as a value of its own is: whole blocks, no padding between.
bool IsBox(const Layout& layout, int d, int64_t start, int64_t size, int64_t extent) {
  if (size == extent) return true;
  for (const Layout::Padding& around : layout.padding) {
    if (around.dim == d) return false;
  }
  int64_t block = 1;
  for (const Layout::Block& b : layout.blocks) block *= b.dim == d ? b.size : 1;
  return start % block == 0 && (size % block == 0 || start + size == extent);
}

bool IsSliceInPlace(const Op& op) {
  if (!op.Is("slice") || op.type().count() == 0 || !MayBePart(op)) return false;
  const Op& x = *op.operand(0);
  if (op.type().layout != x.type().layout) return false;
  for (int d = 0; d < op.type().rank(); ++d) {
    if (op.Ints("strides")[d] != 1 && op.shape()[d] != 1) return false;
    if (!IsBox(x.type().layout, d, op.Ints("starts")[d], op.shape()[d], x.shape()[d])) return false;
  }
  return true;
}

/// Whether operand k of `concat`, which starts at `start`, can be computed there.
bool IsComputedInPlace(const Op& concat, size_t k, int64_t start) {
  const Op& part = *concat.operand(k);
  const auto axis = static_cast<int>(concat.Int("axis"));
  if (part.HasTrait(kLeaf) || IsSameBytes(part) || !MayBePart(part)) return false;
  const Op* const root = part.body() != nullptr ? part.body()->outputs()[0].value : &part;
  if (!(root->def().element || root->def().stages) || part.Is("slice")) return false;
  if (std::count(concat.operands().begin(), concat.operands().end(), &part) != 1) return false;
  return part.type().layout == concat.type().layout &&
         IsBox(part.type().layout, axis, start, part.shape()[axis], concat.shape()[axis]);
}

}  // namespace

Locations::Locations(const Graph& graph) {
  for (const auto& op : graph.ops()) {
    if (IsSliceInPlace(*op)) {
      parts_[op.get()] = {op->operand(0), op->Ints("starts")};
    }
  }
  // The outermost concat first: what lies inside it may be a concat too.
  for (auto it = graph.ops().rbegin(); it != graph.ops().rend(); ++it) {
    const Op& concat = **it;
    if (!concat.Is("concat")) continue;
    const int64_t axis = concat.Int("axis");
    std::vector<int64_t> offset(concat.shape().size(), 0);
    for (size_t k = 0; k < concat.operands().size(); ++k) {
      Op* const part = concat.operand(k);
      if (!parts_.contains(part) && IsComputedInPlace(concat, k, offset[axis])) {
        parts_[part] = {it->get(), offset};
      }
      offset[axis] += part->shape()[axis];
    }
  }
}

Location Locations::Of(Op* op) const {
  Location location{op, std::vector<int64_t>(op->shape().size(), 0)};
  for (auto it = parts_.find(op); it != parts_.end(); it = parts_.find(location.owner)) {
    for (size_t d = 0; d < location.offset.size(); ++d) location.offset[d] += it->second.offset[d];
    location.owner = it->second.owner;
  }
  return location;
}

}  // namespace kiln
