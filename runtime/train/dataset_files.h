// The data sets that --data names, KIND:PATH, read from files.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/train/dataset.h"

namespace kiln {

struct DatasetOptions {
  /// The part to test with where there is no test set of its own; 0: test with what is trained
  /// with.
  double held_out = 0.1;
  uint64_t seed = 1;    ///< of that choice
  int64_t targets = 0;  ///< of csv: the last so many columns are numbers to meet; 0: see below
};

/// "KIND:PATH":
///   idx:DIR     train-images-idx3-ubyte, train-labels-idx1-ubyte and t10k-* of MNIST and its kin,
///               each as it is or with .gz behind
///   cifar10:DIR the files data_batch_1.bin .. data_batch_5.bin, as far as they are there, and
///               test_batch.bin of CIFAR-10's binary version
///   npz:FILE    NumPy's archive, with the arrays x and y, or x_train, y_train, x_test, y_test;
///               x is items, [N, ...], of bytes or floats (images [N, H, W] or [N, H, W, C] become
///               [N, C, H, W]); y is labels [N] of integers, or targets [N] or [N, K] of floats
///   csv:FILE    a line for each item, numbers separated by commas, with or without names in the
///               first line; the last column is a label where it holds but integers from 0 on, and
///               otherwise a target
/// Every error about a file begins with its path.
absl::StatusOr<DatasetSplit> LoadDataset(const std::string& specification,
                                         const DatasetOptions& options = {});

/// What KIND can be.
std::vector<std::string> DatasetKinds();

/// One pair of idx files (http://yann.lecun.com/exdb/mnist: a magic number, big-endian extents,
/// bytes); gzip is told from the content.
absl::StatusOr<Dataset> ReadIdx(const std::string& images_path, const std::string& labels_path);

// One kind of file each, by path.
absl::StatusOr<DatasetSplit> ReadCifar10(const std::string& folder);
absl::StatusOr<DatasetSplit> ReadNpz(const std::string& path, const DatasetOptions& options);
absl::StatusOr<DatasetSplit> ReadCsv(const std::string& path, const DatasetOptions& options);

/// Splits `all` as the options say.
DatasetSplit HoldOut(Dataset all, const DatasetOptions& options);

/// An error where the parts do not go together: items of other shapes, unknown classes, none at
/// all.
absl::Status CheckSplit(const std::string& path, DatasetSplit& split);

}  // namespace kiln
