#include "ir/support/parallel.h"

#include <algorithm>
#include <system_error>
#include <thread>
#include <vector>

namespace kiln {

void ParallelFor(int64_t count, int64_t bytes,
                 const std::function<void(int64_t begin, int64_t end)>& body) {
  // Starting a thread takes as long as moving some hundred thousand bytes.
  constexpr int64_t kBytesPerThread = int64_t{1} << 20;
  const auto cores = static_cast<int64_t>(std::thread::hardware_concurrency());
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

}  // namespace kiln
