#include "tools/image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <png.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>

// clang-format off: jpeglib.h needs FILE.
#include <jpeglib.h>
// clang-format on

#include "tests/support/temporary_folder.h"
#include "tools/image_decode.h"

namespace kiln {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::HasSubstr;
using ::testing::Pointwise;
using ::testing::StartsWith;

using Bytes = std::vector<uint8_t>;

void AppendPng(png_structp png, png_bytep data, size_t size) {
  static_cast<std::string*>(png_get_io_ptr(png))->append(reinterpret_cast<char*>(data), size);
}

// Encodes samples (rows from the top) as PNG of any colour type and depth.
std::string Png(int width, int height, int color_type, int depth, const Bytes& samples,
                int interlace = PNG_INTERLACE_NONE) {
  std::string file;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(png, &file, AppendPng, nullptr);
  png_set_IHDR(png, info, width, height, depth, color_type, interlace, PNG_COMPRESSION_TYPE_BASE,
               PNG_FILTER_TYPE_BASE);
  const png_color palette[2] = {{10, 20, 30}, {40, 50, 60}};
  if (color_type == PNG_COLOR_TYPE_PALETTE) png_set_PLTE(png, info, palette, 2);
  png_write_info(png, info);
  std::vector<png_bytep> rows;
  const size_t row_bytes = png_get_rowbytes(png, info);
  for (int y = 0; y < height; ++y) {
    rows.push_back(const_cast<png_bytep>(samples.data() + y * row_bytes));
  }
  png_write_image(png, rows.data());
  png_write_end(png, nullptr);
  png_destroy_write_struct(&png, &info);
  return file;
}

std::string Jpeg(int width, int height, J_COLOR_SPACE space, int components, const Bytes& samples,
                 bool progressive = false) {
  jpeg_compress_struct jpeg = {};
  jpeg_error_mgr errors;
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  unsigned char* data = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&jpeg, &data, &size);
  jpeg.image_width = width;
  jpeg.image_height = height;
  jpeg.in_color_space = space;
  jpeg.input_components = components;
  jpeg_set_defaults(&jpeg);
  jpeg_set_quality(&jpeg, 95, TRUE);
  // All DC coefficients, then the AC coefficients of each component.
  const jpeg_scan_info scans[] = {{3, {0, 1, 2}, 0, 0, 0, 0},
                                  {1, {0}, 1, 63, 0, 0},
                                  {1, {1}, 1, 63, 0, 0},
                                  {1, {2}, 1, 63, 0, 0}};
  if (progressive) {
    jpeg.scan_info = scans;
    jpeg.num_scans = 4;
  }
  jpeg_start_compress(&jpeg, TRUE);
  for (int y = 0; y < height; ++y) {
    JSAMPROW row = const_cast<JSAMPROW>(samples.data() + y * width * components);
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  std::string file(reinterpret_cast<char*>(data), size);
  free(data);
  return file;
}

// A smooth picture, which JPEG keeps almost exactly.
Bytes Gradient(int width, int height) {
  Bytes pixels;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      pixels.push_back(static_cast<uint8_t>(2 * x));
      pixels.push_back(static_cast<uint8_t>(3 * y));
      pixels.push_back(static_cast<uint8_t>(x + y));
    }
  }
  return pixels;
}

Bytes Decoded(const std::string& file) {
  const absl::StatusOr<RgbImage> image = DecodeImage(file);
  EXPECT_TRUE(image.ok()) << image.status();
  return image.ok() ? image->pixels : Bytes{};
}

std::string DecodeError(const std::string& file) {
  return std::string(DecodeImage(file).status().message());
}

