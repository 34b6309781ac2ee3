#include "runtime/zip_archive.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace kiln {

namespace {

absl::Status Bad(const std::string& name, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat(name, ": ", what));
}

// What an error of libzip says; its memory is freed.
absl::Status ToStatus(zip_error_t* error) {
  absl::Status status = absl::InvalidArgumentError(zip_error_strerror(error));
  zip_error_fini(error);
  return status;
}

}  // namespace

absl::StatusOr<ZipArchive> ZipArchive::Open(const std::string& path) {
  int code = 0;
  zip_t* const zip = zip_open(path.c_str(), ZIP_RDONLY, &code);
  if (zip != nullptr) return ZipArchive(zip);
  zip_error_t error;
  zip_error_init_with_code(&error, code);
  return ToStatus(&error);
}

absl::StatusOr<ZipArchive> ZipArchive::Open(std::span<const char> bytes) {
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* const source =
      zip_source_buffer_create(bytes.data(), bytes.size(), /*freep=*/0, &error);
  if (source == nullptr) return ToStatus(&error);
  zip_t* const zip = zip_open_from_source(source, ZIP_RDONLY, &error);
  if (zip == nullptr) {
    zip_source_free(source);
    return ToStatus(&error);
  }
  zip_error_fini(&error);
  return ZipArchive(zip);
}

std::vector<std::string> ZipArchive::Names() const {
  std::vector<std::string> names;
  const zip_int64_t count = zip_get_num_entries(zip_.get(), 0);
  for (zip_int64_t i = 0; i < count; ++i) {
    const char* const name = zip_get_name(zip_.get(), static_cast<zip_uint64_t>(i), 0);
    if (name != nullptr) names.emplace_back(name);
  }
  return names;
}

bool ZipArchive::Has(const std::string& name) const {
  return zip_name_locate(zip_.get(), name.c_str(), 0) >= 0;
}

absl::StatusOr<std::vector<char>> ZipArchive::Read(const std::string& name,
                                                   uint64_t max_bytes) const {
  zip_stat_t info;
  if (zip_stat(zip_.get(), name.c_str(), 0, &info) != 0 || (info.valid & ZIP_STAT_SIZE) == 0) {
    return Bad(name, "is not in the archive");
  }
  if (info.size > max_bytes) return Bad(name, "is too large");
  const std::unique_ptr<zip_file_t, decltype(&zip_fclose)> file(
      zip_fopen(zip_.get(), name.c_str(), 0), &zip_fclose);
  if (file == nullptr) return Bad(name, "cannot be opened");
  std::vector<char> bytes;
  while (bytes.size() < info.size) {
    constexpr uint64_t kChunk = uint64_t{1} << 24;
    const size_t start = bytes.size();
    bytes.resize(start + std::min(kChunk, info.size - start));
    const zip_int64_t got = zip_fread(file.get(), bytes.data() + start, bytes.size() - start);
    if (got <= 0) return Bad(name, "is damaged");
    bytes.resize(start + static_cast<size_t>(got));
  }
  // The checksum is compared where the end is met.
  char beyond = 0;
  if (zip_fread(file.get(), &beyond, 1) != 0) return Bad(name, "is damaged");
  return bytes;
}

}  // namespace kiln
