// Emitted libraries: loaded and run as another program would, and the same bytes each time.
#include "compiler/aot/library.h"

#include <elf.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <iterator>

#include "compiler/codegen/target_info.h"
#include "compiler/compile.h"
#include "ir/graph/builder.h"
#include "runtime/library.h"
#include "runtime/session.h"
#include "tests/support/temporary_folder.h"

namespace kiln {
namespace {

/// y = x w + b with a weight that is a constant and a bias that is a parameter.
std::unique_ptr<Module> Affine() {
  auto module = std::make_unique<Module>();
  module->SetParameter({"b", Tensor::FromDoubles(ElementType::kF32, {3}, {10, 20, 30})});
  Graph* const graph = module->AddFunction("forward");
  Builder b(graph);
  const auto x = b.Input("x", {ElementType::kF32, {1, 2}, {}});
  const auto w = b.Constant(Tensor::FromDoubles(ElementType::kF32, {2, 3}, {1, 2, 3, 4, 5, 6}));
  const auto y = b.Add(b.Make("matmul", {x, w}), b.Parameter("b"));
  EXPECT_TRUE(y.ok()) << y.status();
  graph->AddOutput("y", *y);
  return module;
}

std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// Emits the model for `target` as a library at `path`, which it returns.
std::string Emit(std::unique_ptr<Module> module, const Target& target, const std::string& path) {
  CompileOptions options;
  options.target = target;
  auto program = CompileToProgram(std::move(module), options);
  EXPECT_TRUE(program.ok()) << program.status();
  const Status status = EmitLibrary(*program, {.target = target}, "libaffine.so", path);
  EXPECT_TRUE(status.ok()) << status;
  return path;
}

TEST(LibraryTest, RunsWithItsOwnParameters) {
  const TemporaryFolder folder;
  const auto library = Library::Open(Emit(Affine(), *HostTarget(), folder / "libaffine.so"));
  ASSERT_TRUE(library.ok()) << library.status();
  const kiln_library_info& info = (*library)->info();
  ASSERT_NE(info.parameters_data, nullptr);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(info.parameters_data) % KILN_PARAMETERS_ALIGNMENT, 0u);
  auto session = Session::Create(&info.functions[0], {.owner = *library});
  ASSERT_TRUE(session.ok()) << session.status();
  HostTensor x{KILN_F32, {1, 2}, std::vector<char>(8)};
  const float values[] = {1, 2};
  std::memcpy(x.bytes.data(), values, sizeof(values));
  const auto outputs = session->Run({{x}});
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  float y[3];
  std::memcpy(y, (*outputs)[0].bytes.data(), sizeof(y));
  EXPECT_EQ(y[0], 19);
  EXPECT_EQ(y[1], 32);
  EXPECT_EQ(y[2], 45);
}

TEST(LibraryTest, TheSameModelGivesTheSameBytes) {
  const TemporaryFolder folder;
  const std::string first = ReadAll(Emit(Affine(), *HostTarget(), folder / "libfirst.so"));
  EXPECT_GT(first.size(), 1000u);
  EXPECT_EQ(first, ReadAll(Emit(Affine(), *HostTarget(), folder / "libsecond.so")));
}

TEST(LibraryTest, AModelWithoutParametersIsALibraryToo) {
  const TemporaryFolder folder;
  auto module = std::make_unique<Module>();
  Graph* const graph = module->AddFunction("forward");
  Builder b(graph);
  graph->AddOutput("y", *b.Make("relu", {b.Input("x", {ElementType::kF32, {4}, {}})}));
  const auto library = Library::Open(Emit(std::move(module), *HostTarget(), folder / "librelu.so"));
  ASSERT_TRUE(library.ok()) << library.status();
  EXPECT_EQ((*library)->info().parameters_bytes, 0u);
}

TEST(LibraryTest, ParametersOfAnotherMachinesLibraryAreForThatMachine) {
  const TemporaryFolder folder;
  const auto target = MakeTarget("aarch64-linux-gnu", "");
  ASSERT_TRUE(target.ok()) << target.status();
  const std::string bytes = ReadAll(Emit(Affine(), *target, folder / "libarm.so"));
  Elf64_Ehdr header;
  ASSERT_GT(bytes.size(), sizeof(header));
  std::memcpy(&header, bytes.data(), sizeof(header));
  EXPECT_EQ(header.e_machine, EM_AARCH64);
  const float bias[] = {10, 20, 30};
  EXPECT_NE(bytes.find(std::string(reinterpret_cast<const char*>(bias), sizeof(bias))),
            std::string::npos);
}

/// y = x * v + w for two vectors of `count` numbers: 1, 2, 3, ... and -1, -2, -3, ...
std::unique_ptr<Module> TwoVectors(int64_t count) {
  auto module = std::make_unique<Module>();
  for (const double sign : {1.0, -1.0}) {
    std::vector<double> values(static_cast<size_t>(count));
    for (size_t i = 0; i < values.size(); ++i) values[i] = sign * static_cast<double>(i + 1);
    module->SetParameter(
        {sign > 0 ? "v" : "w", Tensor::FromDoubles(ElementType::kF32, {count}, values)});
  }
  Graph* const graph = module->AddFunction("forward");
  Builder b(graph);
  const auto x = b.Input("x", {ElementType::kF32, {count}, {}});
  const auto y = b.Add(b.Mul(x, b.Parameter("v")), b.Parameter("w"));
  EXPECT_TRUE(y.ok()) << y.status();
  graph->AddOutput("y", *y);
  return module;
}

TEST(LibraryTest, ParametersLieReadOnlyBehindAllElse) {
  const TemporaryFolder folder;
  constexpr int64_t kCount = 50001;  // many pages, and no whole number of cache lines
  const std::string path = Emit(TwoVectors(kCount), *HostTarget(), folder / "libvectors.so");
  const auto library = Library::Open(path);
  ASSERT_TRUE(library.ok()) << library.status();
  const kiln_library_info& info = (*library)->info();
  ASSERT_EQ(info.num_parameters, 2);
  for (int p = 0; p < 2; ++p) {
    const double sign = std::string(info.parameters[p].name) == "v" ? 1 : -1;
    const char* const data =
        static_cast<const char*>(info.parameters_data) + info.parameter_offsets[p];
    for (const int64_t i : {int64_t{0}, kCount / 2, kCount - 1}) {
      EXPECT_EQ(LoadDouble(ElementType::kF32, data + 4 * i), sign * static_cast<double>(i + 1));
    }
  }
  const std::string bytes = ReadAll(path);
  Elf64_Ehdr header;
  std::memcpy(&header, bytes.data(), sizeof(header));
  std::vector<Elf64_Phdr> segments(header.e_phnum);
  std::memcpy(segments.data(), bytes.data() + header.e_phoff, header.e_phnum * sizeof(Elf64_Phdr));
  Elf64_Phdr last{};
  for (const Elf64_Phdr& segment : segments) {
    if (segment.p_type == PT_LOAD && segment.p_vaddr >= last.p_vaddr) last = segment;
  }
  EXPECT_EQ(last.p_flags, static_cast<uint32_t>(PF_R));
  EXPECT_GE(last.p_filesz, info.parameters_bytes);
  EXPECT_EQ(header.e_shoff + header.e_shnum * sizeof(Elf64_Shdr), bytes.size());
}

TEST(LibraryTest, AMissingValueIsToldByName) {
  auto module = Affine();
  module->SetParameter({"b", Tensor::Unknown({ElementType::kF32, {3}, {}}, "no such hash")});
  CompileOptions options;
  options.target = *HostTarget();
  auto program = CompileToProgram(std::move(module), options);
  ASSERT_TRUE(program.ok()) << program.status();
  const Status status = EmitLibrary(*program, {.target = options.target}, "lib.so",
                                    TemporaryFolder() / "libmissing.so");
  ASSERT_FALSE(status.ok());
  EXPECT_NE(Message(status).find("parameter 'b'"), std::string::npos) << status;
}

TEST(LibraryTest, AMemoryLimitIsKeptBeforeAnythingIsCompiled) {
  CompileOptions options;
  options.target = *HostTarget();
  options.max_memory = 8;
  const auto program = CompileToProgram(Affine(), options);
  ASSERT_FALSE(program.ok());
  EXPECT_NE(Message(program.status()).find("the limit is 0.0 KiB"), std::string::npos)
      << program.status();
}

}  // namespace
}  // namespace kiln
