// Pictures as network inputs: PNG and JPEG files to f32 tensors in NCHW order.
//
// The steps, in this order: decode to 8-bit RGB (grey is widened, palettes are expanded, alpha is
// dropped, 16 bits are cut to 8), resize, crop, then for every channel
//   (value - mean) * scale / std        with values in 0..255.
// Files are untrusted: sizes are checked before anything is allocated, and an error in a decoder
// comes back as a status.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "runtime/host_tensor.h"

namespace kiln {

struct ImageOptions {
  std::array<float, 3> mean = {0, 0, 0};  ///< R, G, B, whatever the order of the planes
  std::array<float, 3> std = {1, 1, 1};   ///< R, G, B; none is 0
  float scale = 1;
  bool bgr = false;    ///< planes in the order B, G, R
  bool grey = false;   ///< one plane: 0.299 R + 0.587 G + 0.114 B, with the first mean and std
  int64_t resize = 0;  ///< short side in pixels, the ratio kept; 0: as it is
  int64_t crop = 0;    ///< side of a square from the centre; 0: all of it
};

/// The picture at `path` as f32[1,3,H,W], or [1,1,H,W] if grey. Errors begin with the path: neither
/// PNG nor JPEG, damaged, more than 64 megapixels, a CMYK JPEG, a crop larger than the picture.
absl::StatusOr<HostTensor> LoadImage(const std::string& path, const ImageOptions& options);

/// The same for a file in memory. Errors do not name it.
absl::StatusOr<HostTensor> DecodeToTensor(std::span<const char> file, const ImageOptions& options);

}  // namespace kiln
