// What harnesses of readers that want a path share.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

#include "runtime/train/dataset.h"

namespace kiln {

/// A file that no disk holds, for as long as this lives.
class FileInMemory {
 public:
  explicit FileInMemory(std::span<const char> bytes) : fd_(memfd_create("fuzz", MFD_CLOEXEC)) {
    while (fd_ >= 0 && !bytes.empty()) {
      const ssize_t written = write(fd_, bytes.data(), bytes.size());
      if (written < 0) std::abort();
      bytes = bytes.subspan(static_cast<size_t>(written));
    }
    if (fd_ < 0) std::abort();
  }
  FileInMemory(const FileInMemory&) = delete;
  FileInMemory& operator=(const FileInMemory&) = delete;
  ~FileInMemory() { close(fd_); }

  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }

 private:
  int fd_;
};

/// Aborts when a data set that was accepted is not as dataset.h promises; reads all its items.
inline void CheckDataset(const Dataset& dataset) {
  const auto demand = [](bool good, const char* what) {
    if (good) return;
    std::fprintf(stderr, "a data set was accepted: %s\n", what);
    std::abort();
  };
  const auto size = static_cast<size_t>(dataset.size());
  demand(dataset.ItemCount() > 0, "its items are empty");
  demand(dataset.target_count > 0 ? dataset.labels.empty() : dataset.targets.empty(),
         "it has labels and targets");
  demand(dataset.targets.size() == size * static_cast<size_t>(dataset.target_count),
         "its targets are no rows");
  for (const int32_t label : dataset.labels) {
    demand(label >= 0 && label < dataset.classes, "a label is none of its classes");
  }
  std::vector<float> values(static_cast<size_t>(dataset.ItemCount()));
  for (size_t i = 0; i < size; ++i) {
    (void)dataset.items->Read(static_cast<int64_t>(i), values.data());
  }
}

/// The same for both parts.
inline int CheckLoaded(const absl::StatusOr<DatasetSplit>& split) {
  if (!split.ok()) return 0;
  CheckDataset(split->train);
  CheckDataset(split->test);
  return 0;
}

}  // namespace kiln
