// Machine code against the reference interpreter: every op case, unoptimised and optimised, on each
// x86 instruction set that this machine has.
#include <gtest/gtest.h>

#include <memory>

#include "compiler/compile.h"
#include "runtime/threads/thread_pool.h"
#include "tests/compiler/compiled_run.h"
#include "tests/compiler/op_cases.h"

namespace kiln {
namespace {

struct Mode {
  std::string cpu;
  bool optimize;
};

class OpCaseCodeTest : public testing::TestWithParam<Mode> {};

TEST_P(OpCaseCodeTest, CodeAgreesWithTheInterpreter) {
  const auto target = testing_support::TargetThisMachineRuns(GetParam().cpu);
  if (!target.ok() && target.status().code() == absl::StatusCode::kUnimplemented) {
    GTEST_SKIP() << Message(target.status());
  }
  ASSERT_TRUE(target.ok()) << target.status();
  CompileOptions options;
  options.target = *target;
  options.optimize = GetParam().optimize;
  options.threads = 2;
  ThreadPool pool(2);
  int compared = 0;
  testing_support::CompareOpCases(
      [&](const Module& module) -> StatusOr<testing_support::RunFunction> {
        KILN_ASSIGN_OR_RETURN(auto compiled, CompileForHost(module.Clone(), options));
        std::shared_ptr<const Executable> executable = std::move(compiled);
        return [executable, &pool](const std::string& name, const std::vector<Array>& inputs) {
          return testing_support::RunCompiled(*executable, name, inputs, pool.executor());
        };
      },
      &compared);
  EXPECT_GT(compared, 100);
}

INSTANTIATE_TEST_SUITE_P(Cpus, OpCaseCodeTest,
                         testing::Values(Mode{"x86-64-v4", false}, Mode{"x86-64-v4", true},
                                         Mode{"x86-64-v3", true}, Mode{"x86-64-v2", true}),
                         [](const auto& info) {
                           std::string name = info.param.cpu;
                           std::erase_if(name, [](char c) { return c == '-'; });
                           return name + (info.param.optimize ? "Optimized" : "Plain");
                         });

}  // namespace
}  // namespace kiln
