#include "compiler/lower/memory_use.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kiln {
namespace {

using testing::HasSubstr;

TensorType F32(Shape shape) { return {ElementType::kF32, std::move(shape), {}}; }

/// One step of 'conv1' with packed weights (anonymous), a named parameter and an arena of one slot.
Program SmallProgram() {
  Program program;
  program.parameters = {{"", 0, Tensor::Splat(F32({1 << 20}), 0)},
                        {"bias", 4 << 20, Tensor::Splat(F32({16}), 0)}};
  program.parameters_bytes = (4 << 20) + 64;
  FunctionProgram function;
  function.name = "forward";
  function.inputs = {{"x", F32({1 << 18})}};
  function.outputs = {{"y", F32({16})}};
  function.steps.push_back({.buffers = {{BufferRef::Region::kInput, 0},
                                        {BufferRef::Region::kParameters, 0},
                                        {BufferRef::Region::kWorkspace, 0}},
                            .name = "fusion",
                            .sources = {"conv1", "relu1"}});
  function.slots = {{.name = "fusion", .offset = 0, .bytes = 2 << 20, .first = 0, .last = 1}};
  function.workspace_bytes = 2 << 20;
  program.functions.push_back(std::move(function));
  return program;
}

TEST(MemoryUseTest, AddsUpParametersArenaAndInterface) {
  const Program program = SmallProgram();
  const MemoryUse use = MemoryUseOf(program, program.functions[0]);
  EXPECT_EQ(use.parameters, (4 << 20) + 64);
  EXPECT_EQ(use.arena, 2 << 20);
  EXPECT_EQ(use.interface, (1 << 20) + 64);
  EXPECT_EQ(use.total(), (7 << 20) + 128);
  EXPECT_EQ(use.ToString(),
            "7.0 MiB: 4.0 MiB of parameters, 2.0 MiB of intermediates, 1.0 MiB of inputs and "
            "outputs");
}

TEST(MemoryUseTest, RefusesAboveTheLimitByTheUsersNames) {
  const Program program = SmallProgram();
  EXPECT_TRUE(CheckMemoryUse(program, (7 << 20) + 128).ok());
  const Status status = CheckMemoryUse(program, (7 << 20) + 127);
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(Message(status),
              HasSubstr("the largest tensors are 'weights of conv1' 4.0 MiB, 'result of conv1' 2.0 "
                        "MiB, 'input x' 1.0 MiB, 'bias' 0.1 KiB, 'output y' 0.1 KiB"));
}

}  // namespace
}  // namespace kiln
