// Snapshots: files that hold a training run whole.
//
// Format: "KILNSNAP", the length of the header (u64, little-endian), the header (JSON: the run's
// state, and for each parameter its name, dtype and shape, in order), the parameters' bytes one
// after another, XXH3-64 of all that (u64, little-endian). A file that is cut off or changed
// anywhere is recognised.
//
// In a folder they are called step-000000938.snapshot. Each is written aside, synced and renamed,
// and the folder is synced before older ones are removed, so that at every moment the newest whole
// one is there.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime/abi/kiln.h"
#include "runtime/train/run_state.h"

namespace kiln {

/// Writes the run's state and the named parameters of `block`, a block of `library`.
absl::Status WriteSnapshot(const std::string& path, const RunState& state,
                           const kiln_library_info& library, const char* block);

/// Reads a snapshot into `state` and `block`, and changes neither on failure. A DataLossError when
/// the file is torn or damaged; another error when its parameters are not those of the library.
absl::Status ReadSnapshot(const std::string& path, const kiln_library_info& library,
                          RunState& state, char* block);

/// The snapshots of one run. Move-only; while one lives, nobody else can open the folder.
class SnapshotFolder {
 public:
  /// Makes the folder if need be. Keeps the newest `keep` snapshots and the best.
  static absl::StatusOr<SnapshotFolder> Open(const std::string& path, int keep);
  SnapshotFolder(SnapshotFolder&& other) noexcept;
  ~SnapshotFolder();

  const std::string& path() const { return path_; }
  std::string FileOf(int64_t step) const;
  /// Steps at which there are snapshots, whole or not, in increasing order.
  std::vector<int64_t> Steps() const;

  absl::Status Store(const RunState& state, const kiln_library_info& library, const char* block);
  /// Reads the newest whole snapshot; false when there is none. `torn` gets the names of newer
  /// files that are not whole.
  absl::StatusOr<bool> Load(const kiln_library_info& library, RunState& state, char* block,
                            std::vector<std::string>* torn) const;

 private:
  SnapshotFolder(std::string path, int keep, int fd)
      : path_(std::move(path)), keep_(keep), fd_(fd) {}
  void RemoveOld(const RunState& state) const;

  std::string path_;
  int keep_;
  int fd_;  ///< of the folder, locked
};

}  // namespace kiln
