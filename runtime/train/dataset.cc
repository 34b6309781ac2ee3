#include "runtime/train/dataset.h"

#include <algorithm>
#include <numeric>
#include <string_view>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "runtime/train/idx.h"

namespace kiln {

namespace {

// The path itself, or with .gz behind, whichever is there.
absl::StatusOr<IdxArray> ReadEither(const std::string& path, int rank) {
  absl::StatusOr<IdxArray> plain = ReadIdxArray(path, rank);
  if (!absl::IsNotFound(plain.status())) return plain;
  return ReadIdxArray(path + ".gz", rank);
}

absl::StatusOr<Dataset> Join(IdxArray images, IdxArray labels, const std::string& labels_path) {
  if (images.shape[0] != labels.shape[0]) {
    return absl::InvalidArgumentError(absl::StrCat(labels_path, ": expected a label for each of ",
                                                   images.shape[0], " images, found ",
                                                   labels.shape[0]));
  }
  Dataset dataset;
  dataset.item_shape = {1, images.shape[1], images.shape[2]};
  dataset.images = std::move(images.bytes);
  dataset.labels.assign(labels.bytes.begin(), labels.bytes.end());
  for (const int32_t label : dataset.labels) {
    dataset.classes = std::max<int64_t>(dataset.classes, label + 1);
  }
  return dataset;
}

absl::StatusOr<Dataset> ReadPart(const std::string& folder, const std::string& part) {
  const std::string prefix = absl::StrCat(folder, "/", part);
  absl::StatusOr<IdxArray> images = ReadEither(prefix + "-images-idx3-ubyte", 3);
  if (!images.ok()) return images.status();
  absl::StatusOr<IdxArray> labels = ReadEither(prefix + "-labels-idx1-ubyte", 1);
  if (!labels.ok()) return labels.status();
  return Join(*std::move(images), *std::move(labels), prefix + "-labels-idx1-ubyte");
}

uint64_t SplitMix(uint64_t& state) {
  uint64_t z = state += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

}  // namespace

int64_t Dataset::ItemBytes() const {
  int64_t bytes = 1;
  for (const int64_t extent : item_shape) bytes *= extent;
  return bytes;
}

absl::StatusOr<Dataset> ReadIdx(const std::string& images_path, const std::string& labels_path) {
  absl::StatusOr<IdxArray> images = ReadIdxArray(images_path, 3);
  if (!images.ok()) return images.status();
  absl::StatusOr<IdxArray> labels = ReadIdxArray(labels_path, 1);
  if (!labels.ok()) return labels.status();
  return Join(*std::move(images), *std::move(labels), labels_path);
}

absl::StatusOr<DatasetSplit> LoadDataset(const std::string& specification) {
  constexpr std::string_view kIdx = "idx:";
  if (!absl::StartsWith(specification, {kIdx.data(), kIdx.size()})) {
    return absl::InvalidArgumentError(
        absl::StrCat("data set '", specification, "': expected idx:FOLDER"));
  }
  const std::string folder = specification.substr(kIdx.size());
  absl::StatusOr<Dataset> train = ReadPart(folder, "train");
  if (!train.ok()) return train.status();
  absl::StatusOr<Dataset> test = ReadPart(folder, "t10k");
  if (!test.ok()) return test.status();
  if (test->item_shape != train->item_shape || test->classes > train->classes) {
    return absl::InvalidArgumentError(
        absl::StrCat(folder,
                     ": the test images are of another size or of more classes than those "
                     "to train with"));
  }
  return DatasetSplit{*std::move(train), *std::move(test)};
}

std::vector<int64_t> ShuffledOrder(int64_t size, uint64_t seed, int64_t epoch) {
  std::vector<int64_t> order(static_cast<size_t>(size));
  std::iota(order.begin(), order.end(), int64_t{0});
  uint64_t state = seed;
  state = SplitMix(state) + static_cast<uint64_t>(epoch);
  for (int64_t i = size; i > 1; --i) {
    std::swap(order[static_cast<size_t>(i - 1)],
              order[static_cast<size_t>(SplitMix(state) % static_cast<uint64_t>(i))]);
  }
  return order;
}

}  // namespace kiln
