// Labelled images for training and for testing, read from files and held in memory.
//
// Invariants of a Dataset: images holds size() items of ItemBytes() each, row-major; every label is
// from 0 to classes - 1.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace kiln {

struct Dataset {
  std::vector<int64_t> item_shape;  ///< channels, height, width
  std::vector<uint8_t> images;
  std::vector<int32_t> labels;
  int64_t classes = 0;  ///< one more than the largest label

  int64_t size() const { return static_cast<int64_t>(labels.size()); }
  int64_t ItemBytes() const;
};

struct DatasetSplit {
  Dataset train;
  Dataset test;
};

/// "idx:DIR": the files train-images-idx3-ubyte, train-labels-idx1-ubyte and t10k-* of MNIST and
/// its kin, each as it is or with .gz behind. Every error begins with the path.
absl::StatusOr<DatasetSplit> LoadDataset(const std::string& specification);

/// One pair of idx files (http://yann.lecun.com/exdb/mnist: a magic number, big-endian extents,
/// bytes); gzip is told from the content.
absl::StatusOr<Dataset> ReadIdx(const std::string& images_path, const std::string& labels_path);

/// The items of an epoch in the order of training: a permutation of 0 .. size - 1 that depends on
/// seed and epoch alone (Fisher-Yates on splitmix64).
std::vector<int64_t> ShuffledOrder(int64_t size, uint64_t seed, int64_t epoch);

}  // namespace kiln
