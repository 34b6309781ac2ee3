#include "passes/memory/plan_memory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace kiln {
namespace {

bool Alive(const BufferLifetime& a, const BufferLifetime& b) {
  return a.first_step <= b.last_step && b.first_step <= a.last_step;
}

bool InPlace(const std::vector<BufferLifetime>& buffers, size_t a, size_t b) {
  return buffers[b].in_place_of == static_cast<int>(a) &&
         buffers[a].last_step == buffers[b].first_step;
}

// The invariants that plan_memory.h promises.
void CheckPlan(const std::vector<BufferLifetime>& buffers, const MemoryPlan& plan) {
  ASSERT_EQ(plan.offsets.size(), buffers.size());
  EXPECT_LE(plan.lower_bound, plan.arena_size);
  for (size_t i = 0; i < buffers.size(); ++i) {
    EXPECT_GE(plan.offsets[i], 0);
    EXPECT_EQ(plan.offsets[i] % buffers[i].alignment, 0);
    EXPECT_LE(plan.offsets[i] + buffers[i].size, plan.arena_size);
    for (size_t k = 0; k < i; ++k) {
      const bool disjoint = plan.offsets[i] + buffers[i].size <= plan.offsets[k] ||
                            plan.offsets[k] + buffers[k].size <= plan.offsets[i] ||
                            buffers[i].size == 0 || buffers[k].size == 0;
      if (disjoint || !Alive(buffers[i], buffers[k])) continue;
      EXPECT_TRUE(InPlace(buffers, i, k) || InPlace(buffers, k, i)) << i << " and " << k;
      EXPECT_EQ(plan.offsets[i], plan.offsets[k]) << i << " and " << k;
    }
  }
}

TEST(PlanMemory, NothingNeedsNothing) {
  const auto plan = PlanMemory({});
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->arena_size, 0);
}

TEST(PlanMemory, ChainUsesTwoBuffers) {
  const auto plan = PlanMemory({{1024, 0, 1}, {1024, 1, 2}, {1024, 2, 3}, {1024, 3, 4}});
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->arena_size, 2048);
  EXPECT_EQ(plan->lower_bound, 2048);
}

TEST(PlanMemory, InPlaceChainUsesOne) {
  const std::vector<BufferLifetime> buffers = {
      {1024, 0, 1}, {1024, 1, 2, 64, 0}, {1024, 2, 3, 64, 1}};
  const auto plan = PlanMemory(buffers);
  ASSERT_TRUE(plan.ok());
  CheckPlan(buffers, *plan);
  EXPECT_EQ(plan->arena_size, 1024);
}

TEST(PlanMemory, InPlaceIsIgnoredWhileTheOtherIsStillRead) {
  const std::vector<BufferLifetime> buffers = {{1024, 0, 5}, {1024, 1, 2, 64, 0}};
  const auto plan = PlanMemory(buffers);
  ASSERT_TRUE(plan.ok());
  CheckPlan(buffers, *plan);
  EXPECT_EQ(plan->arena_size, 2048);
}

TEST(PlanMemory, OneBufferIsTakenOverOnce) {
  const std::vector<BufferLifetime> buffers = {{64, 0, 1}, {64, 1, 3, 64, 0}, {64, 1, 3, 64, 0}};
  const auto plan = PlanMemory(buffers);
  ASSERT_TRUE(plan.ok());
  EXPECT_NE(plan->offsets[1], plan->offsets[2]);
  EXPECT_EQ(plan->arena_size, 128);
}

TEST(PlanMemory, MalformedLifetimesAreErrors) {
  const BufferLifetime malformed[] = {{-1, 0, 1},
                                      {1, 1, 0},
                                      {1, -1, 0},
                                      {1, 0, 1, 3},
                                      {1, 0, 1, 0},
                                      {1, 0, 1, 64, 7},
                                      {int64_t{1} << 62, 0, 1}};
  for (const BufferLifetime& buffer : malformed) EXPECT_FALSE(PlanMemory({buffer}).ok());
  EXPECT_FALSE(PlanMemory({{int64_t{1} << 48, 0, 1}, {64, 1, 2}}).ok());
}

std::vector<BufferLifetime> RandomLifetimes(std::mt19937& random) {
  std::vector<BufferLifetime> buffers(random() % 40);
  for (size_t i = 0; i < buffers.size(); ++i) {
    BufferLifetime& buffer = buffers[i];
    buffer.size = random() % 8 == 0 ? 0 : static_cast<int64_t>(random() % 5000);
    buffer.first_step = static_cast<int>(random() % 20);
    buffer.last_step = buffer.first_step + static_cast<int>(random() % 6);
    buffer.alignment = int64_t{1} << (random() % 8);
    if (random() % 2) buffer.in_place_of = static_cast<int>(random() % buffers.size());
  }
  return buffers;
}

TEST(PlanMemory, OverlappingLifetimesNeverShareBytes) {
  std::mt19937 random(7);
  for (int round = 0; round < 2000; ++round) {
    const std::vector<BufferLifetime> buffers = RandomLifetimes(random);
    const auto plan = PlanMemory(buffers);
    ASSERT_TRUE(plan.ok()) << plan.status();
    CheckPlan(buffers, *plan);
    if (HasFailure()) FAIL() << "round " << round;
  }
}

// Nets are chains with skip connections: step i makes one value, read by the next step or two, now
// and then by one that comes much later.
TEST(PlanMemory, NetsStayNearTheLowerBound) {
  std::mt19937 random(11);
  for (int round = 0; round < 200; ++round) {
    std::vector<BufferLifetime> buffers;
    for (int step = 0; step < 100; ++step) {
      const int64_t channels = 16 << (step / 25), extent = 112 >> (step / 25);
      const int reach = random() % 8 == 0 ? 6 : 1 + static_cast<int>(random() % 2);
      buffers.push_back({4 * channels * extent * extent, step, step + reach});
    }
    const auto plan = PlanMemory(buffers);
    ASSERT_TRUE(plan.ok());
    EXPECT_LE(static_cast<double>(plan->arena_size), 1.3 * static_cast<double>(plan->lower_bound));
  }
}

}  // namespace
}  // namespace kiln
