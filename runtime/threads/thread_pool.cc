#include "runtime/threads/thread_pool.h"

#include <algorithm>
#include <system_error>

namespace kiln {
namespace {

using Clock = std::chrono::steady_clock;

// How long to poll before parking. Longer than most kernels that run on the caller alone, because
// waking a parked thread takes some 50 microseconds; shorter than anything a user would notice.
constexpr std::chrono::microseconds kSpin{200};

// True while this thread runs a task of any pool.
thread_local bool inside_task = false;

void Pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Returns when `value` is no longer `old`. Sequentially consistent, as is every change of the
// value: a waiter that has counted itself and a changer that looks for waiters cannot miss each
// other.
void WaitWhileEqual(const std::atomic<uint32_t>& value, uint32_t old,
                    std::chrono::nanoseconds spin) {
  constexpr int kPollsPerLook = 64;  // at the clock, which costs as much as a poll
  Clock::time_point end;             // set at the first look: most waits are over before
  while (spin.count() > 0) {
    for (int i = 0; i < kPollsPerLook; ++i) {
      if (value.load() != old) return;
      Pause();
    }
    const Clock::time_point now = Clock::now();
    if (end == Clock::time_point()) end = now + spin;
    if (now >= end) break;
  }
  value.wait(old);
}

}  // namespace

int AvailableCores() { return static_cast<int>(std::max(1u, std::thread::hardware_concurrency())); }

ThreadPool::ThreadPool(int threads) {
  threads = std::clamp(threads, 1, kMaxThreads);
  // With more threads than cores a spinning thread only keeps another one from its work.
  spin_ = threads <= AvailableCores() ? kSpin : std::chrono::nanoseconds(0);
  workers_.reserve(threads - 1);
  try {
    for (int i = 1; i < threads; ++i) workers_.emplace_back(&ThreadPool::WorkerMain, this, i);
  } catch (const std::system_error&) {
    // The system grants no more threads: make do with those there are.
  }
  executor_.context = this;
  executor_.threads = static_cast<int32_t>(workers_.size()) + 1;
  executor_.parallel_for = [](void* context, int64_t count, kiln_task task, void* argument) {
    static_cast<ThreadPool*>(context)->ParallelFor(count, task, argument);
  };
}

ThreadPool::~ThreadPool() {
  stopping_ = true;
  epoch_.fetch_add(1);
  epoch_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::Section::RunChunk(int64_t chunk) const {
  // count * t / chunks, without overflow.
  const auto bound = [this](int64_t t) { return count / chunks * t + count % chunks * t / chunks; };
  inside_task = true;
  task(argument, bound(chunk), bound(chunk + 1));
  inside_task = false;
}

void ThreadPool::ParallelFor(int64_t count, kiln_task task, void* argument) {
  if (count <= 0) return;
  std::unique_lock<std::mutex> lock(submission_, std::defer_lock);
  if (count == 1 || workers_.empty() || inside_task || !lock.try_lock()) {
    task(argument, 0, count);
    return;
  }
  Dispatch({count, std::min<int64_t>(count, threads()), task, argument});
}

void ThreadPool::Dispatch(const Section& section) {
  section_ = section;
  pending_.store(static_cast<uint32_t>(workers_.size()));
  epoch_.fetch_add(1);
  epoch_.notify_all();
  section.RunChunk(0);
  for (uint32_t left = pending_.load(); left != 0; left = pending_.load()) {
    WaitWhileEqual(pending_, left, spin_);
  }
}

void ThreadPool::WorkerMain(int index) {
  for (uint32_t seen = 0;; ++seen) {
    WaitWhileEqual(epoch_, seen, spin_);
    if (stopping_) return;
    if (index < section_.chunks) section_.RunChunk(index);
    // Only the last one wakes the caller. Should it park on a count that is no longer true, the
    // kernel sends it back at once.
    if (pending_.fetch_sub(1) == 1) pending_.notify_one();
  }
}

}  // namespace kiln
