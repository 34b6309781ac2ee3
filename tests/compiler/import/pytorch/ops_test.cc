// Every operator against PyTorch: op_cases.jsonl holds what PyTorch computed (op_cases.py wrote
// it).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "compiler/import/pytorch/op_table.h"
#include "compiler/import/pytorch/pytorch_import.h"
#include "compiler/import/pytorch/tensor_meta.h"
#include "tests/compiler/import/import_test_util.h"
#include "tests/compiler/import/pytorch/program_builder.h"

namespace kiln::pytorch_import {
namespace {

struct Case {
  std::string op;
  Json arguments;
  int results = 1;
  int result = 0;  // that is compared
  Tensor expected;
};

Tensor FromJson(const Json& json) {
  const auto element = *ToElementType(json["dtype"].get<int>());
  return Tensor::FromDoubles(element, json["shape"].get<Shape>(),
                             json["values"].get<std::vector<double>>());
}

struct Cases {
  std::map<std::string, Tensor> operands;  // by name
  std::vector<Case> cases;
};

Cases ReadCases() {
  std::ifstream file(KILN_SOURCE_DIR "/tests/compiler/import/pytorch/op_cases.jsonl");
  Cases all;
  for (std::string line; std::getline(file, line);) {
    const Json json = Json::parse(line);
    if (json.contains("operand")) {
      all.operands[json["operand"]] = FromJson(json);
      continue;
    }
    all.cases.push_back(
        {json["op"], json["arguments"], json["results"], json["result"], FromJson(json)});
  }
  return all;
}

// The names of tensors among the arguments.
std::set<std::string> TensorsOf(const Json& arguments) {
  std::set<std::string> names;
  for (const Json& argument : arguments) {
    for (const Json& value : argument.is_array() ? argument : Json::array({argument})) {
      if (value.is_string() && !value.get<std::string>().starts_with("'")) names.insert(value);
    }
  }
  return names;
}

TEST(PytorchOps, ComputeWhatPytorchComputes) {
  const Cases all = ReadCases();
  ASSERT_GT(all.cases.size(), 200u);
  for (const Case& c : all.cases) {
    SCOPED_TRACE(StrCat(c.op, " ", c.arguments.dump()));
    ProgramBuilder program;
    std::vector<Tensor> inputs;
    for (const std::string& name : TensorsOf(c.arguments)) {
      inputs.push_back(all.operands.at(name));
      program.Input(name, inputs.back().shape(), inputs.back().type().element);
    }
    std::vector<std::string> results;
    for (int i = 0; i < c.results; ++i) results.push_back(StrCat("y", i));
    program.Node(c.op, c.arguments, results).Output(results[c.result]);
    const auto module = ImportPytorch(program.Build(), {});
    const std::vector<Tensor> outputs = RunOutputs(module, inputs);
    ASSERT_EQ(outputs.size(), 1u);
    EXPECT_EQ(outputs[0].type(), c.expected.type());
    EXPECT_THAT(outputs[0].ToDoubles(),
                testing::Pointwise(testing::DoubleNear(2e-5), c.expected.ToDoubles()));
  }
}

// Whether the results of an operator, if it has any, are tensors that can be compared.
bool IsComparable(const std::string& name) {
  for (const char* const part : {"_assert", "sym_", "empty", "to.device"}) {
    if (name.find(part) != std::string::npos) return false;
  }
  return name.starts_with("aten.");
}

TEST(PytorchOps, EveryOperatorHasACase) {
  std::set<std::string> tried;
  for (const Case& c : ReadCases().cases) tried.insert(FindTarget(c.op).op->name);
  std::vector<std::string> missing;
  for (const PytorchOp* const op : AllPytorchOps()) {
    if (IsComparable(op->name) && !tried.contains(op->name)) missing.push_back(op->name);
  }
  EXPECT_EQ(StrJoin(missing, " "), "");
}

}  // namespace
}  // namespace kiln::pytorch_import
