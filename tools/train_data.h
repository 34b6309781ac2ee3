// The data sets of `kiln train` that need more than the runtime: pictures in folders and Caffe's
// databases.
#pragma once

#include <string>

#include "ir/support/status.h"
#include "runtime/train/dataset_files.h"
#include "tools/image.h"

namespace kiln {

struct DataOptions {
  std::string data;  ///< KIND:PATH
  std::string test;  ///< the same, of the items to test with; empty: part of the first
  DatasetOptions split;
  int64_t resize = 0;  ///< of pictures: the side of the square that they are made; 0: as they are
  bool grey = false;   ///< of pictures: one channel
};

/// What runtime/train/dataset_files.h knows, and
///   images:DIR  PNG and JPEG files, a folder for each class, in the order of the folders'
///               names; in DIR/train and DIR/test (or DIR/val) where there are such
///   lmdb:DIR    a database of Caffe's Datum messages; lmdb:DIR,DIR: one to train with and one
///               to test with
/// Pictures are read as they are needed, in RGB; what databases hold is as it was stored.
StatusOr<DatasetSplit> LoadData(const DataOptions& options);

StatusOr<DatasetSplit> LoadImageFolder(const std::string& folder, const DataOptions& options);
StatusOr<DatasetSplit> LoadLmdb(const std::string& paths, const DataOptions& options);

}  // namespace kiln