class ImageTest : public ::testing::Test {
 protected:
  absl::StatusOr<HostTensor> Load(const std::string& file, const ImageOptions& options) {
    return LoadImage(folder_.Write("picture", file), options);
  }
  std::vector<float> Values(const std::string& file, const ImageOptions& options) {
    const absl::StatusOr<HostTensor> tensor = Load(file, options);
    EXPECT_TRUE(tensor.ok()) << tensor.status();
    if (!tensor.ok()) return {};
    return std::vector<float>(tensor->data<float>(),
                              tensor->data<float>() + tensor->bytes.size() / sizeof(float));
  }

  const TemporaryFolder folder_;
};

TEST(PngTest, DecodesEveryKind) {
  const Bytes rgb = {1, 2, 3, 4, 5, 6};
  EXPECT_EQ(Decoded(Png(2, 1, PNG_COLOR_TYPE_RGB, 8, rgb)), rgb);
  EXPECT_EQ(Decoded(Png(2, 1, PNG_COLOR_TYPE_RGBA, 8, {1, 2, 3, 0, 4, 5, 6, 99})), rgb);
  EXPECT_EQ(Decoded(Png(2, 1, PNG_COLOR_TYPE_GRAY, 8, {7, 9})), (Bytes{7, 7, 7, 9, 9, 9}));
  EXPECT_EQ(Decoded(Png(2, 1, PNG_COLOR_TYPE_GRAY_ALPHA, 8, {7, 1, 9, 2})),
            (Bytes{7, 7, 7, 9, 9, 9}));
  EXPECT_EQ(Decoded(Png(2, 1, PNG_COLOR_TYPE_GRAY, 1, {0x40})), (Bytes{0, 0, 0, 255, 255, 255}));
  EXPECT_EQ(Decoded(Png(2, 1, PNG_COLOR_TYPE_PALETTE, 1, {0x40})), (Bytes{10, 20, 30, 40, 50, 60}));
  EXPECT_EQ(Decoded(Png(1, 1, PNG_COLOR_TYPE_RGB, 16, {1, 200, 2, 201, 3, 202})), (Bytes{1, 2, 3}));
  const Bytes gradient = Gradient(13, 11);
  EXPECT_EQ(Decoded(Png(13, 11, PNG_COLOR_TYPE_RGB, 8, gradient, PNG_INTERLACE_ADAM7)), gradient);
}

TEST(PngTest, RefusesDamage) {
  const std::string whole = Png(20, 20, PNG_COLOR_TYPE_RGB, 8, Gradient(20, 20));
  for (size_t size = 8; size < whole.size(); ++size) {
    EXPECT_THAT(DecodeError(whole.substr(0, size)), StartsWith("damaged PNG: ")) << size;
  }
  for (size_t i = 8; i < whole.size(); ++i) {
    std::string changed = whole;
    changed[i] = static_cast<char>(changed[i] ^ 0x55);
    // Every byte is under a checksum.
    EXPECT_FALSE(DecodeImage(changed).ok()) << i;
  }
}

// A header that promises more than the file can hold costs nothing.
TEST(PngTest, RefusesGiantHeaders) {
  const auto with_size = [](int width, int height) {
    std::string file;
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
    png_infop info = png_create_info_struct(png);
    png_set_write_fn(png, &file, AppendPng, nullptr);
    png_set_IHDR(png, info, width, height, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_BASE, PNG_FILTER_TYPE_BASE);
    png_write_info(png, info);
    const uint8_t nothing[1] = {0};
    png_write_chunk(png, reinterpret_cast<png_const_bytep>("IDAT"), nothing, 1);
    png_destroy_write_struct(&png, &info);
    return file;
  };
  EXPECT_EQ(DecodeError(with_size(100000, 100000)),
            "picture of 100000x100000 pixels; the limit is 67108864 in all");
  EXPECT_EQ(DecodeError(with_size(8000, 8000)), "damaged PNG: unexpected end of file");
}

