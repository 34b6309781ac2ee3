#include "tools/image.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "runtime/file.h"
#include "tools/image_decode.h"

namespace kiln {
namespace {

constexpr uint64_t kMaxFileBytes = uint64_t{1} << 29;

// Pixels in rows, three floats R, G, B each.
struct FloatImage {
  int64_t width = 0;
  int64_t height = 0;
  std::vector<float> pixels;
};

// One output position of a resampling: input positions first, first+1, ... with their weights.
struct Taps {
  int64_t first = 0;
  std::vector<float> weights;
};

// Bilinear resampling of `from` positions to `to`. When it shrinks, the triangle grows with the
// ratio, so that every input counts (the convention of Pillow and torchvision).
std::vector<Taps> TriangleTaps(int64_t from, int64_t to) {
  const double ratio = static_cast<double>(from) / static_cast<double>(to);
  const double reach = std::max(ratio, 1.0);
  std::vector<Taps> all(to);
  for (int64_t i = 0; i < to; ++i) {
    const double centre = (static_cast<double>(i) + 0.5) * ratio;
    const int64_t first = std::max<int64_t>(0, std::llround(centre - reach));
    const int64_t last = std::min(from, static_cast<int64_t>(std::llround(centre + reach)));
    double sum = 0;
    std::vector<double> weights;
    for (int64_t j = first; j < last; ++j) {
      const double distance = std::abs(static_cast<double>(j) + 0.5 - centre) / reach;
      weights.push_back(std::max(0.0, 1.0 - distance));
      sum += weights.back();
    }
    all[i].first = first;
    for (const double weight : weights) all[i].weights.push_back(static_cast<float>(weight / sum));
  }
  return all;
}

// Rows first: the result is `width` wide and as high as the image.
FloatImage ResizeRows(const RgbImage& image, int64_t width) {
  const std::vector<Taps> taps = TriangleTaps(image.width, width);
  FloatImage out{width, image.height, std::vector<float>(3 * width * image.height)};
  for (int64_t y = 0; y < image.height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      const uint8_t* source = &image.pixels[3 * (y * image.width + taps[x].first)];
      float* target = &out.pixels[3 * (y * width + x)];
      for (const float weight : taps[x].weights) {
        for (int c = 0; c < 3; ++c) target[c] += weight * *source++;
      }
    }
  }
  return out;
}

FloatImage ResizeColumns(const FloatImage& image, int64_t height) {
  const std::vector<Taps> taps = TriangleTaps(image.height, height);
  const int64_t row = 3 * image.width;
  FloatImage out{image.width, height, std::vector<float>(row * height)};
  for (int64_t y = 0; y < height; ++y) {
    float* target = &out.pixels[row * y];
    for (size_t k = 0; k < taps[y].weights.size(); ++k) {
      const float* source = &image.pixels[row * (taps[y].first + static_cast<int64_t>(k))];
      for (int64_t i = 0; i < row; ++i) target[i] += taps[y].weights[k] * source[i];
    }
  }
  return out;
}

// Short side to `side` (0: as it is); the long side is rounded down.
absl::StatusOr<FloatImage> Resize(const RgbImage& image, int64_t side) {
  if (side == 0) {
    return FloatImage{image.width, image.height,
                      std::vector<float>(image.pixels.begin(), image.pixels.end())};
  }
  const int64_t shorter = std::min(image.width, image.height);
  const double ratio = static_cast<double>(side) / static_cast<double>(shorter);
  const double pixels = ratio * ratio * static_cast<double>(image.width * image.height);
  if (pixels > static_cast<double>(kMaxImagePixels)) {
    return absl::InvalidArgumentError(
        absl::StrCat("resized to ", side, " the picture has over ", kMaxImagePixels, " pixels"));
  }
  const int64_t width = image.width * side / shorter;
  const int64_t height = image.height * side / shorter;
  return ResizeColumns(ResizeRows(image, width), height);
}

// The square of side `side` in the centre (0: all of it).
absl::StatusOr<FloatImage> Crop(FloatImage image, int64_t side) {
  if (side == 0) return image;
  if (side > std::min(image.width, image.height)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a crop of ", side, " is larger than the picture, ", image.width, "x", image.height));
  }
  const int64_t left = (image.width - side) / 2;
  const int64_t top = (image.height - side) / 2;
  FloatImage out{side, side, {}};
  for (int64_t y = top; y < top + side; ++y) {
    const auto row = image.pixels.begin() + 3 * (y * image.width + left);
    out.pixels.insert(out.pixels.end(), row, row + 3 * side);
  }
  return out;
}

HostTensor ToTensor(const FloatImage& image, const ImageOptions& options) {
  const int64_t planes = options.grey ? 1 : 3;
  const int64_t area = image.width * image.height;
  HostTensor tensor{KILN_F32, {1, planes, image.height, image.width}, {}};
  tensor.bytes.resize(planes * area * sizeof(float));
  float* target = tensor.data<float>();
  for (int64_t plane = 0; plane < planes; ++plane) {
    const int64_t channel = options.bgr && !options.grey ? 2 - plane : plane;
    const float mean = options.mean[channel];
    const float factor = options.scale / options.std[channel];
    for (int64_t i = 0; i < area; ++i) {
      const float* rgb = &image.pixels[3 * i];
      const float value =
          options.grey ? 0.299f * rgb[0] + 0.587f * rgb[1] + 0.114f * rgb[2] : rgb[channel];
      *target++ = (value - mean) * factor;
    }
  }
  return tensor;
}

}  // namespace

absl::StatusOr<HostTensor> DecodeToTensor(std::span<const char> file, const ImageOptions& options) {
  if (options.resize < 0 || options.crop < 0 ||
      std::find(options.std.begin(), options.std.end(), 0.0f) != options.std.end()) {
    return absl::InvalidArgumentError("picture options: a negative size or a std of 0");
  }
  const absl::StatusOr<RgbImage> decoded = DecodeImage(file);
  if (!decoded.ok()) return decoded.status();
  absl::StatusOr<FloatImage> image = Resize(*decoded, options.resize);
  if (image.ok()) image = Crop(*std::move(image), options.crop);
  if (!image.ok()) return image.status();
  return ToTensor(*image, options);
}

absl::StatusOr<HostTensor> LoadImage(const std::string& path, const ImageOptions& options) {
  const absl::StatusOr<std::vector<char>> file = ReadFile(path, kMaxFileBytes);
  if (!file.ok()) return file.status();
  absl::StatusOr<HostTensor> tensor = DecodeToTensor(*file, options);
  if (tensor.ok()) return tensor;
  return absl::Status(tensor.status().code(), absl::StrCat(path, ": ", tensor.status().message()));
}

}  // namespace kiln
