// Tuning and its tables: what is measured is one of the candidates, is kept, and is used.
#include "compiler/tune/tuner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "compiler/codegen/target_info.h"
#include "compiler/schedule/schedule.h"
#include "tests/support/temporary_folder.h"

namespace kiln {
namespace {

using testing::HasSubstr;

/// c[m,n] = sum over k of a[m,k] * b[k,n], unscheduled.
loop::Kernel Matmul(int64_t m, int64_t n, int64_t k) {
  loop::Kernel kernel{.name = "matmul"};
  const loop::Buffer a = loop::MakeBuffer("a", ElementType::kF32, {m, k});
  const loop::Buffer b = loop::MakeBuffer("b", ElementType::kF32, {k, n});
  const loop::Buffer c = loop::MakeBuffer("c", ElementType::kF32, {m, n});
  const loop::Var i = loop::MakeVar("i", m), j = loop::MakeVar("j", n), p = loop::MakeVar("p", k);
  const loop::Expr sum =
      loop::Reduce(loop::ReduceOp::kSum, {p}, loop::Load(a, {i, p}) * loop::Load(b, {p, j}));
  kernel.inputs = {a, b};
  kernel.outputs = {c};
  kernel.body = loop::For(i, loop::For(j, loop::Store(c, {i, j}, sum)));
  return kernel;
}

std::string ReadAll(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(ScheduleTableTest, RoundTripsAsText) {
  const Target target{.triple = "t", .cpu = "c", .features = "+f"};
  ScheduleTable table;
  table.Insert(Matmul(8, 32, 4), {6, 2});
  table.Insert(Matmul(9, 32, 4), {1, 64});
  const std::string text = table.ToText(target);
  ScheduleTable read;
  ASSERT_TRUE(read.Merge(text, target).ok());
  EXPECT_EQ(read.ToText(target), text);
  EXPECT_EQ(read.Find(Matmul(8, 32, 4)), (TileShape{6, 2}));
  EXPECT_EQ(read.Find(Matmul(8, 32, 5)), std::nullopt);
}

TEST(ScheduleTableTest, SaysWhatIsWrong) {
  const Target target{.triple = "t", .cpu = "c"};
  const std::string hash(32, 'a');
  const auto error = [&](const std::string& text) {
    return std::string(ScheduleTable().Merge(text, target).message());
  };
  const std::string header = "kiln schedules 1 t/c/\n";
  EXPECT_EQ(error(header + hash + "  6x2\n"), "");
  EXPECT_THAT(error(""), HasSubstr("line 1: expected"));
  EXPECT_THAT(error("hello"), HasSubstr("line 1: expected"));
  EXPECT_THAT(error("kiln schedules 1 u/c/\n"), HasSubstr("for u/c/, not for t/c/"));
  for (const std::string& bad : std::vector<std::string>{
           hash + "  6x0", hash + "  6", hash + " 6x2", hash + "  x2", hash + "  65x2",
           hash + "  6x2 ", "6x2", "", std::string(32, 'g') + "  6x2",
           hash + "  99999999999999999999x1"}) {
    EXPECT_THAT(error(header + bad + "\n"), HasSubstr("line 2: expected")) << bad;
  }
}

TEST(TunerTest, UsesWhatAFileNames) {
  const auto target = HostTarget();
  ASSERT_TRUE(target.ok()) << target.status();
  const loop::Kernel kernel = Matmul(12, 64, 8);
  ScheduleTable table;
  table.Insert(kernel, {3, 1});
  const TemporaryFolder folder;
  std::ofstream(folder.path() + "/in.txt") << table.ToText(*target);
  auto tuner = Tuner::Create(
      *target, {.read_file = folder.path() + "/in.txt", .export_file = folder.path() + "/out.txt"});
  ASSERT_TRUE(tuner.ok()) << tuner.status();
  const auto shape = tuner->ShapeOf(kernel);
  ASSERT_TRUE(shape.ok() && *shape) << shape.status();
  EXPECT_EQ(**shape, (TileShape{3, 1}));
  EXPECT_THAT(loop::ToString(Schedule(kernel, *target, &**shape)), HasSubstr("unroll i1:3"));
  const auto other = tuner->ShapeOf(Matmul(12, 64, 9));
  ASSERT_TRUE(other.ok());
  EXPECT_EQ(*other, std::nullopt);
  ASSERT_TRUE(tuner->Save().ok());
  EXPECT_EQ(ReadAll(folder.path() + "/out.txt"), table.ToText(*target));
}

TEST(TunerTest, MeasuresOnceAndKeepsTheWinner) {
  const auto target = HostTarget();
  ASSERT_TRUE(target.ok()) << target.status();
  const TemporaryFolder folder;
  const TuningOptions options{.measure = true, .cache_folder = folder.path() + "/cache"};
  const loop::Kernel kernel = Matmul(24, 64, 32);
  auto tuner = Tuner::Create(*target, options);
  ASSERT_TRUE(tuner.ok()) << tuner.status();
  const auto shape = tuner->ShapeOf(kernel);
  ASSERT_TRUE(shape.ok() && *shape) << shape.status();
  EXPECT_THAT(CandidateShapes(kernel, *target, 6), testing::Contains(**shape));
  ASSERT_TRUE(tuner->Save().ok());

  // A later run reads it instead of measuring: a table that says something else is believed.
  const auto kept = std::filesystem::directory_iterator(options.cache_folder)->path();
  ScheduleTable other;
  other.Insert(kernel, {1, 1});
  std::ofstream(kept) << other.ToText(*target);
  auto second = Tuner::Create(*target, options);
  ASSERT_TRUE(second.ok()) << second.status();
  const auto found = second->ShapeOf(kernel);
  ASSERT_TRUE(found.ok() && *found) << found.status();
  EXPECT_EQ(**found, (TileShape{1, 1}));

  std::ofstream(kept) << "damaged";
  EXPECT_TRUE(Tuner::Create(*target, options).ok());
}

TEST(TunerTest, LeavesKernelsWithoutAContractionAlone) {
  const auto target = HostTarget();
  ASSERT_TRUE(target.ok()) << target.status();
  auto tuner = Tuner::Create(*target, {.measure = true});
  ASSERT_TRUE(tuner.ok()) << tuner.status();
  loop::Kernel kernel{.name = "copy"};
  kernel.inputs = {loop::MakeBuffer("a", ElementType::kF32, {64})};
  kernel.outputs = {loop::MakeBuffer("b", ElementType::kF32, {64})};
  const loop::Var i = loop::MakeVar("i", 64);
  kernel.body =
      loop::For(i, loop::Store(kernel.outputs[0], {i}, loop::Load(kernel.inputs[0], {i})));
  const auto shape = tuner->ShapeOf(kernel);
  ASSERT_TRUE(shape.ok()) << shape.status();
  EXPECT_EQ(*shape, std::nullopt);
}

}  // namespace
}  // namespace kiln
