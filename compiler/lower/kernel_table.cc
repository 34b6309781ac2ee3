#include "compiler/lower/kernel_table.h"

#include <algorithm>

#include "compiler/lower/in_place.h"
#include "compiler/schedule/schedule.h"
#include "ir/support/parallel.h"

namespace kiln {

namespace {

/// Which of `values` are the `inputs` of a kernel.
StatusOr<std::vector<size_t>> Numbers(const std::vector<Op*>& inputs,
                                      const std::vector<Op*>& values) {
  std::vector<size_t> numbers;
  for (const Op* const input : inputs) {
    const auto it = std::find(values.begin(), values.end(), input);
    if (it == values.end()) return InternalError("its kernel reads '", input->name(), "' too");
    numbers.push_back(static_cast<size_t>(it - values.begin()));
  }
  return numbers;
}

/// A kernel to build.
struct Job {
  Op* op;
  StatusOr<BuiltKernel> built = BuiltKernel{};
  std::string text;

  void Run(const Locations& locations) {
    built = BuildKernel(*op, locations);
    if (built.ok() && built->kernel.body != nullptr) text = loop::ToString(built->kernel);
  }
};

}  // namespace

StatusOr<std::vector<KernelTable::Use>> KernelTable::Add(const std::vector<Op*>& ops,
                                                         const Locations& locations) {
  std::vector<std::vector<Op*>> values;  // of the ops' keys
  std::vector<Entry*> entries;
  std::vector<Job> jobs;
  for (Op* const op : ops) {
    KernelKey key = KeyOf(*op, locations);
    const auto [it, inserted] = entries_.try_emplace(std::move(key.text));
    if (inserted) {
      it->second = std::make_unique<Entry>();
      jobs.push_back({.op = op});
    }
    values.push_back(std::move(key.values));
    entries.push_back(it->second.get());
  }
  ParallelTasks(static_cast<int64_t>(jobs.size()), options_.threads,
                [&](int64_t i) { jobs[static_cast<size_t>(i)].Run(locations); });
  const size_t first = kernels_.size();
  size_t next_job = 0;
  std::vector<Use> uses;
  for (size_t i = 0; i < ops.size(); ++i) {
    Entry& entry = *entries[i];
    if (next_job < jobs.size() && jobs[next_job].op == ops[i]) {
      Job& job = jobs[next_job++];
      KILN_RETURN_IF_ERROR(Annotate(job.built.status(), OpLabel(*job.op)));
      const loop::Kernel& kernel = job.built->kernel;
      KILN_ASSIGN_OR_RETURN(entry.inputs, Numbers(job.built->inputs, values[i]));
      if (kernel.body != nullptr) {
        entry.use.kernel = NumberOf(kernel, std::move(job.text));
        entry.use.scratch.assign(kernel.outputs.begin() + 1, kernel.outputs.end());
        entry.use.flops = job.built->flops;
      }
    }
    Use use = entry.use;
    for (const size_t number : entry.inputs) use.inputs.push_back(values[i][number]);
    uses.push_back(std::move(use));
  }
  KILN_RETURN_IF_ERROR(ScheduleFrom(first));
  return uses;
}

StatusOr<int> KernelTable::AddCopy(const TensorType& type) {
  const loop::Kernel kernel = CopyKernel(type);
  const size_t first = kernels_.size();
  const int number = NumberOf(kernel, loop::ToString(kernel));
  KILN_RETURN_IF_ERROR(ScheduleFrom(first));
  return number;
}

bool KernelTable::MayWriteOver(int kernel, size_t input) {
  const auto [it, inserted] = may_write_over_.try_emplace({kernel, input});
  if (inserted) it->second = kiln::MayWriteOver(kernels_[static_cast<size_t>(kernel)], input);
  return it->second;
}

int KernelTable::NumberOf(const loop::Kernel& kernel, std::string text) {
  const auto [it, inserted] = numbers_.emplace(std::move(text), static_cast<int>(kernels_.size()));
  if (inserted) kernels_.push_back(kernel);
  return it->second;
}

Status KernelTable::ScheduleFrom(size_t first) {
  const size_t count = kernels_.size() - first;
  std::vector<Status> statuses(count);
  // Shapes that are measured are measured one by one.
  ParallelTasks(static_cast<int64_t>(count), options_.shape_of ? 1 : options_.threads,
                [&](int64_t i) {
                  loop::Kernel& kernel = kernels_[first + static_cast<size_t>(i)];
                  StatusOr<loop::Kernel> scheduled = Scheduled(kernel);
                  Status& status = statuses[static_cast<size_t>(i)];
                  status = scheduled.ok() ? loop::Verify(*scheduled) : scheduled.status();
                  if (status.ok()) kernel = *std::move(scheduled);
                });
  for (size_t i = 0; i < count; ++i) {
    KILN_RETURN_IF_ERROR(Annotate(statuses[i], kernels_[first + i].name));
  }
  return OkStatus();
}

StatusOr<loop::Kernel> KernelTable::Scheduled(const loop::Kernel& kernel) const {
  if (!options_.schedule) return kernel;
  std::optional<TileShape> shape;
  if (options_.shape_of) {
    KILN_ASSIGN_OR_RETURN(shape, options_.shape_of(kernel));
  }
  return Schedule(kernel, options_.target, shape ? &*shape : nullptr);
}

}  // namespace kiln
