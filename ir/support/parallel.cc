#include "ir/support/parallel.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace kiln {

namespace {

thread_local bool inside_task = false;

}  // namespace

int ProcessorCount() { return static_cast<int>(std::max(1U, std::thread::hardware_concurrency())); }

void ParallelFor(int64_t count, int64_t bytes,
                 const std::function<void(int64_t begin, int64_t end)>& body) {
  // Starting a thread takes as long as moving some hundred thousand bytes.
  constexpr int64_t kBytesPerThread = int64_t{1} << 20;
  const int64_t cores = inside_task ? 1 : ProcessorCount();
  const int64_t parts = std::max<int64_t>(1, std::min({cores, count, bytes / kBytesPerThread}));
  std::vector<std::thread> threads;
  int64_t begin = 0;
  for (int64_t part = 1; part < parts; ++part) {
    const int64_t end = count * part / parts;
    try {
      threads.emplace_back(body, begin, end);
    } catch (const std::system_error&) {
      break;  // no more threads to be had: the rest is done here
    }
    begin = end;
  }
  body(begin, count);
  for (std::thread& thread : threads) thread.join();
}

void ParallelTasks(int64_t count, int threads, const std::function<void(int64_t i)>& task) {
  std::atomic<int64_t> next{0};
  std::mutex mutex;
  std::exception_ptr failure;
  const auto work = [&] {
    const bool outer = std::exchange(inside_task, true);
    try {
      for (int64_t i = next++; i < count; i = next++) task(i);
    } catch (...) {  // no memory left
      const std::lock_guard lock(mutex);
      failure = std::current_exception();
    }
    inside_task = outer;
  };
  std::vector<std::thread> helpers;
  for (int64_t t = 1; t < std::min<int64_t>(threads, count); ++t) {
    try {
      helpers.emplace_back(work);
    } catch (const std::system_error&) {
      break;
    }
  }
  work();
  for (std::thread& helper : helpers) helper.join();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace kiln
