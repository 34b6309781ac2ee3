// The idx format of MNIST: arrays of bytes with their extents in front.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace kiln {

struct IdxArray {
  std::vector<int64_t> shape;
  std::vector<uint8_t> bytes;
};

/// Reads an array of bytes of the given rank, plain or compressed by gzip. What the header promises
/// is compared with what is there before it is believed. Every error begins with the path; the file
/// not being there is a NotFoundError.
absl::StatusOr<IdxArray> ReadIdxArray(const std::string& path, int rank);

}  // namespace kiln
