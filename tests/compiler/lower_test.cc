// Lowering and scheduling against the reference interpreter, without code generation: every op case
// (tests/ops/cases) is lowered, and its kernels are run by the loop interpreter.
#include "compiler/lower/lower.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <random>

#include "ir/eval/interpreter.h"
#include "ir/graph/kir_file.h"
#include "ir/graph/printer.h"
#include "ir/loop/interpret.h"
#include "passes/pass_manager.h"
#include "passes/graph/graph_passes.h"
#include "passes/pipeline.h"

namespace kiln {
namespace {

namespace fs = std::filesystem;

Array RandomInput(const TensorType& type, std::mt19937_64& random) {
  Array array(type.element, type.shape);
  for (double& value : array.floats) {
    value = RoundTo(type.element, std::uniform_real_distribution<>(-2, 2)(random));
  }
  for (int64_t& value : array.ints) {
    value = type.element == ElementType::kBool ? static_cast<int64_t>(random() % 2)
                                               : static_cast<int64_t>(random() % 3);
  }
  return array;
}

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
        case BufferRef::Region::kOutput: buffers.push_back(output_bytes[ref.position].data()); break;
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

void ExpectClose(const Array& expected, const Array& actual, const std::string& what) {
  ASSERT_EQ(expected.shape, actual.shape) << what;
  const double tolerance = expected.element == ElementType::kBF16  ? 2e-2
                           : expected.element == ElementType::kF16 ? 4e-3
                                                                   : 2e-4;
  for (int64_t i = 0; i < expected.count(); ++i) {
    const double a = expected.GetDouble(i);
    const double b = actual.GetDouble(i);
    if (std::isnan(a) ? std::isnan(b) : a == b) continue;
    ASSERT_LE(std::abs(a - b), tolerance * std::max(1.0, std::abs(a))) << what << " element " << i;
  }
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
  Target target;
  target.vector_bytes = mode.vector_bytes;
  target.vector_registers = mode.vector_bytes == 64 ? 32 : 16;
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(KILN_SOURCE_DIR "/tests/ops/cases")) {
    if (entry.path().extension() == ".kir") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  ASSERT_FALSE(files.empty());
  for (const fs::path& file : files) {
    const auto module = LoadKir(file.string());
    ASSERT_TRUE(module.ok()) << module.status();
    const auto optimized = (*module)->Clone();
    const std::vector<Pass> passes = mode.optimize
                                         ? InferencePipeline({.lanes = mode.vector_bytes / 4})
                                         : std::vector<Pass>{DecomposeComposites()};
    const Status status = PassManager(passes).Run(*optimized);
    ASSERT_TRUE(status.ok()) << file << ": " << status;
    const auto program =
        LowerModule(*optimized, {.target = target, .schedule = mode.schedule});
    ASSERT_TRUE(program.ok()) << file << ": " << program.status();
    for (const FunctionProgram& function : program->functions) {
      const std::string what = StrCat(file.filename().string(), " @", function.name);
      const Graph& graph = *(*module)->FindFunction(function.name);
      std::mt19937_64 random(7);
      std::vector<Array> inputs;
      for (const Op* const input : graph.inputs()) {
        inputs.push_back(RandomInput(input->type(), random));
      }
      const auto expected = Interpret(graph, inputs);
      if (!expected.ok()) continue;  // random indices may be out of range
      const auto actual = RunProgram(*program, function, inputs);
      ASSERT_TRUE(actual.ok()) << what << ": " << actual.status();
      for (size_t i = 0; i < expected->size(); ++i) {
        ExpectClose((*expected)[i], (*actual)[i], what);
        if (HasFatalFailure()) {
          FAIL() << Print(*optimized->FindFunction(function.name));
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Modes, OpCaseLoweringTest,
                         testing::Values(Mode{"Plain", false, false, 16},
                                         Mode{"Scheduled512", false, true, 64},
                                         Mode{"Optimized512", true, true, 64},
                                         Mode{"Optimized128", true, true, 16}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace kiln
