// A Kiln library loaded into this process.
//
// A library is native code, and loading one runs its initialisers (Kiln emits none): load only what
// you trust. The checks here are against accidents: a wrong, truncated, stale or foreign file.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime/abi/kiln.h"
#include "runtime/pages.h"

namespace kiln {

class Library {
 public:
  /// Loads the shared library at `path` (a file: no search path is consulted). Errors begin with
  /// the path: no such file, a directory, no shared library, truncated, for another CPU, not made
  /// by Kiln, of another ABI version, a descriptor that contradicts itself.
  static absl::StatusOr<std::shared_ptr<const Library>> Open(const std::string& path);
  ~Library();
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  /// Valid for as long as this object lives.
  const kiln_library_info& info() const { return *info_; }
  /// The function called `name`; an error lists those there are.
  absl::StatusOr<const kiln_function_info*> Function(const std::string& name) const;
  /// The parameters, copied for a kiln_call to pass: a file is mapped in pages of 4 KiB, a large
  /// copy sits on huge ones, which spares kernels that read weights from memory a tenth of their
  /// time. The file's own pages are left to the system, so the memory in use stays what it was.
  /// Null when the library holds no parameters.
  absl::StatusOr<std::shared_ptr<const Pages>> CopyParameters() const;

 private:
  explicit Library(void* handle) : handle_(handle) {}
  absl::Status FindDescriptor();

  void* handle_;
  const kiln_library_info* info_ = nullptr;
};

/// Ok if the tables of `function` are fit for use: no null where something must be, sizes that
/// match shapes, a workspace alignment that is a power of two of at most 2 MiB.
absl::Status CheckFunctionInfo(const kiln_function_info& function);

}  // namespace kiln
