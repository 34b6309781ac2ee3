// The nets of bench/models.py at reduced size: what is left of them that moves data and computes
// nothing. Inside there is nothing; at the input the image gets the zeros that the first
// convolution reads around it.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>

#include "compiler/import/import.h"
#include "compiler/lower/lower.h"
#include "ir/graph/op_def.h"
#include "ir/graph/printer.h"
#include "passes/pass_manager.h"
#include "passes/pipeline.h"
#include "tests/support/temporary_folder.h"

namespace kiln {
namespace {

struct Network {
  const char* name;
  int size;
  const char* width;
  const char* moves;
};

/// "relayout 1": the steps of the first function that move data.
std::string Moves(const Module& module, const Program& program) {
  std::map<std::string, int> counts;
  for (const Step& step : program.functions[0].steps) {
    for (const auto& op : module.functions()[0]->ops()) {
      if (op->name() == step.name && op->HasTrait(kMovement)) ++counts[op->kind()];
    }
  }
  std::string moves;
  for (const auto& [kind, count] : counts) {
    moves += StrCat(moves.empty() ? "" : " ", kind, " ", count);
  }
  return moves;
}

class Networks : public testing::TestWithParam<Network> {};

TEST_P(Networks, MoveNothingInside) {
  const Network& net = GetParam();
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/net.onnx";
  const std::string command =
      StrCat("python3 " KILN_SOURCE_DIR "/bench/models.py ", net.name, " -o ", path, " --size ",
             net.size, " --width ", net.width, " --classes 10");
  if (std::system("python3 --version >/dev/null 2>&1") != 0) GTEST_SKIP() << "needs python3";
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
  const auto module = ImportModel({path}, {});
  ASSERT_TRUE(module.ok()) << module.status();
  const Status status = PassManager(InferencePipeline({.lanes = 16})).Run(**module);
  ASSERT_TRUE(status.ok()) << status;
  LowerOptions options;
  options.target.vector_bytes = 64;
  options.target.vector_registers = 32;
  const auto program = LowerModule(**module, options);
  ASSERT_TRUE(program.ok()) << program.status();
  EXPECT_EQ(Moves(**module, *program), net.moves) << Print(**module);
}

INSTANTIATE_TEST_SUITE_P(All, Networks,
                         testing::Values(Network{"lenet5", 28, "1", "relayout 1"},
                                         Network{"alexnet", 127, "0.25", "relayout 1"},
                                         Network{"alexnet_lrn", 127, "0.5", ""},
                                         Network{"vgg16", 64, "0.25", "relayout 1"},
                                         Network{"googlenet", 96, "0.5", "relayout 1"},
                                         Network{"resnet18", 128, "0.25", "relayout 1"},
                                         Network{"resnet50", 128, "0.25", "relayout 1"},
                                         Network{"mobilenet_v1", 64, "0.5", "relayout 1"},
                                         Network{"mobilenet_v2", 64, "1", "relayout 1"},
                                         Network{"squeezenet1_1", 96, "1", ""}),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace kiln
