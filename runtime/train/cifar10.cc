// CIFAR-10's binary version (https://www.cs.toronto.edu/~kriz/cifar.html): records of a label and
// 32 x 32 pixels of red, green and blue, plane by plane.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "runtime/file.h"
#include "runtime/train/dataset_files.h"

namespace kiln {

namespace {

constexpr int64_t kPixels = 3 * 32 * 32;
constexpr int64_t kRecord = 1 + kPixels;
constexpr uint64_t kMaxFileBytes = uint64_t{1} << 30;
constexpr int kClasses = 10;

struct Records {
  std::vector<uint8_t> pixels;
  std::vector<int32_t> labels;
};

absl::Status Append(const std::string& path, Records& records) {
  const absl::StatusOr<std::vector<char>> file = ReadFile(path, kMaxFileBytes);
  if (!file.ok()) return file.status();
  if (file->empty() || file->size() % kRecord != 0) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": expected records of ", kRecord,
                                                   " bytes, found ", file->size(), " bytes"));
  }
  for (size_t at = 0; at < file->size(); at += kRecord) {
    const auto* const record = reinterpret_cast<const uint8_t*>(file->data() + at);
    if (record[0] >= kClasses) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": record ", at / kRecord, " has label ",
                                                     record[0], ", expected 0 to 9"));
    }
    records.labels.push_back(record[0]);
    records.pixels.insert(records.pixels.end(), record + 1, record + kRecord);
  }
  return absl::OkStatus();
}

Dataset ToDataset(Records records) {
  Dataset dataset;
  dataset.item_shape = {3, 32, 32};
  dataset.items = ItemsInMemory(std::move(records.pixels), kPixels);
  dataset.pixels = true;
  dataset.labels = std::move(records.labels);
  dataset.classes = kClasses;
  dataset.class_names = {"airplane", "automobile", "bird",  "cat",  "deer",
                         "dog",      "frog",       "horse", "ship", "truck"};
  return dataset;
}

}  // namespace

absl::StatusOr<DatasetSplit> ReadCifar10(const std::string& folder) {
  Records train, test;
  for (int i = 1; i <= 5; ++i) {
    const absl::Status status = Append(absl::StrCat(folder, "/data_batch_", i, ".bin"), train);
    const bool is_there = !absl::IsNotFound(status);
    if (!status.ok() && (is_there || i == 1)) return status;
  }
  if (absl::Status status = Append(folder + "/test_batch.bin", test); !status.ok()) return status;
  return DatasetSplit{ToDataset(std::move(train)), ToDataset(std::move(test))};
}

}  // namespace kiln
