#include "runtime/train/dataset.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace kiln {

namespace {

uint64_t SplitMix(uint64_t& state) {
  uint64_t z = state += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

template <typename T>
class MemoryItems : public ItemSource {
 public:
  MemoryItems(std::vector<T> values, int64_t item_count)
      : values_(std::move(values)), item_count_(item_count) {}

  absl::Status Read(int64_t item, float* values) const override {
    std::copy_n(values_.begin() + item * item_count_, item_count_, values);
    return absl::OkStatus();
  }

 private:
  std::vector<T> values_;
  int64_t item_count_;
};

class SubsetItems : public ItemSource {
 public:
  SubsetItems(std::shared_ptr<const ItemSource> all, std::vector<int64_t> items)
      : all_(std::move(all)), items_(std::move(items)) {}

  absl::Status Read(int64_t item, float* values) const override {
    return all_->Read(items_[static_cast<size_t>(item)], values);
  }

 private:
  std::shared_ptr<const ItemSource> all_;
  std::vector<int64_t> items_;
};

}  // namespace

int64_t CountOf(const std::vector<int64_t>& shape) {
  int64_t count = 1;
  for (const int64_t extent : shape) count *= extent;
  return count;
}

int64_t Dataset::ItemCount() const { return CountOf(item_shape); }

std::shared_ptr<const ItemSource> ItemsInMemory(std::vector<uint8_t> bytes, int64_t item_count) {
  return std::make_shared<MemoryItems<uint8_t>>(std::move(bytes), item_count);
}

std::shared_ptr<const ItemSource> ItemsInMemory(std::vector<float> values, int64_t item_count) {
  return std::make_shared<MemoryItems<float>>(std::move(values), item_count);
}

Dataset Subset(const Dataset& dataset, const std::vector<int64_t>& items) {
  Dataset subset;
  subset.item_shape = dataset.item_shape;
  subset.items = std::make_shared<SubsetItems>(dataset.items, items);
  subset.classes = dataset.classes;
  subset.pixels = dataset.pixels;
  subset.class_names = dataset.class_names;
  subset.target_count = dataset.target_count;
  for (const int64_t item : items) {
    if (dataset.target_count == 0) {
      subset.labels.push_back(dataset.labels[static_cast<size_t>(item)]);
      continue;
    }
    const auto row = dataset.targets.begin() + item * dataset.target_count;
    subset.targets.insert(subset.targets.end(), row, row + dataset.target_count);
  }
  return subset;
}

DatasetSplit SplitDataset(const Dataset& dataset, double part, uint64_t seed) {
  std::vector<int64_t> order = ShuffledOrder(dataset.size(), seed, 0);
  const auto held_out = static_cast<int64_t>(part * static_cast<double>(dataset.size()) + 0.5);
  const auto middle = order.begin() + std::clamp<int64_t>(held_out, 0, dataset.size());
  std::sort(order.begin(), middle);
  std::sort(middle, order.end());
  return {Subset(dataset, {middle, order.end()}), Subset(dataset, {order.begin(), middle})};
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

uint64_t Draw(uint64_t seed, uint64_t a, uint64_t b) {
  uint64_t state = seed;
  state = SplitMix(state) + a;
  state = SplitMix(state) + b;
  return SplitMix(state);
}

}  // namespace kiln
