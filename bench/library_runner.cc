// Measures a function of a library that Kiln has emitted, as any program would run it: with Kiln's
// runtime and nothing of the compiler, so that its memory is what running takes. A worker of
// bench/compare.
//
//   library_runner LIBRARY FUNCTION THREADS SECONDS MIN_RUNS
//
// Prints one JSON object. Inputs are pseudo-random numbers from [-1, 1), labels are 0.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "runtime/library.h"
#include "runtime/limits.h"
#include "runtime/measure.h"
#include "runtime/threads/thread_pool.h"

namespace kiln {
namespace {

// Of a train_step that is called over and over: so small that the net and its gradients stay what
// they were, for zeros and denormal numbers have other speeds.
constexpr float kLearningRate = 1e-6F;

HostTensor InputFor(const kiln_tensor_info& info) {
  HostTensor tensor{static_cast<kiln_dtype>(info.dtype), ShapeOf(info),
                    std::vector<char>(info.bytes)};
  if (info.dtype != KILN_F32) return tensor;  // zeros
  if (std::strcmp(info.name, "learning_rate") == 0) {
    std::memcpy(tensor.bytes.data(), &kLearningRate, sizeof(kLearningRate));
    return tensor;
  }
  uint32_t state = 1;
  for (size_t at = 0; at + sizeof(float) <= tensor.bytes.size(); at += sizeof(float)) {
    state = state * 1664525 + 1013904223;
    const float value = static_cast<float>(state >> 8) * 0x1p-23f - 1;
    std::memcpy(&tensor.bytes[at], &value, sizeof(value));
  }
  return tensor;
}

struct Options {
  std::string library, function;
  int threads;
  double seconds;
  size_t min_runs;
};

absl::Status Run(const Options& options) {
  const int64_t idle = PeakMemoryBytes();
  absl::StatusOr<std::shared_ptr<const Library>> library = Library::Open(options.library);
  if (!library.ok()) return library.status();
  absl::StatusOr<const kiln_function_info*> function = (*library)->Function(options.function);
  if (!function.ok()) return function.status();
  std::vector<HostTensor> inputs;
  for (int32_t i = 0; i < (*function)->num_inputs; ++i) {
    inputs.push_back(InputFor((*function)->inputs[i]));
  }
  const absl::StatusOr<std::shared_ptr<const Pages>> parameters = (*library)->CopyParameters();
  if (!parameters.ok()) return parameters.status();
  ThreadPool pool(options.threads);
  absl::StatusOr<Session> session =
      Session::Create(*function, {.executor = pool.executor(),
                                  .parameters = *parameters ? (*parameters)->data() : nullptr,
                                  .owner = *library});
  if (!session.ok()) return session.status();
  BoundSession bound(*std::move(session), std::move(inputs));
  if (const auto warm = Measure(bound, options.seconds / 4, 1); !warm.ok()) return warm.status();
  const absl::StatusOr<Measurement> measured = Measure(bound, options.seconds, options.min_runs);
  if (!measured.ok()) return measured.status();
  const int64_t memory = PeakMemoryBytes();
  std::printf(
      "{\"median_ms\": %.6f, \"p10_ms\": %.6f, \"p90_ms\": %.6f, \"runs\": %zu, "
      "\"wall_ms\": %.3f, \"cpu_ms\": %.3f, \"waited_ms\": %.3f, "
      "\"idle_memory_bytes\": %lld, \"peak_memory_bytes\": %lld, \"peak_gflops\": %.2f}\n",
      measured->Quantile(0.5), measured->Quantile(0.1), measured->Quantile(0.9),
      measured->times.size(), measured->wall, measured->cpu, measured->waited,
      static_cast<long long>(idle), static_cast<long long>(memory), MeasureFmaPeak(pool));
  return absl::OkStatus();
}

}  // namespace
}  // namespace kiln

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr, "usage: library_runner LIBRARY FUNCTION THREADS SECONDS MIN_RUNS\n");
    return 2;
  }
  const absl::Status status = kiln::Run({.library = argv[1],
                                         .function = argv[2],
                                         .threads = std::atoi(argv[3]),
                                         .seconds = std::atof(argv[4]),
                                         .min_runs = static_cast<size_t>(std::atoll(argv[5]))});
  if (status.ok()) return 0;
  std::fprintf(stderr, "library_runner: %s\n", std::string(status.message()).c_str());
  return 1;
}
