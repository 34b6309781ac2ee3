// NumPy's .npy files, versions 1 to 3: one dense array each.
//
// Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
// Supported: bool, signed and unsigned integers of 1 to 8 bytes, floats of 2, 4 and 8 bytes, all
// little-endian; C and Fortran order. Files are untrusted: nothing is allocated before the header
// and the file's size agree.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime/host_tensor.h"

namespace kiln {

/// Reads the array at `path`. The result is row-major (Fortran order is transposed) and its bools
/// are 0 or 1. Errors begin with the path; what numpy can store and Kiln cannot read (big-endian
/// data, objects, structures, strings, complex numbers) is refused by name.
absl::StatusOr<HostTensor> ReadNpy(const std::string& path);

/// The same for a file in memory, a member of an archive for instance. Errors do not name it.
absl::StatusOr<HostTensor> ParseNpy(std::vector<char> file);

/// Writes `tensor` in version 1, atomically (see WriteFile). numpy has no bf16: such a tensor is
/// written as f32, which holds every bf16 exactly.
absl::Status WriteNpy(const std::string& path, const HostTensor& tensor);

}  // namespace kiln
