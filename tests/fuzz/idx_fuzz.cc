// libFuzzer harness of idx data sets: a file of images, plain or compressed, and behind the last
// header of labels in it the file of labels. No file may crash the reader or make it eat memory,
// and what it accepts must be a data set.
#include <algorithm>
#include <string_view>

#include "runtime/train/dataset_files.h"
#include "runtime/train/idx.h"
#include "tests/fuzz/file_in_memory.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const size_t middle = std::min(bytes.rfind(std::string_view("\0\0\x8\1", 4)), size);
  const kiln::FileInMemory images(bytes.substr(0, middle)), labels(bytes.substr(middle));
  (void)kiln::ReadIdxArray(images.path(), 1);
  const auto dataset = kiln::ReadIdx(images.path(), labels.path());
  if (dataset.ok()) kiln::CheckDataset(*dataset);
  return 0;
}
