#include "runtime/threads/thread_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <limits>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

namespace kiln {
namespace {

using Task = std::function<void(int64_t, int64_t)>;

void For(const kiln_executor* executor, int64_t count, const Task& task) {
  const auto call = [](void* argument, int64_t begin, int64_t end) {
    (*static_cast<const Task*>(argument))(begin, end);
  };
  executor->parallel_for(executor->context, count, call, const_cast<Task*>(&task));
}

// The ranges of one section, by where they begin.
std::map<int64_t, int64_t> Ranges(ThreadPool& pool, int64_t count) {
  std::mutex mutex;
  std::map<int64_t, int64_t> ranges;
  For(pool.executor(), count, [&](int64_t begin, int64_t end) {
    const std::lock_guard<std::mutex> lock(mutex);
    ranges[begin] = end;
  });
  return ranges;
}

TEST(ThreadPoolTest, SplitsEvenlyAndInOrder) {
  ThreadPool pool(4);
  ASSERT_EQ(pool.threads(), 4);
  using Map = std::map<int64_t, int64_t>;
  EXPECT_EQ(Ranges(pool, 10), (Map{{0, 2}, {2, 5}, {5, 7}, {7, 10}}));
  EXPECT_EQ(Ranges(pool, 4), (Map{{0, 1}, {1, 2}, {2, 3}, {3, 4}}));
  EXPECT_EQ(Ranges(pool, 3), (Map{{0, 1}, {1, 2}, {2, 3}}));
  EXPECT_EQ(Ranges(pool, 1), (Map{{0, 1}}));
  EXPECT_EQ(Ranges(pool, 0), Map{});
  EXPECT_EQ(Ranges(pool, -5), Map{});
}

TEST(ThreadPoolTest, HugeCountsDoNotOverflow) {
  ThreadPool pool(3);
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  const std::map<int64_t, int64_t> ranges = Ranges(pool, kMost);
  EXPECT_EQ(ranges, (std::map<int64_t, int64_t>{
                        {0, kMost / 3}, {kMost / 3, kMost / 3 * 2}, {kMost / 3 * 2, kMost}}));
}

TEST(ThreadPoolTest, OneItemRunsOnTheCaller) {
  ThreadPool pool(2);
  std::thread::id runner;
  For(pool.executor(), 1, [&](int64_t, int64_t) { runner = std::this_thread::get_id(); });
  EXPECT_EQ(runner, std::this_thread::get_id());
}

TEST(ThreadPoolTest, ChunksRunOnDifferentThreadsAtTheSameTime) {
  ThreadPool pool(3);
  std::atomic<int> arrived{0};
  For(pool.executor(), 3, [&](int64_t, int64_t) {
    ++arrived;
    while (arrived < 3) std::this_thread::yield();  // Ends only if all three are running.
  });
  EXPECT_EQ(arrived, 3);
}

TEST(ThreadPoolTest, NumbersOfThreadsAreClamped) {
  EXPECT_EQ(ThreadPool(0).threads(), 1);
  EXPECT_EQ(ThreadPool(-7).threads(), 1);
  EXPECT_GE(AvailableCores(), 1);
}

// Each section reads what the one before wrote, on other threads.
TEST(ThreadPoolTest, WritesOfOneSectionAreSeenByTheNext) {
  ThreadPool pool(4);
  constexpr int64_t kCount = 1000;
  std::vector<int64_t> values(kCount, 0), next(kCount);
  for (int round = 0; round < 300; ++round) {
    For(pool.executor(), kCount, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) next[i] = values[(i + 377) % kCount] + 1;
    });
    values.swap(next);
  }
  EXPECT_THAT(values, ::testing::Each(300));
}

TEST(ThreadPoolTest, ParkedWorkersWakeUp) {
  ThreadPool pool(2);
  for (int round = 0; round < 5; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_EQ(Ranges(pool, 2).size(), 2u);
  }
}

TEST(ThreadPoolTest, SeveralThreadsShareOnePool) {
  ThreadPool pool(3);
  std::vector<int64_t> sums(4, 0);
  std::vector<std::thread> callers;
  for (int64_t& sum : sums) {
    callers.emplace_back([&pool, &sum] {
      for (int round = 0; round < 200; ++round) {
        std::vector<int64_t> items(17, 0);
        For(pool.executor(), 17, [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) items[i] += i;
        });
        for (const int64_t item : items) sum += item;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_THAT(sums, ::testing::Each(200 * 17 * 16 / 2));
}

TEST(ThreadPoolTest, ASectionThatComesWhileTheWorkersAreBusyRunsOnItsCaller) {
  ThreadPool pool(2);
  std::atomic<int> arrived{0};
  std::atomic<bool> release{false};
  std::thread busy([&] {
    For(pool.executor(), 2, [&](int64_t, int64_t) {
      ++arrived;
      while (!release) std::this_thread::yield();
    });
  });
  while (arrived < 2) std::this_thread::yield();
  std::vector<std::thread::id> runners;
  For(pool.executor(), 8, [&](int64_t begin, int64_t end) {
    EXPECT_EQ(end - begin, 8);
    runners.push_back(std::this_thread::get_id());
  });
  EXPECT_THAT(runners, ::testing::ElementsAre(std::this_thread::get_id()));
  release = true;
  busy.join();
}

TEST(ThreadPoolTest, NestedSectionsRunInline) {
  ThreadPool pool(2), other(2);
  std::atomic<int64_t> total{0};
  For(pool.executor(), 4, [&](int64_t begin, int64_t end) {
    const std::thread::id outer = std::this_thread::get_id();
    for (const ThreadPool* inner : {&pool, &other}) {
      For(inner->executor(), 10, [&](int64_t b, int64_t e) {
        EXPECT_EQ(std::this_thread::get_id(), outer);
        total += (end - begin) * (e - b);
      });
    }
  });
  EXPECT_EQ(total, 80);
}

TEST(ThreadPoolTest, PoolsComeAndGo) {
  for (int i = 0; i < 50; ++i) {
    ThreadPool pool(1 + i % 4);
    if (i % 3 != 0) {
      EXPECT_EQ(Ranges(pool, 8).size(), static_cast<size_t>(pool.threads()));
    }
  }
}

}  // namespace
}  // namespace kiln
