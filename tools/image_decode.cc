#include "tools/image_decode.h"

#include <png.h>

#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>

// clang-format off: jpeglib.h needs FILE, and jerror.h needs jpeglib.h.
#include <jpeglib.h>
#include <jerror.h>
// clang-format on

#include "absl/strings/str_cat.h"

// Both libraries report errors by a callback that must not return, so the callback jumps. Objects
// with destructors therefore live outside the functions that call setjmp, and reach them by
// reference; what those functions change after setjmp is never read after a jump.

namespace kiln {
namespace {

absl::Status Damaged(const char* format, const std::string& reason) {
  return absl::InvalidArgumentError(absl::StrCat("damaged ", format, ": ", reason));
}

absl::Status CheckSize(uint64_t width, uint64_t height) {
  if (width >= 1 && height >= 1 && width <= kMaxImagePixels / height) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "picture of ", width, "x", height, " pixels; the limit is ", kMaxImagePixels, " in all"));
}

void Allocate(uint64_t width, uint64_t height, RgbImage* image) {
  image->width = static_cast<int64_t>(width);
  image->height = static_cast<int64_t>(height);
  image->pixels.resize(3 * width * height);
}

// ---- PNG

struct PngReader {
  std::span<const char> file;
  std::string error;
  png_structp png = nullptr;
  png_infop info = nullptr;
  std::vector<png_bytep> rows;

  ~PngReader() { png_destroy_read_struct(&png, &info, nullptr); }
};

[[noreturn]] void OnPngError(png_structp png, png_const_charp message) {
  static_cast<PngReader*>(png_get_error_ptr(png))->error = message;
  png_longjmp(png, 1);
}

void OnPngWarning(png_structp, png_const_charp) {}

void ReadPngBytes(png_structp png, png_bytep target, size_t count) {
  std::span<const char>& file = static_cast<PngReader*>(png_get_io_ptr(png))->file;
  if (count > file.size()) png_error(png, "unexpected end of file");
  std::memcpy(target, file.data(), count);
  file = file.subspan(count);
}

// Fills in the header; false after an error.
bool ReadPngHeader(PngReader& reader) {
  if (setjmp(png_jmpbuf(reader.png)) != 0) return false;
  png_set_read_fn(reader.png, &reader, ReadPngBytes);
  png_read_info(reader.png, reader.info);
  return true;
}

// Decodes into rows of three bytes a pixel; false after an error.
bool ReadPngRows(PngReader& reader) {
  if (setjmp(png_jmpbuf(reader.png)) != 0) return false;
  png_set_expand(reader.png);
  png_set_strip_16(reader.png);
  png_set_strip_alpha(reader.png);
  png_set_gray_to_rgb(reader.png);
  png_read_update_info(reader.png, reader.info);
  png_read_image(reader.png, reader.rows.data());
  png_read_end(reader.png, nullptr);
  return true;
}

absl::StatusOr<RgbImage> DecodePng(std::span<const char> file) {
  PngReader reader;
  reader.file = file;
  reader.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &reader, OnPngError, OnPngWarning);
  if (reader.png != nullptr) reader.info = png_create_info_struct(reader.png);
  if (reader.info == nullptr) return absl::ResourceExhaustedError("no memory for a PNG decoder");
  if (!ReadPngHeader(reader)) return Damaged("PNG", reader.error);

  const uint64_t width = png_get_image_width(reader.png, reader.info);
  const uint64_t height = png_get_image_height(reader.png, reader.info);
  if (absl::Status status = CheckSize(width, height); !status.ok()) return status;
  // Deflate cannot shrink anything by more than a factor of 1032, so a shorter file is a lie.
  const uint64_t raw = png_get_rowbytes(reader.png, reader.info) * height;
  if (raw / 1032 > file.size()) return Damaged("PNG", "unexpected end of file");
  RgbImage image;
  Allocate(width, height, &image);
  for (uint64_t y = 0; y < height; ++y) reader.rows.push_back(&image.pixels[3 * width * y]);
  if (!ReadPngRows(reader)) return Damaged("PNG", reader.error);
  return image;
}

// ---- JPEG

