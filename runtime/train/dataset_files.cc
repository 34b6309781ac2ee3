#include "runtime/train/dataset_files.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "runtime/train/idx.h"

namespace kiln {

namespace {

// The path itself, or with .gz behind, whichever is there.
absl::StatusOr<IdxArray> ReadEither(const std::string& path, int rank) {
  absl::StatusOr<IdxArray> plain = ReadIdxArray(path, rank);
  if (!absl::IsNotFound(plain.status())) return plain;
  return ReadIdxArray(path + ".gz", rank);
}

void SetLabels(Dataset& dataset, const std::vector<uint8_t>& labels) {
  dataset.labels.assign(labels.begin(), labels.end());
  for (const int32_t label : dataset.labels) {
    dataset.classes = std::max<int64_t>(dataset.classes, label + 1);
  }
}

absl::StatusOr<Dataset> Join(IdxArray images, const IdxArray& labels,
                             const std::string& labels_path) {
  if (images.shape[0] != labels.shape[0]) {
    return absl::InvalidArgumentError(absl::StrCat(labels_path, ": expected a label for each of ",
                                                   images.shape[0], " images, found ",
                                                   labels.shape[0]));
  }
  Dataset dataset;
  dataset.item_shape = {1, images.shape[1], images.shape[2]};
  dataset.items = ItemsInMemory(std::move(images.bytes), dataset.ItemCount());
  dataset.pixels = true;
  SetLabels(dataset, labels.bytes);
  return dataset;
}

absl::StatusOr<Dataset> ReadIdxPart(const std::string& folder, const std::string& part) {
  const std::string prefix = absl::StrCat(folder, "/", part);
  absl::StatusOr<IdxArray> images = ReadEither(prefix + "-images-idx3-ubyte", 3);
  if (!images.ok()) return images.status();
  absl::StatusOr<IdxArray> labels = ReadEither(prefix + "-labels-idx1-ubyte", 1);
  if (!labels.ok()) return labels.status();
  return Join(*std::move(images), *labels, prefix + "-labels-idx1-ubyte");
}

absl::StatusOr<DatasetSplit> ReadIdxFolder(const std::string& folder, const DatasetOptions&) {
  absl::StatusOr<Dataset> train = ReadIdxPart(folder, "train");
  if (!train.ok()) return train.status();
  absl::StatusOr<Dataset> test = ReadIdxPart(folder, "t10k");
  if (!test.ok()) return test.status();
  return DatasetSplit{*std::move(train), *std::move(test)};
}

absl::StatusOr<DatasetSplit> ReadCifar10Folder(const std::string& folder, const DatasetOptions&) {
  return ReadCifar10(folder);
}

constexpr struct {
  const char* name;
  absl::StatusOr<DatasetSplit> (*read)(const std::string&, const DatasetOptions&);
} kKinds[] = {
    {"idx", ReadIdxFolder},
    {"cifar10", ReadCifar10Folder},
    {"npz", ReadNpz},
    {"csv", ReadCsv},
};

}  // namespace

absl::StatusOr<Dataset> ReadIdx(const std::string& images_path, const std::string& labels_path) {
  absl::StatusOr<IdxArray> images = ReadIdxArray(images_path, 3);
  if (!images.ok()) return images.status();
  absl::StatusOr<IdxArray> labels = ReadIdxArray(labels_path, 1);
  if (!labels.ok()) return labels.status();
  return Join(*std::move(images), *labels, labels_path);
}

DatasetSplit HoldOut(Dataset all, const DatasetOptions& options) {
  if (options.held_out == 0) return {all, all};
  const double least = 1 / static_cast<double>(std::max<int64_t>(all.size(), 1));
  return SplitDataset(all, std::max(options.held_out, least), options.seed);
}

absl::Status CheckSplit(const std::string& path, DatasetSplit& split) {
  if (split.test.item_shape != split.train.item_shape ||
      split.test.target_count != split.train.target_count ||
      split.test.classes > split.train.classes) {
    return absl::InvalidArgumentError(
        absl::StrCat(path,
                     ": the test items are of another shape or of more classes than those to "
                     "train with"));
  }
  split.test.classes = split.train.classes;
  if (split.train.size() > 0 && split.test.size() > 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": expected items to train and to test with, found ", split.train.size(),
                   " and ", split.test.size()));
}

absl::StatusOr<DatasetSplit> LoadDataset(const std::string& specification,
                                         const DatasetOptions& options) {
  const size_t colon = specification.find(':');
  const std::string path = colon == specification.npos ? "" : specification.substr(colon + 1);
  for (const auto& kind : kKinds) {
    if (path.empty() || specification.substr(0, colon) != kind.name) continue;
    absl::StatusOr<DatasetSplit> split = kind.read(path, options);
    if (!split.ok()) return split;
    if (const absl::Status status = CheckSplit(path, *split); !status.ok()) return status;
    return split;
  }
  return absl::InvalidArgumentError(absl::StrCat("data set '", specification,
                                                 "': expected KIND:PATH, where KIND is one of ",
                                                 absl::StrJoin(DatasetKinds(), ", ")));
}

std::vector<std::string> DatasetKinds() {
  std::vector<std::string> kinds;
  for (const auto& kind : kKinds) kinds.emplace_back(kind.name);
  return kinds;
}

}  // namespace kiln
