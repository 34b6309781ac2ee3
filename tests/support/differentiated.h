// Makes any random module a case for gradients. Header only: whoever includes it links kiln_passes.
#pragma once

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "ir/graph/builder.h"
#include "passes/training/differentiate.h"
#include "tests/support/arrays.h"
#include "tests/support/random.h"

namespace kiln {

/// A module whose function "forward" returns a scalar, `magnitude` of it, and its gradients.
struct Differentiated {
  std::unique_ptr<Module> module;
  /// The inputs of floats that the scalar depends on smoothly, by position; output i + 2 is the
  /// gradient with respect to wanted[i].
  std::vector<size_t> wanted;
};

/// f16 and bf16 round the constants of a gradient so far that nothing is left to compare.
inline bool HoldsNarrowFloats(const Module& module) {
  for (const auto& op : module.functions()[0]->ops()) {
    if (op->element() == ElementType::kF16 || op->element() == ElementType::kBF16) return true;
  }
  return false;
}

/// Every read of a parameter becomes a read of an input of that name.
inline Status MakeParametersInputs(Graph& graph) {
  for (Op* const op : graph.Snapshot()) {
    if (!op->Is("parameter") || !IsFloat(op->element())) continue;
    Builder builder(&graph);
    KILN_ASSIGN_OR_RETURN(Op* const input, builder.Input(op->String("name"), op->type()));
    graph.ReplaceAllUses(op, input);
    graph.Erase(op);
  }
  return OkStatus();
}

/// The sum of the float outputs of `module`'s function, each element weighed by a fixed random
/// number, and the gradients of that with respect to all float inputs and parameters. The sum of
/// the magnitudes of the terms tells how far the scalar's rounding goes.
inline StatusOr<Differentiated> Differentiate(const Module& module, uint64_t seed) {
  Differentiated result{module.Clone(), {}};
  Graph& graph = *result.module->functions()[0];
  KILN_RETURN_IF_ERROR(MakeParametersInputs(graph));
  Builder b(&graph);
  StatusOr<Op*> loss = b.Scalar(ElementType::kF64, 0), magnitude = loss;
  for (const Graph::Output& output : graph.outputs()) {
    if (!IsFloat(output.value->element())) continue;
    const StatusOr<Op*> value = b.Cast(output.value, ElementType::kF64);
    const TensorType type{ElementType::kF64, output.value->shape(), {}};
    Array weights = RandomArray(type, seed, output.name, {0.5, 1.5});
    // Exact in every float type, so that casts on the way back round nothing.
    for (double& weight : weights.floats) weight = std::round(weight * 16) / 16;
    const StatusOr<Op*> terms = b.Mul(value, b.Constant(weights.ToTensor()));
    std::vector<int64_t> axes;
    for (int64_t d = 0; d < type.rank(); ++d) axes.push_back(d);
    const AttributeMap all = {{"axes", axes}, {"keep_dims", false}};
    loss = b.Add(loss, b.Make("reduce_sum", {terms}, all));
    magnitude = b.Add(magnitude, b.Make("reduce_sum", {b.Make("abs", {terms})}, all));
  }
  KILN_RETURN_IF_ERROR(loss.status());
  KILN_RETURN_IF_ERROR(magnitude.status());
  std::vector<Op*> floats;
  std::vector<size_t> positions;
  for (size_t i = 0; i < graph.inputs().size(); ++i) {
    if (!IsFloat(graph.inputs()[i]->element())) continue;
    floats.push_back(graph.inputs()[i]);
    positions.push_back(i);
  }
  KILN_ASSIGN_OR_RETURN(const std::vector<Op*> gradients, Differentiate(*loss, floats));
  while (!graph.outputs().empty()) graph.EraseOutput(graph.outputs().size() - 1);
  graph.AddOutput("loss", *loss);
  graph.AddOutput("magnitude", *magnitude);
  for (size_t i = 0; i < gradients.size(); ++i) {
    if (gradients[i] == nullptr) continue;
    result.wanted.push_back(positions[i]);
    graph.AddOutput("d " + floats[i]->sources()[0], gradients[i]);
  }
  graph.EraseDeadOps();
  return result;
}

/// Values for the inputs, off the points where functions have edges.
inline std::vector<Array> GenericInputs(const Graph& graph, uint64_t seed) {
  std::vector<Array> inputs = RandomInputs(graph, seed);
  Random random(seed, "generic");
  for (Array& input : inputs) {
    for (double& value : input.floats) value += random.Uniform(-0.03, 0.03);
  }
  return inputs;
}

}  // namespace kiln
