#include "compiler/schedule/access.h"

namespace kiln {

using loop::BinaryOp;
using loop::Expr;
using loop::ExprKind;

namespace {

void Accumulate(const Expr& index, int64_t scale, Linear& out) {
  switch (index->kind) {
    case ExprKind::kConst: out.constant += scale * index->int_value; return;
    case ExprKind::kVar: out.coefficients[index->var.get()] += scale; return;
    case ExprKind::kBinary:
      if (index->binary == BinaryOp::kAdd || index->binary == BinaryOp::kSub) {
        Accumulate(index->args[0], scale, out);
        Accumulate(index->args[1], index->binary == BinaryOp::kAdd ? scale : -scale, out);
        return;
      }
      if (index->binary == BinaryOp::kMul) {
        for (const int constant_side : {0, 1}) {
          if (const auto factor = index->args[constant_side].AsInt()) {
            Accumulate(index->args[1 - constant_side], scale * *factor, out);
            return;
          }
        }
      }
      break;
    default: break;
  }
  loop::Walk(index, [&](const Expr& node) {
    if (node->kind == ExprKind::kVar) out.irregular.insert(node->var.get());
  });
}

}  // namespace

int64_t Linear::Coefficient(const loop::Variable* var) const {
  const auto it = coefficients.find(var);
  return it == coefficients.end() ? 0 : it->second;
}

Linear LinearForm(const Expr& index) {
  Linear form;
  Accumulate(index, 1, form);
  return form;
}

Linear AddressForm(const loop::Buffer& buffer, const std::vector<Expr>& indices) {
  const std::vector<int64_t> strides = RowMajorStrides(buffer->shape);
  Linear form;
  for (size_t d = 0; d < indices.size(); ++d) Accumulate(indices[d], strides[d], form);
  return form;
}

std::vector<Expr> CollectLoads(const Expr& expr) {
  std::vector<Expr> loads;
  loop::Walk(expr, [&](const Expr& node) {
    if (node->kind == ExprKind::kLoad) loads.push_back(node);
  });
  return loads;
}

}  // namespace kiln
