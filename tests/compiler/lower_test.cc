// Lowering and scheduling against the reference interpreter, without code generation: every op case
// (tests/ops/cases) is lowered, and its kernels are run by the loop interpreter.
#include "compiler/lower/lower.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>

#include "ir/loop/interpret.h"
#include "passes/graph/graph_passes.h"
#include "passes/pass_manager.h"
#include "passes/pipeline.h"
#include "tests/compiler/op_cases.h"

namespace kiln {
namespace {

/// Runs a lowered function with the loop interpreter.
StatusOr<std::vector<Array>> RunProgram(const Program& program, const FunctionProgram& function,
                                        const std::vector<Array>& inputs) {
  std::vector<std::vector<char>> input_bytes;
  std::vector<std::vector<char>> output_bytes;
  for (const Array& input : inputs) {
    const Tensor tensor = input.ToTensor();
    input_bytes.emplace_back(tensor.bytes().begin(), tensor.bytes().end());
  }
  for (const TensorSpec& output : function.outputs) output_bytes.emplace_back(output.type.bytes());
  // What the workspace holds before a call is arbitrary.
  std::vector<char> workspace(static_cast<size_t>(function.workspace_bytes), '\x7f');
  std::vector<char> parameters(static_cast<size_t>(program.parameters_bytes));
  for (const ParameterSlot& slot : program.parameters) {
    if (slot.value.bytes().empty()) continue;
    std::memcpy(&parameters[slot.offset], slot.value.bytes().data(), slot.value.bytes().size());
  }
  for (const Step& step : function.steps) {
    std::vector<void*> buffers;
    for (const BufferRef& ref : step.buffers) {
      switch (ref.region) {
        case BufferRef::Region::kInput: buffers.push_back(input_bytes[ref.position].data()); break;
        case BufferRef::Region::kOutput:
          buffers.push_back(output_bytes[ref.position].data());
          break;
        case BufferRef::Region::kWorkspace: buffers.push_back(&workspace[ref.position]); break;
        case BufferRef::Region::kParameters: buffers.push_back(&parameters[ref.position]); break;
      }
    }
    const loop::Kernel& kernel = program.kernels[step.kernel];
    KILN_RETURN_IF_ERROR(
        Annotate(loop::Interpret(kernel, buffers), step.name + "\n" + loop::ToString(kernel)));
  }
  std::vector<Array> outputs;
  for (size_t i = 0; i < output_bytes.size(); ++i) {
    outputs.push_back(Array::FromTensor(Tensor(function.outputs[i].type, output_bytes[i])));
  }
  return outputs;
}

struct Mode {
  const char* name;
  bool optimize;
  bool schedule;
  int vector_bytes;
};

class OpCaseLoweringTest : public testing::TestWithParam<Mode> {};

TEST_P(OpCaseLoweringTest, KernelsAgreeWithTheInterpreter) {
  const Mode mode = GetParam();
  LowerOptions options{.target = {}, .schedule = mode.schedule};
  options.target.vector_bytes = mode.vector_bytes;
  options.target.vector_registers = mode.vector_bytes == 64 ? 32 : 16;
  int compared = 0;
  testing_support::CompareOpCases(
      [&](const Module& module) -> StatusOr<testing_support::RunFunction> {
        const auto optimized = module.Clone();
        const std::vector<Pass> passes = mode.optimize
                                             ? InferencePipeline({.lanes = mode.vector_bytes / 4})
                                             : std::vector<Pass>{DecomposeComposites()};
        KILN_RETURN_IF_ERROR(PassManager(passes).Run(*optimized));
        KILN_ASSIGN_OR_RETURN(Program lowered, LowerModule(*optimized, options));
        auto program = std::make_shared<const Program>(std::move(lowered));
        return [program](const std::string& name, const std::vector<Array>& inputs) {
          for (const FunctionProgram& function : program->functions) {
            if (function.name == name) return RunProgram(*program, function, inputs);
          }
          return StatusOr<std::vector<Array>>(InternalError("no function ", name));
        };
      },
      &compared);
  EXPECT_GT(compared, 100);
}

INSTANTIATE_TEST_SUITE_P(Modes, OpCaseLoweringTest,
                         testing::Values(Mode{"Plain", false, false, 16},
                                         Mode{"Scheduled512", false, true, 64},
                                         Mode{"Optimized512", true, true, 64},
                                         Mode{"Optimized128", true, true, 16}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace kiln
