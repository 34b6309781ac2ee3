// Lowering and scheduling against the reference interpreter, without code generation: every op case
// (tests/ops/cases) is lowered, and its kernels are run by the loop interpreter.
#include "compiler/lower/lower.h"

#include <gtest/gtest.h>

#include <memory>

#include "passes/graph/graph_passes.h"
#include "passes/pass_manager.h"
#include "passes/pipeline.h"
#include "tests/compiler/op_cases.h"
#include "tests/compiler/run_program.h"

namespace kiln {
namespace {

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
            if (function.name == name)
              return testing_support::RunProgram(*program, function, inputs);
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
