// Machine code against the reference interpreter: every op case, unoptimised and optimised, on each
// x86 instruction set that this machine has.
#include <gtest/gtest.h>

#include <memory>

#include "compiler/codegen/target_info.h"
#include "compiler/compile.h"
#include "runtime/session.h"
#include "runtime/threads/thread_pool.h"
#include "tests/compiler/op_cases.h"

namespace kiln {
namespace {

HostTensor ToHost(const Array& array) {
  const Tensor tensor = array.ToTensor();
  HostTensor host;
  host.dtype = static_cast<kiln_dtype>(array.element);
  host.shape = array.shape;
  host.bytes.assign(tensor.bytes().begin(), tensor.bytes().end());
  return host;
}

Array FromHost(const HostTensor& host) {
  TensorType type{static_cast<ElementType>(host.dtype), host.shape, {}};
  return Array::FromTensor(Tensor(type, {host.bytes.begin(), host.bytes.end()}));
}

struct Mode {
  std::string cpu;
  bool optimize;
};

StatusOr<std::vector<Array>> RunCompiled(const Executable& executable, const std::string& name,
                                         const std::vector<Array>& inputs,
                                         const kiln_executor* executor) {
  const kiln_library_info& library = executable.library();
  for (int i = 0; i < library.num_functions; ++i) {
    if (library.functions[i].name != name) continue;
    KILN_ASSIGN_OR_RETURN(
        Session session,
        Session::Create(&library.functions[i],
                        {.executor = executor, .parameters = executable.parameters()}));
    std::vector<HostTensor> tensors;
    for (const Array& input : inputs) tensors.push_back(ToHost(input));
    KILN_ASSIGN_OR_RETURN(const std::vector<HostTensor> results, session.Run(tensors));
    std::vector<Array> outputs;
    for (const HostTensor& result : results) outputs.push_back(FromHost(result));
    return outputs;
  }
  return InternalError("no function ", name);
}

class OpCaseCodeTest : public testing::TestWithParam<Mode> {};

TEST_P(OpCaseCodeTest, CodeAgreesWithTheInterpreter) {
  const auto target = MakeTarget("", GetParam().cpu);
  ASSERT_TRUE(target.ok()) << target.status();
  const auto host = HostTarget();
  ASSERT_TRUE(host.ok()) << host.status();
  if (target->vector_bytes > host->vector_bytes) {
    GTEST_SKIP() << "this machine has no " << GetParam().cpu;
  }
  CompileOptions options;
  options.target = *target;
  options.optimize = GetParam().optimize;
  options.threads = 2;
  ThreadPool pool(2);
  int compared = 0;
  testing_support::CompareOpCases(
      [&](const Module& module) -> StatusOr<testing_support::RunFunction> {
        KILN_ASSIGN_OR_RETURN(auto compiled, CompileForHost(module, options));
        std::shared_ptr<const Executable> executable = std::move(compiled);
        return [executable, &pool](const std::string& name, const std::vector<Array>& inputs) {
          return RunCompiled(*executable, name, inputs, pool.executor());
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
