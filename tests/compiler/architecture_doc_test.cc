// docs/architecture.md shows one small model at every stage. This test makes those pages and
// compares them with the document, so that it cannot rot; KILN_UPDATE_DOCS=1 writes them into it.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "compiler/codegen/codegen.h"
#include "compiler/codegen/target_info.h"
#include "compiler/compile.h"
#include "compiler/lower/program.h"
#include "ir/graph/builder.h"
#include "ir/graph/printer.h"
#include "passes/pipeline.h"

namespace kiln {
namespace {

constexpr char kPath[] = KILN_SOURCE_DIR "/docs/architecture.md";
constexpr char kBegin[] = "<!-- stages: made by architecture_doc_test, do not edit -->\n";
constexpr char kEnd[] = "<!-- stages: end -->\n";

/// Values without meaning, the same in every run.
Tensor Values(Shape shape, double scale, double shift) {
  std::vector<double> values(static_cast<size_t>(ElementCount(shape)));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = shift + scale * (static_cast<double>(i * 7 % 13) - 6) / 8;
  }
  return Tensor::FromDoubles(ElementType::kF32, std::move(shape), values);
}

/// conv -> batch_norm -> relu -> mean over the image -> dense, as an importer leaves it.
StatusOr<std::unique_ptr<Module>> SmallModel() {
  auto module = std::make_unique<Module>();
  module->name = "small";
  module->SetParameter({.name = "conv.weight", .value = Values({16, 3, 3, 3}, 1, 0)});
  module->SetParameter({.name = "bn.scale", .value = Values({16}, 0.25, 1)});
  module->SetParameter({.name = "bn.bias", .value = Values({16}, 0.25, 0)});
  module->SetParameter({.name = "bn.mean", .value = Values({16}, 0.25, 0)});
  module->SetParameter({.name = "bn.variance", .value = Values({16}, 0.25, 1)});
  module->SetParameter({.name = "fc.weight", .value = Values({4, 16}, 1, 0)});
  Builder b(module->AddFunction("forward"));
  const std::vector<int64_t> ones = {1, 1};
  const auto source = [&](const char* name) { b.SetSources({name}); };
  KILN_ASSIGN_OR_RETURN(Op* const x, b.Input("image", {ElementType::kF32, {1, 3, 8, 8}, {}}));
  source("conv1");
  const auto conv =
      b.Make("conv", {x, b.Parameter("conv.weight")},
             {{"strides", ones}, {"dilations", ones}, {"pads_low", ones}, {"pads_high", ones}});
  source("bn1");
  const auto bn = b.Make("batch_norm", {conv, b.Parameter("bn.scale"), b.Parameter("bn.bias"),
                                        b.Parameter("bn.mean"), b.Parameter("bn.variance")});
  source("relu1");
  const auto relu = b.Make("relu", {bn});
  source("pool");
  const auto mean = b.Make("reduce_mean", {relu}, {{"axes", std::vector<int64_t>{2, 3}}});
  source("fc");
  KILN_ASSIGN_OR_RETURN(Op* const y,
                        b.Make("matmul", {b.Reshape(mean, {1, 16}), b.Parameter("fc.weight")},
                               {{"transpose_b", true}}));
  b.graph()->AddOutput("scores", y);
  return module;
}

std::string Fenced(const std::string& title, const std::string& text) {
  return StrCat("### ", title, "\n\n```\n", text, text.ends_with('\n') ? "" : "\n", "```\n\n");
}

std::string FirstLines(const std::string& text, int count) {
  size_t end = 0;
  for (int i = 0; i < count && end != std::string::npos; ++i) end = text.find('\n', end + 1);
  return end == std::string::npos ? text : text.substr(0, end + 1) + "...\n";
}

std::string MemoryTable(const FunctionProgram& function) {
  std::string text = StrCat("arena of ", function.workspace_bytes, " bytes\n");
  for (const WorkspaceSlot& slot : function.slots) {
    text += StrCat("  [", slot.offset, ", ", slot.offset + slot.bytes, ")  steps ", slot.first,
                   "..", slot.last, "  ", slot.name, "\n");
  }
  return text;
}

StatusOr<std::string> Stages() {
  KILN_ASSIGN_OR_RETURN(auto module, SmallModel());
  std::string text = Fenced("Imported", Print(*module));
  CompileOptions options;
  KILN_ASSIGN_OR_RETURN(options.target, MakeTarget("x86_64-pc-linux-gnu", "x86-64-v4"));
  const auto optimized = module->Clone();
  std::string after;
  options.passes.print = [&](std::string_view line) { after += line; };
  for (const char* const pass : {"fold-batch-norm", "fuse-conv-relu", "assign-layouts"}) {
    after.clear();
    options.passes.print_after = pass;
    KILN_RETURN_IF_ERROR(Optimize(*module->Clone(), options));
    text += Fenced(StrCat("After ", pass), after);
  }
  options.passes.print_after.clear();
  KILN_ASSIGN_OR_RETURN(const Program program, CompileToProgram(module->Clone(), options));
  size_t largest = 0;
  for (size_t i = 0; i < program.kernels.size(); ++i) {
    text += Fenced(StrCat("Kernel ", i, ", ", program.kernels[i].name, ", scheduled"),
                   loop::ToString(program.kernels[i]));
    const auto size = [&](size_t k) { return loop::ToString(program.kernels[k]).find("unroll"); };
    if (size(i) != std::string::npos && size(largest) == std::string::npos) largest = i;
  }
  text += Fenced("Memory", MemoryTable(program.functions[0]));
  for (const auto& [title, form] :
       {std::pair("LLVM IR", CodeForm::kLlvmIr), std::pair("Assembly", CodeForm::kAssembly)}) {
    KILN_ASSIGN_OR_RETURN(const std::string code,
                          CompileKernel(program.kernels[largest], "kernel", options.target, form));
    text += Fenced(StrCat(title, " of kernel ", largest, ", the beginning"), FirstLines(code, 60));
  }
  return text;
}

TEST(ArchitectureDocTest, ShowsEveryStageAsItIs) {
  std::ifstream file(kPath);
  std::stringstream buffer;
  buffer << file.rdbuf();
  const std::string document = buffer.str();
  const size_t begin = document.find(kBegin);
  const size_t end = document.find(kEnd);
  ASSERT_NE(begin, std::string::npos) << kPath;
  ASSERT_NE(end, std::string::npos) << kPath;
  const auto stages = Stages();
  ASSERT_TRUE(stages.ok()) << stages.status();
  const std::string expected =
      document.substr(0, begin) + kBegin + "\n" + *stages + document.substr(end);
  if (std::getenv("KILN_UPDATE_DOCS") != nullptr) {
    std::ofstream(kPath) << expected;
    return;
  }
  EXPECT_EQ(document, expected) << "run tests_compiler with KILN_UPDATE_DOCS=1";
}

}  // namespace
}  // namespace kiln