TEST(JpegTest, DecodesColourGreyAndProgressive) {
  const Bytes gradient = Gradient(40, 30);
  for (const bool progressive : {false, true}) {
    const Bytes decoded = Decoded(Jpeg(40, 30, JCS_RGB, 3, gradient, progressive));
    ASSERT_EQ(decoded.size(), gradient.size());
    for (size_t i = 0; i < decoded.size(); ++i) ASSERT_NEAR(decoded[i], gradient[i], 12) << i;
  }
  const Bytes grey = Decoded(Jpeg(2, 1, JCS_GRAYSCALE, 1, {100, 100}));
  ASSERT_EQ(grey.size(), 6u);
  for (const uint8_t value : grey) EXPECT_NEAR(value, 100, 2);
}

TEST(JpegTest, RefusesDamage) {
  for (const bool progressive : {false, true}) {
    const std::string whole = Jpeg(40, 30, JCS_RGB, 3, Gradient(40, 30), progressive);
    for (size_t size = 2; size + 2 < whole.size(); ++size) {  // The last 2 only say that it ends.
      EXPECT_THAT(DecodeError(whole.substr(0, size)), StartsWith("damaged JPEG: ")) << size;
    }
  }
}

// Changed bytes may give other pixels, never a crash or a picture of another size than it says.
TEST(JpegTest, SurvivesEveryChangedByte) {
  const std::string whole = Jpeg(17, 9, JCS_RGB, 3, Gradient(17, 9), true);
  int refused = 0;
  for (size_t i = 2; i < whole.size(); ++i) {
    std::string changed = whole;
    changed[i] = static_cast<char>(changed[i] ^ 0xff);
    const absl::StatusOr<RgbImage> image = DecodeImage(changed);
    refused += image.ok() ? 0 : 1;
    if (image.ok()) {
      EXPECT_EQ(image->pixels.size(), static_cast<size_t>(3 * image->width * image->height));
    }
  }
  EXPECT_GT(refused, 0);
}

TEST(JpegTest, RefusesCmykByName) {
  EXPECT_EQ(DecodeError(Jpeg(1, 1, JCS_CMYK, 4, {1, 2, 3, 4})),
            "CMYK JPEG pictures are not supported");
}

TEST(JpegTest, RefusesGiantHeaders) {
  std::string file = Jpeg(1, 1, JCS_RGB, 3, {1, 2, 3});
  const size_t frame = file.find("\xff\xc0");
  ASSERT_NE(frame, std::string::npos);
  file.replace(frame + 5, 4, std::string("\xff\x00\xff\x00", 4));
  EXPECT_EQ(DecodeError(file), "picture of 65280x65280 pixels; the limit is 67108864 in all");
}

// A progressive picture whose last scan is repeated: cheap to send, dear to decode.
TEST(JpegTest, RefusesEndlessScans) {
  const std::string whole = Jpeg(64, 64, JCS_RGB, 3, Gradient(64, 64), true);
  const size_t scan = whole.rfind("\xff\xda");
  ASSERT_NE(scan, std::string::npos);
  const std::string last = whole.substr(scan, whole.size() - 2 - scan);
  std::string bomb = whole.substr(0, whole.size() - 2);
  for (int i = 0; i < 1000; ++i) bomb += last;
  EXPECT_EQ(DecodeError(bomb + "\xff\xd9"), "damaged JPEG: too many scans");
}

TEST_F(ImageTest, MakesPlanesInTheOrderAsked) {
  const std::string file = Png(2, 1, PNG_COLOR_TYPE_RGB, 8, {1, 2, 3, 4, 5, 6});
  EXPECT_THAT(Load(file, {})->shape, ElementsAre(1, 3, 1, 2));
  EXPECT_THAT(Values(file, {}), ElementsAre(1, 4, 2, 5, 3, 6));
  EXPECT_THAT(Values(file, {.bgr = true}), ElementsAre(3, 6, 2, 5, 1, 4));
}

