// Imports and interprets ONNX models that tests have built.
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "compiler/import/onnx/onnx_import.h"
#include "ir/eval/interpreter.h"
#include "tests/compiler/import/onnx/model_builder.h"

namespace kiln {

/// The first result for these inputs.
inline std::vector<double> Evaluate(ModelBuilder& b, const std::vector<Tensor>& inputs,
                                    const ImportOptions& options = {}) {
  const auto module = ImportOnnx(b.model(), "", options);
  EXPECT_TRUE(module.ok()) << module.status();
  if (!module.ok()) return {};
  std::vector<Array> arrays;
  for (const Tensor& input : inputs) arrays.push_back(Array::FromTensor(input));
  const auto found = Interpret(*(*module)->FindFunction("forward"), arrays);
  EXPECT_TRUE(found.ok()) << found.status();
  if (!found.ok()) return {};
  return (*found)[0].ToTensor().ToDoubles();
}

}  // namespace kiln
