// libFuzzer harness of NumPy's files: archives; arrays; and several arrays one after another, of
// which archives are made, because no random change would keep an archive's checksums right. No
// file may crash the reader or make it eat memory, and what it accepts must be a data set.
#include <zip.h>

#include <cstring>
#include <string_view>

#include "runtime/npy.h"
#include "runtime/train/dataset_files.h"
#include "tests/fuzz/file_in_memory.h"

namespace {

constexpr std::string_view kMagic = "\x93NUMPY";

// Where each of the files in `bytes` begins: at most four of them.
std::vector<std::string_view> Arrays(std::string_view bytes) {
  std::vector<std::string_view> arrays;
  while (!bytes.empty() && arrays.size() < 4) {
    const size_t next = bytes.find(kMagic, 1);
    arrays.push_back(bytes.substr(0, next));
    bytes.remove_prefix(arrays.back().size());
  }
  return arrays;
}

// An archive of x and y, or of x_train, y_train, x_test and y_test.
std::vector<char> MakeArchive(const std::vector<std::string_view>& arrays) {
  const bool two = arrays.size() < 4;
  const char* const names[] = {two ? "x.npy" : "x_train.npy", two ? "y.npy" : "y_train.npy",
                               "x_test.npy", "y_test.npy"};
  zip_source_t* const buffer = zip_source_buffer_create(nullptr, 0, 0, nullptr);
  zip_source_keep(buffer);
  zip_t* const zip = zip_open_from_source(buffer, ZIP_TRUNCATE, nullptr);
  if (zip == nullptr) std::abort();
  for (size_t i = 0; i < arrays.size(); ++i) {
    zip_source_t* const source = zip_source_buffer(zip, arrays[i].data(), arrays[i].size(), 0);
    const zip_int64_t index = zip_file_add(zip, names[i], source, 0);
    if (index < 0) std::abort();
    zip_set_file_compression(zip, static_cast<zip_uint64_t>(index), ZIP_CM_STORE, 0);
  }
  if (zip_close(zip) != 0 || zip_source_open(buffer) != 0) std::abort();
  zip_stat_t info;
  if (zip_source_stat(buffer, &info) != 0) std::abort();
  std::vector<char> bytes(info.size);
  if (zip_source_read(buffer, bytes.data(), bytes.size()) < 0) std::abort();
  zip_source_close(buffer);
  zip_source_free(buffer);
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  (void)kiln::ParseNpy({bytes.begin(), bytes.end()});
  const auto load = [](std::span<const char> archive) {
    const kiln::FileInMemory file(archive);
    return kiln::CheckLoaded(kiln::LoadDataset("npz:" + file.path()));
  };
  const std::vector<std::string_view> arrays = Arrays(bytes);
  return arrays.size() < 2 ? load(bytes) : load(MakeArchive(arrays));
}