TEST_F(ImageTest, NormalisesByColour) {
  const std::string file = Png(1, 1, PNG_COLOR_TYPE_RGB, 8, {100, 110, 120});
  ImageOptions options = {.mean = {90, 100, 100}, .std = {1, 2, 4}, .scale = 0.5f};
  EXPECT_THAT(Values(file, options), ElementsAre(5, 2.5, 2.5));
  options.bgr = true;  // The mean stays with its colour.
  EXPECT_THAT(Values(file, options), ElementsAre(2.5, 2.5, 5));
  options.grey = true;
  EXPECT_THAT(Load(file, options)->shape, ElementsAre(1, 1, 1, 1));
  EXPECT_THAT(Values(file, options), ElementsAre(FloatNear((108.15f - 90) / 2, 1e-4f)));
}

TEST_F(ImageTest, CropsTheCentre) {
  const std::string file =
      Png(4, 3, PNG_COLOR_TYPE_GRAY, 8, {0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23});
  const std::vector<float> values = Values(file, {.crop = 2});
  ASSERT_EQ(values.size(), 12u);
  EXPECT_THAT((std::vector<float>(values.begin(), values.begin() + 4)), ElementsAre(1, 2, 11, 12));
  const absl::Status status = Load(file, {.crop = 4}).status();
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("a crop of 4 is larger than the picture, 4x3"));
}

TEST_F(ImageTest, ResizesTheShortSide) {
  const std::string file = Png(50, 20, PNG_COLOR_TYPE_RGB, 8, Gradient(50, 20));
  EXPECT_THAT(Load(file, {.resize = 10})->shape, ElementsAre(1, 3, 10, 25));
  EXPECT_THAT(Load(file, {.resize = 30})->shape, ElementsAre(1, 3, 30, 75));
  EXPECT_THAT(Load(file, {.resize = 10, .crop = 8})->shape, ElementsAre(1, 3, 8, 8));
  EXPECT_EQ(Values(file, {.resize = 20}), Values(file, {}));
}

// Weights by hand. Growing 2 -> 4: centres at 0.25, 0.75, 1.25, 1.75 of inputs at 0.5 and 1.5.
// Shrinking 4 -> 2: a triangle of half-width 2 about 1 and 3, weights 3:3:1 at the edge.
TEST_F(ImageTest, ResizesBilinearly) {
  const std::string small = Png(2, 2, PNG_COLOR_TYPE_GRAY, 8, {0, 100, 0, 100});
  const std::vector<float> grown = Values(small, {.grey = true, .resize = 4});
  ASSERT_EQ(grown.size(), 16u);
  EXPECT_THAT((std::vector<float>(grown.begin(), grown.begin() + 4)),
              Pointwise(FloatNear(1e-3f), {0, 25, 75, 100}));
  const std::string row = Png(4, 4, PNG_COLOR_TYPE_GRAY, 8,
                              {0, 70, 70, 140, 0, 70, 70, 140, 0, 70, 70, 140, 0, 70, 70, 140});
  EXPECT_THAT(Values(row, {.grey = true, .resize = 2}),
              Pointwise(FloatNear(1e-3f), {40, 100, 40, 100}));
}

TEST_F(ImageTest, RefusesBadOptionsAndFiles) {
  const std::string file = Png(1, 1, PNG_COLOR_TYPE_GRAY, 8, {1});
  EXPECT_FALSE(Load(file, {.std = {1, 0, 1}}).ok());
  EXPECT_FALSE(Load(file, {.resize = -1}).ok());
  EXPECT_FALSE(Load(file, {.crop = -1}).ok());
  EXPECT_THAT(std::string(Load(file, {.resize = int64_t{1} << 62}).status().message()),
              HasSubstr("the picture has over 67108864 pixels"));
  EXPECT_EQ(Load("GIF89a", {}).status().message(),
            (folder_ / "picture") + ": neither a PNG nor a JPEG picture");
  EXPECT_FALSE(Load("", {}).ok());
  EXPECT_THAT(std::string(LoadImage(folder_.path(), {}).status().message()),
              HasSubstr("is a directory"));
}

}  // namespace
}  // namespace kiln
