// Batches of a data set, prepared in the background: items in the order of training, transformed
// into what the model takes.
//
// What a batch holds depends on the data set, the options and its place in the run alone, neither
// on when it is prepared nor on how many are prepared ahead.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime/train/dataset.h"

namespace kiln {

/// From an item to the model's input, as Caffe's TransformationParameter has it: crop, mirror,
/// subtract the mean, multiply; and zeros around images, so that a crop can reach over the edge. A
/// random crop and mirror while training; the centre, unmirrored, while testing.
struct Transform {
  std::vector<float> mean = {0};  ///< one number, one a channel, or one for each number of an item
  float scale = 1;
  int64_t crop = 0;     ///< the side of the square; 0: as large as the image
  int64_t pad = 0;      ///< zeros on each side of an image, after mean and scale
  bool mirror = false;  ///< every other image, by chance

  /// An error when the mean or the crop does not fit the items.
  absl::Status Check(const Dataset& dataset) const;
  /// The shape of what the model gets.
  std::vector<int64_t> OutputShape(const Dataset& dataset) const;
};

struct LoaderOptions {
  Transform transform;
  int64_t batch = 1;
  uint64_t seed = 1;     ///< of the order, the crops and the mirrors
  bool shuffle = true;   ///< off: the items as they come
  bool training = true;  ///< off: no random transformation
  int ahead = 8;         ///< batches to prepare before they are asked for; 0: none
};

struct Batch {
  std::vector<float> items;
  std::vector<int32_t> labels;  ///< of a data set with classes
  std::vector<float> targets;   ///< of one without
};

/// An endless run through a data set, epoch after epoch; a batch may hold the end of one epoch and
/// the beginning of the next.
class BatchLoader {
 public:
  /// Starts behind the first `position` items of the run. The data set must outlive the loader.
  BatchLoader(const Dataset& dataset, const LoaderOptions& options, int64_t position);
  ~BatchLoader();
  BatchLoader(const BatchLoader&) = delete;
  BatchLoader& operator=(const BatchLoader&) = delete;

  /// The next batch; it stays as it is until the next call.
  absl::StatusOr<const Batch*> Next();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// The items `items` of a data set as a batch of the loader's kind (of any size), for testing.
absl::Status FillBatch(const Dataset& dataset, const Transform& transform,
                       const std::vector<int64_t>& items, Batch& batch);

}  // namespace kiln
