// A pool of threads that runs parallel sections: the kiln_executor that Kiln itself uses.
//
// Invariants: a section of `count` items is cut into min(threads, count) chunks, chunk t of n being
// [count*t/n, count*(t+1)/n), and the calling thread does chunk 0. Which thread does which items
// depends on nothing else. A section that comes while the workers are busy with another one (of a
// second session) runs whole on its caller, and so does one that a task starts (nesting): nobody
// waits for anybody else's work, and nothing can deadlock. Workers spin for a fraction of a
// millisecond after a section, so that the next kernel finds them awake, and then park. Tasks must
// not throw.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "runtime/abi/kiln.h"

namespace kiln {

class ThreadPool {
 public:
  static constexpr int kMaxThreads = 1024;

  /// A pool of `threads` threads, the caller among them; the number is clamped to
  /// [1, kMaxThreads], and to as many as the system grants.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return executor_.threads; }
  /// Valid for as long as the pool lives.
  const kiln_executor* executor() const { return &executor_; }

  /// See kiln_executor::parallel_for.
  void ParallelFor(int64_t count, kiln_task task, void* argument);

 private:
  struct Section {
    int64_t count = 0;
    int64_t chunks = 0;
    kiln_task task = nullptr;
    void* argument = nullptr;
    void RunChunk(int64_t chunk) const;
  };

  void WorkerMain(int index);
  void Dispatch(const Section& section);

  kiln_executor executor_;
  std::chrono::nanoseconds spin_;
  std::mutex submission_;  // Held while a section runs on the workers.
  Section section_;        // Written before `epoch_` moves, read by workers after.
  bool stopping_ = false;  // Likewise.
  // On cache lines of their own: workers poll the one while others write the other.
  alignas(64) std::atomic<uint32_t> epoch_{0};    // Sections started so far.
  alignas(64) std::atomic<uint32_t> pending_{0};  // Workers that have not finished this section.
  std::vector<std::thread> workers_;
};

/// The number of cores this process may run on, at least 1.
int AvailableCores();

}  // namespace kiln
