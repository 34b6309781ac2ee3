#include "ir/ops/elementwise.h"

#include "ir/eval/elementwise.h"
#include "ir/ops/shape_util.h"

namespace kiln {

namespace {

Status CheckAccepts(const Op& op, Accepts accepts) {
  if (accepts != Accepts::kAny) KILN_RETURN_IF_ERROR(CheckSameElement(op));
  switch (accepts) {
    case Accepts::kFloat: return CheckFloat(op);
    case Accepts::kNumeric: return CheckNumeric(op);
    case Accepts::kInteger: return CheckInteger(op);
    case Accepts::kBool: return CheckBool(op);
    case Accepts::kAny: break;
  }
  return OkStatus();
}

}  // namespace

OpDef MakeElementwise(ElementwiseRow row) {
  OpDef def{.name = std::move(row.name),
            .doc = std::move(row.doc),
            .operands = std::move(row.operands),
            .attributes = std::move(row.attributes),
            .traits = row.traits | kElementwise};
  def.infer = [accepts = row.accepts, result = std::move(row.result),
               check = std::move(row.check)](const Op& op) -> StatusOr<TensorType> {
    KILN_RETURN_IF_ERROR(CheckAccepts(op, accepts));
    if (check) KILN_RETURN_IF_ERROR(check(op));
    return InferBroadcast(op, result ? result(op) : op.operand(0)->element());
  };
  def.evaluate = [](const Op& op, std::span<const Array* const> operands, Array& result) {
    return EvaluateElementwise(op, operands, result);
  };
  if (row.derivative) {
    def.gradient = [derivative = std::move(row.derivative)](Builder& b, Op& op, size_t k, Op* dy) {
      return SumTo(derivative({b, op, k, dy}), op.operand(k)->shape()).op();
    };
  }
  def.no_gradient = std::move(row.no_gradient);
  def.element = [formula = std::move(row.formula)](const Op& op, const Reader& read,
                                                   const std::vector<loop::Expr>& index) {
    std::vector<loop::Expr> x;
    for (size_t k = 0; k < op.operands().size(); ++k) {
      x.push_back(ReadBroadcast(read, k, op.operand(k)->shape(), index));
    }
    return formula(op, x);
  };
  return def;
}

loop::Expr ConstLike(const loop::Expr& like, double value) {
  return loop::Const(like.type(), value);
}

}  // namespace kiln
