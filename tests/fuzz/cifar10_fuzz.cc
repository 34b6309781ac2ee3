// libFuzzer harness of CIFAR-10's files: one to train with, and behind it one to test with, half
// each. No file may crash the reader or make it eat memory, and what it accepts must be a data set.
#include <filesystem>

#include "runtime/train/dataset_files.h"
#include "tests/fuzz/file_in_memory.h"
#include "tests/support/temporary_folder.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace fs = std::filesystem;
  static const kiln::TemporaryFolder folder;
  const std::span<const char> bytes(reinterpret_cast<const char*>(data), size);
  const kiln::FileInMemory train(bytes.first(size / 2)), test(bytes.subspan(size / 2));
  for (const auto& [name, file] :
       {std::pair{"data_batch_1.bin", &train}, {"test_batch.bin", &test}}) {
    fs::remove(folder / name);
    fs::create_symlink(file->path(), folder / name);
  }
  return kiln::CheckLoaded(kiln::LoadDataset("cifar10:" + folder.path()));
}
