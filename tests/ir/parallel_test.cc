#include "ir/support/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <new>
#include <set>
#include <thread>
#include <vector>

namespace kiln {
namespace {

TEST(ParallelForTest, VisitsEveryIndexOnce) {
  for (const int64_t count : {0, 1, 2, 7, 1000}) {
    std::vector<std::atomic<int>> visits(static_cast<size_t>(count));
    ParallelFor(count, int64_t{1} << 30, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) ++visits[static_cast<size_t>(i)];
    });
    for (const auto& visit : visits) EXPECT_EQ(visit, 1) << count;
  }
}

TEST(ParallelForTest, UsesTheCoresOnlyForLargeLoops) {
  std::mutex mutex;
  std::set<std::thread::id> threads;
  const auto note = [&](int64_t, int64_t) {
    const std::lock_guard<std::mutex> lock(mutex);
    threads.insert(std::this_thread::get_id());
  };
  ParallelFor(1000, 1000, note);
  EXPECT_EQ(threads, std::set{std::this_thread::get_id()});
  threads.clear();
  ParallelFor(1000, int64_t{1} << 40, note);
  EXPECT_LE(threads.size(), std::max(1u, std::thread::hardware_concurrency()));
  EXPECT_EQ(threads.size() > 1, std::thread::hardware_concurrency() > 1);
}

TEST(ParallelTasksTest, DoesEveryTaskOnce) {
  for (const int threads : {1, 2, 5}) {
    for (const int64_t count : {0, 1, 3, 1000}) {
      std::vector<std::atomic<int>> visits(static_cast<size_t>(count));
      ParallelTasks(count, threads, [&](int64_t i) { ++visits[static_cast<size_t>(i)]; });
      for (const auto& visit : visits) EXPECT_EQ(visit, 1) << count << " on " << threads;
    }
  }
}

TEST(ParallelTasksTest, LoopsInsideTasksStayOnOneThread) {
  std::atomic<int> parts{0};
  ParallelTasks(4, 2, [&](int64_t) {
    ParallelFor(1000, int64_t{1} << 40, [&](int64_t, int64_t) { ++parts; });
  });
  EXPECT_EQ(parts, 4);
  parts = 0;
  ParallelFor(1000, int64_t{1} << 40, [&](int64_t, int64_t) { ++parts; });
  EXPECT_EQ(parts > 1, std::thread::hardware_concurrency() > 1);
}

TEST(ParallelTasksTest, PassesOnThatNoMemoryIsLeft) {
  EXPECT_THROW(ParallelTasks(8, 2,
                             [](int64_t i) {
                               if (i == 5) throw std::bad_alloc();
                             }),
               std::bad_alloc);
}

}  // namespace
}  // namespace kiln
