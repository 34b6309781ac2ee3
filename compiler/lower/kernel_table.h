// The kernels of a program: each is built, scheduled and kept once, however many steps call it.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "compiler/lower/kernel_builder.h"
#include "compiler/lower/kernel_key.h"
#include "compiler/lower/location.h"
#include "compiler/lower/lower.h"
#include "ir/graph/graph.h"
#include "ir/loop/stmt.h"
#include "ir/support/status.h"

namespace kiln {

class KernelTable {
 public:
  explicit KernelTable(const LowerOptions& options) : options_(options) {}

  /// What a step calls to compute an op.
  struct Use {
    int kernel = -1;                    ///< its number; -1: the op needs none
    std::vector<Op*> inputs;            ///< the values that the kernel's inputs stand for
    std::vector<loop::Buffer> scratch;  ///< the kernel's outputs beside the result
    double flops = 0;
  };

  /// The kernels of `ops`, in this order. Those that are not there yet are made, on several
  /// threads, and numbered in the order of the ops that need them first. Errors name the op.
  StatusOr<std::vector<Use>> Add(const std::vector<Op*>& ops, const Locations& locations);
  /// The number of the kernel that copies a row-major tensor of this type.
  StatusOr<int> AddCopy(const TensorType& type);

  /// MayWriteOver of kernel `kernel`, looked at once.
  bool MayWriteOver(int kernel, size_t input);

  std::vector<loop::Kernel> TakeKernels() { return std::move(kernels_); }

 private:
  /// A use without its inputs, and which of the values of the key those are.
  struct Entry {
    Use use;
    std::vector<size_t> inputs;
  };

  /// The number of `kernel`, whose text is `text`; a new one is put behind the others.
  int NumberOf(const loop::Kernel& kernel, std::string text);
  /// Schedules the kernels from number `first` on.
  Status ScheduleFrom(size_t first);
  StatusOr<loop::Kernel> Scheduled(const loop::Kernel& kernel) const;

  const LowerOptions& options_;
  std::unordered_map<std::string, std::unique_ptr<Entry>> entries_;  ///< by key
  std::unordered_map<std::string, int> numbers_;                     ///< by the unscheduled text
  std::vector<loop::Kernel> kernels_;
  std::map<std::pair<int, size_t>, bool> may_write_over_;
};

}  // namespace kiln
