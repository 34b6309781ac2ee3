#include "runtime/limits.h"

#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace kiln {
namespace {

using Clock = std::chrono::steady_clock;

// Sixteen (on AVX2 twelve) chains of multiply-adds: more than the latency (4) times the units (2)
// of any core, and no more than there are registers. A function returns the operations of one
// iteration.
struct FmaLoop {
  double flops;
  float (*run)(int64_t iterations);
};

#if defined(__x86_64__)

[[gnu::target("avx512f")]] float FmaAvx512(int64_t iterations) {
  constexpr int kChains = 16;
  __m512 chains[kChains];
  for (int i = 0; i < kChains; ++i) chains[i] = _mm512_set1_ps(static_cast<float>(i));
  const __m512 factor = _mm512_set1_ps(0.5f), term = _mm512_set1_ps(0.25f);
  for (int64_t n = 0; n < iterations; ++n) {
#pragma GCC unroll 16
    for (int i = 0; i < kChains; ++i) chains[i] = _mm512_fmadd_ps(chains[i], factor, term);
  }
  for (int i = 1; i < kChains; ++i) chains[0] = _mm512_add_ps(chains[0], chains[i]);
  return _mm512_cvtss_f32(chains[0]);
}

[[gnu::target("avx2,fma")]] float FmaAvx2(int64_t iterations) {
  constexpr int kChains = 12;
  __m256 chains[kChains];
  for (int i = 0; i < kChains; ++i) chains[i] = _mm256_set1_ps(static_cast<float>(i));
  const __m256 factor = _mm256_set1_ps(0.5f), term = _mm256_set1_ps(0.25f);
  for (int64_t n = 0; n < iterations; ++n) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) chains[i] = _mm256_fmadd_ps(chains[i], factor, term);
  }
  for (int i = 1; i < kChains; ++i) chains[0] = _mm256_add_ps(chains[0], chains[i]);
  return _mm256_cvtss_f32(chains[0]);
}

float MulAddSse(int64_t iterations) {
  constexpr int kChains = 12;
  __m128 chains[kChains];
  for (int i = 0; i < kChains; ++i) chains[i] = _mm_set1_ps(static_cast<float>(i));
  const __m128 factor = _mm_set1_ps(0.5f), term = _mm_set1_ps(0.25f);
  for (int64_t n = 0; n < iterations; ++n) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) chains[i] = _mm_add_ps(_mm_mul_ps(chains[i], factor), term);
  }
  for (int i = 1; i < kChains; ++i) chains[0] = _mm_add_ps(chains[0], chains[i]);
  return _mm_cvtss_f32(chains[0]);
}

FmaLoop HostFmaLoop() {
  if (__builtin_cpu_supports("avx512f")) return {2.0 * 16 * 16, FmaAvx512};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    return {2.0 * 12 * 8, FmaAvx2};
  }
  return {2.0 * 12 * 4, MulAddSse};
}

#elif defined(__aarch64__)

float FmaNeon(int64_t iterations) {
  constexpr int kChains = 16;
  float32x4_t chains[kChains];
  for (int i = 0; i < kChains; ++i) chains[i] = vdupq_n_f32(static_cast<float>(i));
  const float32x4_t factor = vdupq_n_f32(0.5f), term = vdupq_n_f32(0.25f);
  for (int64_t n = 0; n < iterations; ++n) {
#pragma GCC unroll 16
    for (int i = 0; i < kChains; ++i) chains[i] = vfmaq_f32(term, chains[i], factor);
  }
  for (int i = 1; i < kChains; ++i) chains[0] = vaddq_f32(chains[0], chains[i]);
  return vgetq_lane_f32(chains[0], 0);
}

FmaLoop HostFmaLoop() { return {2.0 * 16 * 4, FmaNeon}; }

#else

float MulAdd(int64_t iterations) {
  constexpr int kChains = 8;
  float chains[kChains] = {1, 2, 3, 4, 5, 6, 7, 8};
  for (int64_t n = 0; n < iterations; ++n) {
    for (float& chain : chains) chain = chain * 0.5f + 0.25f;
  }
  float sum = 0;
  for (const float chain : chains) sum += chain;
  return sum;
}

FmaLoop HostFmaLoop() { return {2.0 * 8, MulAdd}; }

#endif

// On a cache line of its own, written so that the work has a use.
struct alignas(64) Result {
  float value;
};

// The least seconds that `work` takes over `tries` runs.
template <typename Work>
double BestSeconds(int tries, const Work& work) {
  double best = 1e9;
  for (int i = 0; i < tries; ++i) {
    const Clock::time_point start = Clock::now();
    work();
    best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
  }
  return best;
}

// Runs `task(item)` for one item a thread.
template <typename Task>
void OnAllThreads(ThreadPool& pool, const Task& task) {
  pool.ParallelFor(
      pool.threads(),
      [](void* argument, int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) (*static_cast<const Task*>(argument))(i);
      },
      const_cast<Task*>(&task));
}

using Vector [[gnu::vector_size(16)]] = uint32_t;

uint32_t Sum(const Vector* data, size_t count) {
  constexpr size_t kChains = 8;
  Vector sums[kChains] = {};
  for (size_t i = 0; i + kChains <= count; i += kChains) {
    for (size_t j = 0; j < kChains; ++j) sums[j] += data[i + j];
  }
  for (size_t j = 1; j < kChains; ++j) sums[0] += sums[j];
  return sums[0][0] + sums[0][1] + sums[0][2] + sums[0][3];
}

}  // namespace

double MeasureFmaPeak(ThreadPool& pool) {
  constexpr int64_t kIterations = 200'000;
  const FmaLoop loop = HostFmaLoop();
  std::vector<Result> results(pool.threads());
  const double seconds = BestSeconds(8, [&] {
    OnAllThreads(pool, [&](int64_t thread) { results[thread].value = loop.run(kIterations); });
  });
  return loop.flops * kIterations * pool.threads() / seconds * 1e-9;
}

double MeasureReadBandwidth(ThreadPool& pool) {
  constexpr size_t kBytes = size_t{256} << 20;
  void* const pages =
      mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) return 0;
  madvise(pages, kBytes, MADV_HUGEPAGE);  // A hint: failing is fine.
  auto* const data = static_cast<Vector*>(pages);
  const size_t share = kBytes / sizeof(Vector) / pool.threads();
  OnAllThreads(pool, [&](int64_t thread) {  // Otherwise all pages are the one page of zeros.
    std::fill_n(data + thread * share, share, Vector{1, 2, 3, 4});
  });
  std::vector<Result> results(pool.threads());
  const double seconds = BestSeconds(5, [&] {
    OnAllThreads(pool, [&](int64_t thread) {
      results[thread].value = static_cast<float>(Sum(data + thread * share, share));
    });
  });
  munmap(pages, kBytes);
  return static_cast<double>(share * sizeof(Vector) * pool.threads()) / seconds * 1e-9;
}

}  // namespace kiln
