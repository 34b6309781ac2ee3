// Decoders of picture files: bytes in, 8-bit RGB out. The only file that knows libpng and libjpeg.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"

namespace kiln {

/// Pixels in rows from the top, three bytes R, G, B each; width and height >= 1.
struct RgbImage {
  int64_t width = 0;
  int64_t height = 0;
  std::vector<uint8_t> pixels;
};

inline constexpr int64_t kMaxImagePixels = int64_t{1} << 26;

/// Decodes a PNG or JPEG file, told by its first bytes. See LoadImage for conversions and errors.
absl::StatusOr<RgbImage> DecodeImage(std::span<const char> file);

}  // namespace kiln
