// The data sets that --data names, KIND:PATH, read from files.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "runtime/train/dataset.h"

namespace kiln {

struct DatasetOptions {
  double held_out = 0.1;  ///< the part to test with where there is no test set of its own
  uint64_t seed = 1;      ///< of that choice
};

/// "KIND:PATH":
///   idx:DIR     train-images-idx3-ubyte, train-labels-idx1-ubyte and t10k-* of MNIST and its kin,
///               each as it is or with .gz behind
/// Every error begins with the path.
absl::StatusOr<DatasetSplit> LoadDataset(const std::string& specification,
                                         const DatasetOptions& options = {});

/// One pair of idx files (http://yann.lecun.com/exdb/mnist: a magic number, big-endian extents,
/// bytes); gzip is told from the content.
absl::StatusOr<Dataset> ReadIdx(const std::string& images_path, const std::string& labels_path);

}  // namespace kiln
