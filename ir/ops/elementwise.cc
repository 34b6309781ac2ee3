#include "ir/ops/elementwise.h"

#include "ir/eval/scalar.h"
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

// Runs the formula for every element, in row-major order.
Status EvaluateFormula(const Op& op, const Formula& formula, std::span<const Array* const> operands,
                       Array& result) {
  std::vector<loop::Buffer> inputs;
  std::vector<loop::Expr> loads;
  for (const Array* const operand : operands) {
    inputs.push_back(loop::MakeBuffer("x", ComputeType(operand->element), {}));
    loads.push_back(loop::Load(inputs.back(), {}));
  }
  KILN_ASSIGN_OR_RETURN(ScalarProgram program, ScalarProgram::Compile(formula(op, loads), inputs));
  std::vector<Scalar> values(operands.size());
  for (Index index(result.shape); index.valid(); index.Next()) {
    for (size_t k = 0; k < operands.size(); ++k) {
      const Array& x = *operands[k];
      const int64_t at =
          x.shape == result.shape ? index.linear() : BroadcastOffset(x.shape, index.values());
      values[k] = GetElement(x, at);
    }
    SetElement(result, index.linear(), program.Run(values));
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
  def.evaluate = [formula = row.formula](const Op& op, std::span<const Array* const> operands,
                                         Array& result) {
    return EvaluateFormula(op, formula, operands, result);
  };
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
