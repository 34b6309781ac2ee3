// Examples to train and to test with: items, and for each item a class or numbers to be met.
//
// Invariants of a Dataset: labels has size() entries, each from 0 to classes - 1, or is empty where
// the items have targets; targets then holds size() rows of target_count numbers.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace kiln {

/// Where items come from: memory, or files that are read when they are asked for. Read may be
/// called from any thread.
class ItemSource {
 public:
  virtual ~ItemSource() = default;
  /// Writes the numbers of item `item`, row-major, pixels as 0..255. Errors name the file.
  virtual absl::Status Read(int64_t item, float* values) const = 0;
};

struct Dataset {
  std::vector<int64_t> item_shape;  ///< of an image: channels, height, width
  std::shared_ptr<const ItemSource> items;
  std::vector<int32_t> labels;
  int64_t classes = 0;  ///< one more than the largest label
  std::vector<float> targets;
  int64_t target_count = 0;  ///< numbers that an item has as its target; 0: it has a label
  bool pixels = false;       ///< the numbers of an item are from 0 to 255
  std::vector<std::string> class_names;  ///< empty, or one for each class

  int64_t size() const {
    return target_count > 0 ? static_cast<int64_t>(targets.size()) / target_count
                            : static_cast<int64_t>(labels.size());
  }
  /// Numbers of an item.
  int64_t ItemCount() const;
};

struct DatasetSplit {
  Dataset train;
  Dataset test;
};

/// The product of the extents.
int64_t CountOf(const std::vector<int64_t>& shape);

/// Items held in memory, one after another, as bytes or as floats.
std::shared_ptr<const ItemSource> ItemsInMemory(std::vector<uint8_t> bytes, int64_t item_count);
std::shared_ptr<const ItemSource> ItemsInMemory(std::vector<float> values, int64_t item_count);

/// Some items of a data set, in the order given.
Dataset Subset(const Dataset& dataset, const std::vector<int64_t>& items);

/// Puts every `1 / part`-th item, drawn by the seed, into the test set; both sets keep the order.
DatasetSplit SplitDataset(const Dataset& dataset, double part, uint64_t seed);

/// The items of an epoch in the order of training: a permutation of 0 .. size - 1 that depends on
/// seed and epoch alone (Fisher-Yates on splitmix64).
std::vector<int64_t> ShuffledOrder(int64_t size, uint64_t seed, int64_t epoch);

/// A number that depends on its arguments alone and looks random in each.
uint64_t Draw(uint64_t seed, uint64_t a, uint64_t b);

}  // namespace kiln
