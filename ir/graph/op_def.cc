#include "ir/graph/op_def.h"

namespace kiln {

namespace {

// f16 and bf16 exist in memory only; arithmetic on them is done in f32.
bool IsStorageOnly(ElementType type) {
  return type == ElementType::kF16 || type == ElementType::kBF16;
}

}  // namespace

loop::Expr NestContext::Load(const loop::Buffer& buffer, std::vector<loop::Expr> index) const {
  const loop::Expr value = loop::Load(buffer, std::move(index));
  return IsStorageOnly(buffer->element) ? loop::Cast(ElementType::kF32, value) : value;
}

loop::Stmt NestContext::Store(const loop::Buffer& buffer, std::vector<loop::Expr> index,
                              loop::Expr value, loop::Expr predicate) const {
  return loop::Store(buffer, std::move(index), loop::Cast(buffer->element, std::move(value)),
                     std::move(predicate));
}

}  // namespace kiln
