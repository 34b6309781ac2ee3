// What the tests of all readers share: tensors, running an imported module in the interpreter.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ir/eval/interpreter.h"
#include "ir/graph/verifier.h"

namespace kiln {

inline Tensor Floats(Shape shape, const std::vector<double>& values) {
  return Tensor::FromDoubles(ElementType::kF32, std::move(shape), values);
}

/// 0, step, 2 step, ...
inline Tensor Ramp(Shape shape, double step = 1, double start = 0) {
  std::vector<double> values(static_cast<size_t>(ElementCount(shape)));
  for (size_t i = 0; i < values.size(); ++i) values[i] = start + step * static_cast<double>(i);
  return Floats(std::move(shape), values);
}

inline std::span<const char> Bytes(const std::string& text) { return {text.data(), text.size()}; }

/// The outputs of `forward`; a failure of the test when the module does not verify or run.
inline std::vector<Tensor> RunOutputs(const StatusOr<std::unique_ptr<Module>>& module,
                                      const std::vector<Tensor>& inputs) {
  EXPECT_TRUE(module.ok()) << module.status();
  if (!module.ok()) return {};
  EXPECT_EQ(Verify(**module), OkStatus());
  const Graph& graph = *(*module)->FindFunction("forward");
  EXPECT_EQ(graph.inputs().size(), inputs.size());
  if (graph.inputs().size() != inputs.size()) return {};
  std::vector<Array> arrays;
  for (const Tensor& input : inputs) arrays.push_back(Array::FromTensor(input));
  const auto results = Interpret(graph, arrays);
  EXPECT_TRUE(results.ok()) << results.status();
  std::vector<Tensor> outputs;
  if (!results.ok()) return outputs;
  for (const Array& result : *results) outputs.push_back(result.ToTensor());
  return outputs;
}

/// The first output's values.
inline std::vector<double> Evaluate(const StatusOr<std::unique_ptr<Module>>& module,
                                    const std::vector<Tensor>& inputs) {
  const std::vector<Tensor> outputs = RunOutputs(module, inputs);
  return outputs.empty() ? std::vector<double>() : outputs[0].ToDoubles();
}

inline Shape OutputShape(const Module& module, size_t i = 0) {
  return module.FindFunction("forward")->outputs()[i].value->shape();
}

inline std::vector<std::string> OutputNames(const Module& module) {
  std::vector<std::string> names;
  for (const auto& output : module.FindFunction("forward")->outputs()) names.push_back(output.name);
  return names;
}

inline int CountOps(const Module& module, std::string_view kind) {
  int count = 0;
  for (const auto& op : module.FindFunction("forward")->ops()) count += op->Is(kind) ? 1 : 0;
  return count;
}

}  // namespace kiln