// More passes over a progressive picture than any encoder makes; each costs a pass over all its
// pixels, and takes next to no bytes.
constexpr int kMaxScans = 200;

struct JpegReader {
  jpeg_decompress_struct jpeg = {};
  jpeg_error_mgr errors = {};
  jpeg_progress_mgr progress = {};
  std::jmp_buf jump;
  std::string error;

  ~JpegReader() { jpeg_destroy_decompress(&jpeg); }
};

JpegReader& ReaderOf(j_common_ptr jpeg) { return *static_cast<JpegReader*>(jpeg->client_data); }

[[noreturn]] void OnJpegError(j_common_ptr jpeg) {
  char message[JMSG_LENGTH_MAX];
  jpeg->err->format_message(jpeg, message);
  JpegReader& reader = ReaderOf(jpeg);
  reader.error = message;
  std::longjmp(reader.jump, 1);
}

// A warning (level -1) means that pixels are missing or wrong, and grey is put in their place; a
// wrong picture would give a wrong answer, so it is an error here. Stray bytes harm nothing.
void OnJpegMessage(j_common_ptr jpeg, int level) {
  if (level < 0 && jpeg->err->msg_code != JWRN_EXTRANEOUS_DATA) OnJpegError(jpeg);
}

void OnJpegProgress(j_common_ptr jpeg) {
  if (reinterpret_cast<j_decompress_ptr>(jpeg)->input_scan_number <= kMaxScans) return;
  JpegReader& reader = ReaderOf(jpeg);
  reader.error = "too many scans";
  std::longjmp(reader.jump, 1);
}

bool ReadJpegHeader(JpegReader& reader, std::span<const char> file) {
  if (setjmp(reader.jump) != 0) return false;
  jpeg_create_decompress(&reader.jpeg);
  reader.jpeg.client_data = &reader;
  reader.jpeg.progress = &reader.progress;
  jpeg_mem_src(&reader.jpeg, reinterpret_cast<const unsigned char*>(file.data()), file.size());
  jpeg_read_header(&reader.jpeg, TRUE);
  return true;
}

bool ReadJpegRows(JpegReader& reader, RgbImage& image) {
  if (setjmp(reader.jump) != 0) return false;
  reader.jpeg.out_color_space = JCS_RGB;
  jpeg_start_decompress(&reader.jpeg);
  while (reader.jpeg.output_scanline < reader.jpeg.output_height) {
    JSAMPROW row = &image.pixels[3 * image.width * reader.jpeg.output_scanline];
    jpeg_read_scanlines(&reader.jpeg, &row, 1);
  }
  jpeg_finish_decompress(&reader.jpeg);
  return true;
}

absl::StatusOr<RgbImage> DecodeJpeg(std::span<const char> file) {
  JpegReader reader;
  reader.jpeg.err = jpeg_std_error(&reader.errors);
  reader.jpeg.client_data = &reader;
  reader.errors.error_exit = OnJpegError;
  reader.errors.emit_message = OnJpegMessage;
  reader.progress.progress_monitor = OnJpegProgress;
  if (!ReadJpegHeader(reader, file)) return Damaged("JPEG", reader.error);

  const jpeg_decompress_struct& jpeg = reader.jpeg;
  if (jpeg.jpeg_color_space == JCS_CMYK || jpeg.jpeg_color_space == JCS_YCCK) {
    return absl::UnimplementedError("CMYK JPEG pictures are not supported");
  }
  absl::Status status = CheckSize(jpeg.image_width, jpeg.image_height);
  if (!status.ok()) return status;
  RgbImage image;
  Allocate(jpeg.image_width, jpeg.image_height, &image);
  if (!ReadJpegRows(reader, image)) return Damaged("JPEG", reader.error);
  return image;
}

}  // namespace

absl::StatusOr<RgbImage> DecodeImage(std::span<const char> file) {
  const std::string_view start(file.data(), file.size());
  if (start.substr(0, 8) == "\x89PNG\r\n\x1a\n") return DecodePng(file);
  if (start.substr(0, 2) == "\xff\xd8") return DecodeJpeg(file);
  return absl::InvalidArgumentError("neither a PNG nor a JPEG picture");
}

}  // namespace kiln
