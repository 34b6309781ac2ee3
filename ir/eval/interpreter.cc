#include "ir/eval/interpreter.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "ir/graph/builder.h"
#include "ir/graph/op_def.h"

namespace kiln {

namespace {

// 8 GiB as doubles: a graph with larger values is not for a reference.
constexpr int64_t kMaxElements = int64_t{1} << 30;

StatusOr<Array> FromKnown(const Tensor& tensor, const std::string& what) {
  if (!tensor.known()) {
    return InvalidInput("the values of ", what, " are unknown (", tensor.type().ToString(),
                        ", content hash ", tensor.hash(), "): its side file is missing");
  }
  return Array::FromTensor(tensor);
}

StatusOr<Array> EvaluateLeaf(const Op& op) {
  if (op.Is("constant")) return FromKnown(op.Constant("value"), "the constant");
  if (op.Is("parameter")) {
    // The op could be made only with such a parameter in the module; a pass may have erased it.
    const Parameter* const parameter = op.graph()->module()->FindParameter(op.String("name"));
    if (parameter == nullptr) return InternalError("no parameter '", op.String("name"), "'");
    return FromKnown(parameter->value, "parameter '" + op.String("name") + "'");
  }
  return InternalError(op.kind(), " cannot be evaluated");
}

// The only output of `graph`, whose inputs are `operands`.
StatusOr<Array> InterpretSingle(const Graph& graph, std::span<const Array* const> operands,
                                Rounding rounding) {
  std::vector<Array> inputs;
  for (const Array* const operand : operands) inputs.push_back(*operand);
  KILN_ASSIGN_OR_RETURN(std::vector<Array> results, Interpret(graph, inputs, rounding));
  return std::move(results[0]);
}

StatusOr<Array> EvaluateComposite(const Op& op, std::span<const Array* const> operands,
                                  Rounding rounding) {
  if (!op.def().decompose) return InternalError(op.kind(), " has no evaluation");
  Graph scratch(op.graph()->module(), op.kind());
  Builder builder(&scratch);
  std::vector<Op*> inputs;
  for (size_t i = 0; i < operands.size(); ++i) {
    KILN_ASSIGN_OR_RETURN(inputs.emplace_back(),
                          builder.Input(StrCat("operand", i), op.operand(i)->type()));
  }
  KILN_ASSIGN_OR_RETURN(Op* const copy, builder.CloneOp(op, inputs));
  KILN_ASSIGN_OR_RETURN(Op* const result, op.def().decompose(builder, *copy));
  scratch.AddOutput("result", result);
  scratch.EraseDeadOps();  // the copy among them
  return InterpretSingle(scratch, operands, rounding);
}

Status CheckInputs(const Graph& graph, const std::vector<Array>& inputs) {
  if (inputs.size() != graph.inputs().size()) {
    return InvalidInput("@", graph.name(), " has ", graph.inputs().size(), " inputs, found ",
                        inputs.size());
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Op& input = *graph.inputs()[i];
    const TensorType found{inputs[i].element, inputs[i].shape, {}};
    if (found.element != input.element() || found.shape != input.shape()) {
      return InvalidInput("input '", input.name(), "' is ", input.type().ToString(), ", found ",
                          found.ToString());
    }
  }
  return OkStatus();
}

StatusOr<Array> Evaluate(const Op& op, std::span<const Array* const> operands, Rounding rounding) {
  if (op.HasTrait(kLeaf) && !op.def().evaluate) return EvaluateLeaf(op);
  if (op.body() != nullptr) return InterpretSingle(*op.body(), operands, rounding);
  if (!op.def().evaluate) return EvaluateComposite(op, operands, rounding);
  if (op.type().count() > kMaxElements) {
    return Unsupported(op.kind(), ": ", op.type().ToString(), " is too large to interpret");
  }
  Array result(op.element(), op.shape());
  KILN_RETURN_IF_ERROR(op.def().evaluate(op, operands, result));
  return result;
}

// From `value`, of type f16, bf16 or f32, to the next of greater magnitude.
double Spacing(ElementType type, double value) {
  const int digits = type == ElementType::kF16 ? 11 : type == ElementType::kBF16 ? 8 : 24;
  const int least = type == ElementType::kF16 ? -14 : -126;
  const int exponent = value == 0 ? least : std::max(std::ilogb(value), least);
  return std::ldexp(1.0, exponent - (digits - 1));
}

double Rounded(Rounding rounding, ElementType type, double value) {
  if (rounding == Rounding::kNone) return value;
  const double nearest = RoundTo(type, value);
  const bool up = rounding == Rounding::kUp && nearest < value;
  const bool down = rounding == Rounding::kDown && nearest > value;
  if ((!up && !down) || !std::isfinite(nearest)) return nearest;
  // 0.6 of the spacing reaches the next value, also below a power of two, where it is half as far.
  const double step = 0.6 * Spacing(type, nearest);
  return RoundTo(type, up ? nearest + step : nearest - step);
}

// The values of a graph while it runs, each kept until its last reader has run.
class Values {
 public:
  explicit Values(const Graph& graph) {
    for (const auto& op : graph.ops()) {
      for (const Op* const operand : op->operands()) ++readers_[operand];
    }
    for (const Graph::Output& output : graph.outputs()) ++readers_[output.value];
  }

  void Put(const Op* op, Array array) {
    if (readers_.contains(op)) arrays_.insert_or_assign(op, std::move(array));
  }
  const Array* Get(const Op* op) const { return &arrays_.at(op); }
  void Release(const Op* op) {
    if (--readers_[op] == 0) arrays_.erase(op);
  }
  /// The array, moved out when this is its last reader.
  Array Take(const Op* op) {
    Array result = readers_[op] == 1 ? std::move(arrays_.at(op)) : arrays_.at(op);
    Release(op);
    return result;
  }

 private:
  std::map<const Op*, int> readers_;
  std::map<const Op*, Array> arrays_;
};

}  // namespace

StatusOr<Array> EvaluateOp(const Op& op, std::span<const Array* const> operands) {
  return Evaluate(op, operands, Rounding::kNone);
}

StatusOr<std::vector<Array>> Interpret(const Graph& graph, const std::vector<Array>& inputs,
                                       Rounding rounding) {
  KILN_RETURN_IF_ERROR(CheckInputs(graph, inputs));
  Values values(graph);
  for (size_t i = 0; i < inputs.size(); ++i) values.Put(graph.inputs()[i], inputs[i]);
  for (const auto& op : graph.ops()) {
    if (op->Is("input")) continue;
    std::vector<const Array*> operands;
    for (const Op* const operand : op->operands()) operands.push_back(values.Get(operand));
    auto result = Evaluate(*op, operands, rounding);
    if (!result.ok()) return Annotate(result.status(), "%" + op->name());
    for (const Op* const operand : op->operands()) values.Release(operand);
    for (double& value : result->floats) value = Rounded(rounding, result->element, value);
    values.Put(op.get(), std::move(result).value());
  }
  std::vector<Array> outputs;
  for (const Graph::Output& output : graph.outputs()) outputs.push_back(values.Take(output.value));
  return outputs;
}

}  // namespace kiln
