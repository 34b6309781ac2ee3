#include "compiler/tune/tuner.h"

#include <chrono>
#include <filesystem>
#include <limits>

#include "compiler/jit/jit.h"
#include "compiler/schedule/schedule.h"
#include "ir/graph/tensor.h"
#include "ir/support/file.h"
#include "runtime/pages.h"
#include "runtime/session.h"

namespace kiln {

namespace {

constexpr size_t kCandidates = 6;
// Enough that the least time is free of interruptions.
constexpr int kLeastRuns = 5;
constexpr double kLeastSeconds = 0.01;

/// A program whose function calls `kernel` once, on the caller's buffers.
Program ProgramOf(const loop::Kernel& kernel) {
  Program program;
  program.model = "candidate";
  program.kernels = {kernel};
  FunctionProgram function;
  function.name = "forward";
  Step step{.kernel = 0, .name = kernel.name};
  const auto add = [&](const std::vector<loop::Buffer>& buffers, std::vector<TensorSpec>& specs,
                       BufferRef::Region region) {
    for (const loop::Buffer& buffer : buffers) {
      step.buffers.push_back({region, static_cast<int64_t>(specs.size())});
      specs.push_back({StrCat("b", specs.size()), TensorType{buffer->element, buffer->shape}});
    }
  };
  add(kernel.inputs, function.inputs, BufferRef::Region::kInput);
  add(kernel.outputs, function.outputs, BufferRef::Region::kOutput);
  function.steps.push_back(std::move(step));
  program.functions.push_back(std::move(function));
  return program;
}

StatusOr<std::vector<Pages>> MapAll(const kiln_tensor_info* tensors, int32_t count) {
  std::vector<Pages> pages;
  for (int32_t i = 0; i < count; ++i) {
    KILN_ASSIGN_OR_RETURN(Pages mapped, Pages::Map(tensors[i].bytes, kBufferAlignment));
    pages.push_back(std::move(mapped));
  }
  return pages;
}

/// Seconds of one call, the least of several.
StatusOr<double> Measure(const loop::Kernel& kernel, const Target& target) {
  KILN_ASSIGN_OR_RETURN(const auto executable, Jit(ProgramOf(kernel), {.target = target}));
  const kiln_function_info& function = executable->library().functions[0];
  KILN_ASSIGN_OR_RETURN(Session session,
                        Session::Create(&function, {.parameters = executable->parameters()}));
  KILN_ASSIGN_OR_RETURN(const auto inputs, MapAll(function.inputs, function.num_inputs));
  KILN_ASSIGN_OR_RETURN(const auto outputs, MapAll(function.outputs, function.num_outputs));
  std::vector<const void*> in;
  std::vector<void*> out;
  for (const Pages& pages : inputs) in.push_back(pages.data());
  for (const Pages& pages : outputs) out.push_back(pages.data());
  using Clock = std::chrono::steady_clock;
  double least = std::numeric_limits<double>::infinity(), total = 0;
  for (int run = 0; run <= kLeastRuns || total < kLeastSeconds; ++run) {
    const Clock::time_point start = Clock::now();
    KILN_RETURN_IF_ERROR(session.RunUnchecked(in.data(), out.data()));
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    total += seconds;
    if (run > 0) least = std::min(least, seconds);  // the first run warms up
  }
  return least;
}

std::string_view TextOf(const MappedFile& file) {
  return {file.bytes().data(), file.bytes().size()};
}

Status WriteTable(const ScheduleTable& table, const Target& target, const std::string& path) {
  const std::string text = table.ToText(target);
  return WriteFileAtomically(path, {{text.data(), text.size()}});
}

}  // namespace

StatusOr<Tuner> Tuner::Create(const Target& target, const TuningOptions& options) {
  Tuner tuner(target, options);
  if (!options.read_file.empty()) {
    KILN_ASSIGN_OR_RETURN(const auto file, MappedFile::Open(options.read_file));
    KILN_RETURN_IF_ERROR(Annotate(tuner.known_.Merge(TextOf(*file), target), options.read_file));
  }
  if (options.measure && !options.cache_folder.empty()) {
    const auto kept = MappedFile::Open(tuner.CacheFile());
    if (kept.ok()) tuner.known_.Merge(TextOf(**kept), target).IgnoreError();
  }
  return tuner;
}

std::string Tuner::CacheFile() const {
  const std::string key = target_.Key();
  return StrCat(options_.cache_folder, "/schedules-", ContentHash({key.data(), key.size()}),
                ".txt");
}

StatusOr<std::optional<TileShape>> Tuner::ShapeOf(const loop::Kernel& kernel) {
  std::optional<TileShape> shape = known_.Find(kernel);
  if (!shape && options_.measure) {
    double least = std::numeric_limits<double>::infinity();
    for (const TileShape& candidate : CandidateShapes(kernel, target_, kCandidates)) {
      KILN_ASSIGN_OR_RETURN(const double seconds,
                            Measure(Schedule(kernel, target_, &candidate), target_));
      if (seconds >= least) continue;
      least = seconds;
      shape = candidate;
    }
    if (shape) known_.Insert(kernel, *shape);
  }
  if (shape) used_.Insert(kernel, *shape);
  return shape;
}

Status Tuner::Save() const {
  if (options_.measure && !options_.cache_folder.empty()) {
    std::error_code error;
    std::filesystem::create_directories(options_.cache_folder, error);
    WriteTable(known_, target_, CacheFile()).IgnoreError();  // a cache that cannot be written
  }
  return options_.export_file.empty() ? OkStatus()
                                      : WriteTable(used_, target_, options_.export_file);
}

}  // namespace kiln
