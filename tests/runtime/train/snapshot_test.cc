#include "runtime/train/snapshot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>

#include "runtime/file.h"
#include "tests/support/temporary_folder.h"

namespace kiln {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr int64_t kShape[] = {2, 3};

// A library of two parameters, with a constant between them.
class Library {
 public:
  explicit Library(const char* second = "b") {
    parameters_[0] = {"a", KILN_F32, 2, kShape, 24};
    parameters_[1] = {"", KILN_F32, 1, kShape, 8};
    parameters_[2] = {second, KILN_F32, 1, kShape + 1, 12};
    info_.num_parameters = 3;
    info_.parameters = parameters_;
    info_.parameter_offsets = offsets_;
    info_.parameters_bytes = 192;
  }
  const kiln_library_info& info() const { return info_; }

 private:
  kiln_tensor_info parameters_[3];
  uint64_t offsets_[3] = {0, 64, 128};
  kiln_library_info info_ = {};
};

std::vector<char> Block(char fill) { return std::vector<char>(192, fill); }

RunState State(int64_t step) {
  RunState state;
  state.step = step;
  state.step_items = 1763668414462;
  state.position = step * state.step_items;
  state.train_size = 10;
  state.seed = 0xfedcba9876543210;
  state.loss_sum = 0.1;
  state.best_score = 1.0 / 3;
  state.best_step = 4;
  HistoryRow row;
  row.step = 4;
  row.loss = 2.302585092994046;
  state.history = {row, HistoryRow()};
  return state;
}

TEST(Snapshot, KeepsEverything) {
  const TemporaryFolder folder;
  const Library library;
  ASSERT_TRUE(WriteSnapshot(folder / "s", State(7), library.info(), Block('x').data()).ok());
  RunState state;
  std::vector<char> block = Block('.');
  const auto status = ReadSnapshot(folder / "s", library.info(), state, block.data());
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(state.step, 7);
  EXPECT_EQ(state.position, 12345678901234);
  EXPECT_EQ(state.step_items, 1763668414462);
  EXPECT_EQ(state.train_size, 10);
  EXPECT_EQ(state.seed, 0xfedcba9876543210);
  EXPECT_EQ(state.loss_sum, 0.1);
  EXPECT_TRUE(std::isnan(state.smoothed_loss));
  EXPECT_EQ(state.best_score, 1.0 / 3);
  ASSERT_EQ(state.history.size(), 2u);
  EXPECT_EQ(state.history[0].loss, 2.302585092994046);
  EXPECT_TRUE(std::isnan(state.history[1].loss));
  EXPECT_EQ(block[23], 'x');
  EXPECT_EQ(block[64], '.') << "constants are not kept";
  EXPECT_EQ(block[128 + 11], 'x');
  EXPECT_EQ(block[128 + 12], '.');
}

TEST(Snapshot, AStateThatNoRunCanHaveIsTorn) {
  const TemporaryFolder folder;
  const Library library;
  using Change = void (*)(RunState&);
  constexpr Change kChanges[] = {
      [](RunState& state) { state.step = -1; },
      [](RunState& state) { state.position = -state.position; },
      [](RunState& state) { ++state.position; },
      [](RunState& state) { state.step_items = 0; },
      [](RunState& state) { state.step_items = int64_t{1} << 62; },
      [](RunState& state) { state.train_size = 0; },
      [](RunState& state) { state.loss_count = -1; },
      [](RunState& state) { state.tests_since_best = -1; },
  };
  for (const Change change : kChanges) {
    RunState state = State(7);
    change(state);
    ASSERT_TRUE(WriteSnapshot(folder / "s", state, library.info(), Block('x').data()).ok());
    std::vector<char> block = Block('.');
    const auto status = ReadSnapshot(folder / "s", library.info(), state, block.data());
    EXPECT_TRUE(absl::IsDataLoss(status)) << status;
    EXPECT_EQ(block, Block('.'));
  }
}

TEST(Snapshot, RecognisesEveryCutAndEveryChangedByte) {
  const TemporaryFolder folder;
  const Library library;
  ASSERT_TRUE(WriteSnapshot(folder / "s", State(7), library.info(), Block('x').data()).ok());
  const auto whole = ReadFile(folder / "s", 1 << 20);
  ASSERT_TRUE(whole.ok());
  RunState state;
  std::vector<char> block = Block('.');
  const auto is_torn = [&](const std::vector<char>& bytes) {
    folder.Write("torn", {bytes.data(), bytes.size()});
    return absl::IsDataLoss(ReadSnapshot(folder / "torn", library.info(), state, block.data()));
  };
  for (size_t size = 0; size < whole->size(); ++size) {
    ASSERT_TRUE(is_torn({whole->begin(), whole->begin() + static_cast<ptrdiff_t>(size)})) << size;
  }
  for (size_t i = 0; i < whole->size(); ++i) {
    std::vector<char> changed = *whole;
    changed[i] = static_cast<char>(changed[i] ^ 0x10);
    ASSERT_TRUE(is_torn(changed)) << i;
  }
  std::vector<char> longer = *whole;
  longer.push_back(0);
  EXPECT_TRUE(is_torn(longer));
  EXPECT_EQ(block, Block('.'));
  EXPECT_EQ(state.step, 0);
}

TEST(Snapshot, OfAnotherModelIsRefused) {
  const TemporaryFolder folder;
  const Library library, other("c");
  ASSERT_TRUE(WriteSnapshot(folder / "s", State(7), library.info(), Block('x').data()).ok());
  RunState state;
  std::vector<char> block = Block('.');
  const auto status = ReadSnapshot(folder / "s", other.info(), state, block.data());
  EXPECT_THAT(std::string(status.message()), HasSubstr("of another model"));
  EXPECT_FALSE(absl::IsDataLoss(status));
}

TEST(SnapshotFolder, KeepsTheNewestAndTheBestAndLoadsTheNewestWhole) {
  const TemporaryFolder folder;
  const Library library;
  auto snapshots = SnapshotFolder::Open(folder / "run", 2);
  ASSERT_TRUE(snapshots.ok()) << snapshots.status();
  folder.Write("run/step-000000002.snapshot.77.0.tmp", "half");
  folder.Write("run/other", "stays");
  for (int64_t step = 3; step < 10; ++step) {
    ASSERT_TRUE(snapshots->Store(State(step), library.info(), Block('x').data()).ok());
  }
  EXPECT_THAT(snapshots->Steps(), ElementsAre(4, 8, 9));
  EXPECT_EQ(snapshots->FileOf(9), folder / "run/step-000000009.snapshot");
  EXPECT_FALSE(std::filesystem::exists(folder / "run/step-000000002.snapshot.77.0.tmp"));
  EXPECT_TRUE(std::filesystem::exists(folder / "run/other"));
  folder.Write("run/step-000000009.snapshot", "torn");
  RunState state;
  std::vector<char> block = Block('.');
  std::vector<std::string> torn;
  const auto loaded = snapshots->Load(library.info(), state, block.data(), &torn);
  ASSERT_TRUE(loaded.ok() && *loaded);
  EXPECT_EQ(state.step, 8);
  EXPECT_THAT(torn, ElementsAre(snapshots->FileOf(9)));
}

TEST(SnapshotFolder, IsForOneRunAtATime) {
  const TemporaryFolder folder;
  {
    const auto first = SnapshotFolder::Open(folder.path(), 2);
    ASSERT_TRUE(first.ok());
    EXPECT_THAT(std::string(SnapshotFolder::Open(folder.path(), 2).status().message()),
                HasSubstr("is in use by another run"));
  }
  EXPECT_TRUE(SnapshotFolder::Open(folder.path(), 2).ok());
}

}  // namespace
}  // namespace kiln
