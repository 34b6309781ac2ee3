#include "runtime/train/loader.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <numeric>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"

namespace kiln {

namespace {

bool IsImage(const std::vector<int64_t>& shape) { return shape.size() == 3; }

// Where the window lies, from the image's corner on, and whether it is mirrored.
struct Placement {
  int64_t top = 0, left = 0;
  bool mirror = false;
};

class Transformer {
 public:
  Transformer(const Dataset& dataset, const Transform& transform)
      : dataset_(dataset),
        transform_(transform),
        item_(static_cast<size_t>(dataset.ItemCount())),
        output_shape_(transform.OutputShape(dataset)),
        output_count_(CountOf(output_shape_)) {}

  int64_t output_count() const { return output_count_; }

  // The placement that the centre has, unmirrored.
  Placement Centre() const {
    if (!IsImage(dataset_.item_shape)) return {};
    return {Room(1) / 2 - transform_.pad, Room(2) / 2 - transform_.pad, false};
  }

  // One that depends on `draw`.
  Placement Random(uint64_t draw) const {
    if (!IsImage(dataset_.item_shape)) return {};
    const auto rows = static_cast<uint64_t>(Room(1) + 1);
    const auto columns = static_cast<uint64_t>(Room(2) + 1);
    return {static_cast<int64_t>((draw & 0xffffff) % rows) - transform_.pad,
            static_cast<int64_t>((draw >> 24 & 0xffffff) % columns) - transform_.pad,
            transform_.mirror && (draw >> 63) != 0};
  }

  absl::Status Apply(int64_t item, const Placement& placement, float* out) {
    if (absl::Status status = dataset_.items->Read(item, item_.data()); !status.ok()) return status;
    if (!IsImage(dataset_.item_shape)) {
      for (int64_t i = 0; i < output_count_; ++i) out[i] = Normal(i, 0);
      return absl::OkStatus();
    }
    const int64_t height = dataset_.item_shape[1], width = dataset_.item_shape[2];
    for (int64_t c = 0; c < output_shape_[0]; ++c) {
      for (int64_t i = 0; i < output_shape_[1]; ++i) {
        const int64_t y = i + placement.top;
        for (int64_t j = 0; j < output_shape_[2]; ++j) {
          const int64_t x = placement.left + (placement.mirror ? output_shape_[2] - 1 - j : j);
          const bool inside = y >= 0 && y < height && x >= 0 && x < width;
          *out++ = inside ? Normal((c * height + y) * width + x, c) : 0.0f;
        }
      }
    }
    return absl::OkStatus();
  }

 private:
  // How far the window can move along a dimension of the image.
  int64_t Room(size_t dimension) const {
    return dataset_.item_shape[dimension] + 2 * transform_.pad - output_shape_[dimension];
  }

  float Normal(int64_t at, int64_t channel) const {
    const std::vector<float>& mean = transform_.mean;
    const size_t i = mean.size() == 1              ? 0
                     : mean.size() == item_.size() ? static_cast<size_t>(at)
                                                   : static_cast<size_t>(channel);
    return (item_[static_cast<size_t>(at)] - mean[i]) * transform_.scale;
  }

  const Dataset& dataset_;
  const Transform& transform_;
  std::vector<float> item_;
  std::vector<int64_t> output_shape_;
  int64_t output_count_;
};

// Room for `count` items, and what is expected of them.
void Prepare(const Dataset& dataset, int64_t item_count, int64_t count, Batch& batch) {
  batch.items.resize(static_cast<size_t>(item_count * count));
  batch.labels.resize(dataset.target_count == 0 ? static_cast<size_t>(count) : 0);
  batch.targets.resize(static_cast<size_t>(dataset.target_count * count));
}

void SetExpected(const Dataset& dataset, int64_t item, int64_t place, Batch& batch) {
  if (dataset.target_count == 0) {
    batch.labels[static_cast<size_t>(place)] = dataset.labels[static_cast<size_t>(item)];
    return;
  }
  std::copy_n(dataset.targets.begin() + item * dataset.target_count, dataset.target_count,
              batch.targets.begin() + place * dataset.target_count);
}

}  // namespace

absl::Status Transform::Check(const Dataset& dataset) const {
  const bool image = IsImage(dataset.item_shape);
  const int64_t channels = image ? dataset.item_shape[0] : 1;
  const auto count = static_cast<int64_t>(mean.size());
  if (count != 1 && count != channels && count != dataset.ItemCount()) {
    return absl::InvalidArgumentError(absl::StrCat("the mean has ", count, " numbers, the items ",
                                                   channels, " channels of ", dataset.ItemCount(),
                                                   " numbers together"));
  }
  if (!image && (crop > 0 || pad > 0 || mirror)) {
    return absl::InvalidArgumentError("only images can be padded, cropped or mirrored");
  }
  if (image && crop > std::min(dataset.item_shape[1], dataset.item_shape[2]) + 2 * pad) {
    return absl::InvalidArgumentError(
        absl::StrCat("a crop of ", crop, " from images of ", dataset.item_shape[1], "x",
                     dataset.item_shape[2], pad > 0 ? absl::StrCat(" and ", pad, " around") : ""));
  }
  return absl::OkStatus();
}

std::vector<int64_t> Transform::OutputShape(const Dataset& dataset) const {
  if (crop == 0 || !IsImage(dataset.item_shape)) return dataset.item_shape;
  return {dataset.item_shape[0], crop, crop};
}

absl::Status FillBatch(const Dataset& dataset, const Transform& transform,
                       const std::vector<int64_t>& items, Batch& batch) {
  Transformer transformer(dataset, transform);
  Prepare(dataset, transformer.output_count(), static_cast<int64_t>(items.size()), batch);
  for (size_t n = 0; n < items.size(); ++n) {
    float* const out = batch.items.data() + static_cast<int64_t>(n) * transformer.output_count();
    const absl::Status status = transformer.Apply(items[n], transformer.Centre(), out);
    if (!status.ok()) return status;
    SetExpected(dataset, items[n], static_cast<int64_t>(n), batch);
  }
  return absl::OkStatus();
}

class BatchLoader::Impl {
 public:
  Impl(const Dataset& dataset, const LoaderOptions& options, int64_t position)
      : dataset_(dataset),
        options_(options),
        transformer_(dataset_, options_.transform),
        position_(position) {
    if (options.ahead > 0) thread_ = std::thread([this] { PrepareAhead(); });
  }

  ~Impl() {
    if (!thread_.joinable()) return;
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  absl::StatusOr<const Batch*> Next() {
    if (!thread_.joinable()) {
      if (absl::Status status = Make(current_); !status.ok()) return status;
      return &current_;
    }
    std::unique_lock lock(mutex_);
    spare_.push_back(std::move(current_));
    changed_.wait(lock, [this] { return !ready_.empty() || !status_.ok(); });
    if (ready_.empty()) return status_;
    current_ = std::move(ready_.front());
    ready_.pop_front();
    const bool low = Low();
    lock.unlock();
    if (low) changed_.notify_all();
    return &current_;
  }

 private:
  void PrepareAhead() {
    while (true) {
      Batch batch;
      {
        std::unique_lock lock(mutex_);
        if (static_cast<int>(ready_.size()) >= options_.ahead) {
          changed_.wait(lock, [this] { return stop_ || Low(); });
        }
        if (stop_) return;
        if (!spare_.empty()) {
          batch = std::move(spare_.back());
          spare_.pop_back();
        }
      }
      absl::Status status = Make(batch);
      bool awaited;
      {
        const std::lock_guard lock(mutex_);
        awaited = ready_.empty();
        if (status.ok()) {
          ready_.push_back(std::move(batch));
        } else {
          status_ = std::move(status);
          stop_ = true;
        }
      }
      if (awaited) changed_.notify_all();
    }
  }

  // Few enough are ready to begin again: going to and fro for every batch costs more than a batch
  // where they are small.
  bool Low() const { return static_cast<int>(ready_.size()) <= options_.ahead / 2; }

  absl::Status Make(Batch& batch) {
    Prepare(dataset_, transformer_.output_count(), options_.batch, batch);
    for (int64_t n = 0; n < options_.batch; ++n, ++position_) {
      const int64_t epoch = position_ / dataset_.size() + 1;
      const int64_t item = ItemAt(epoch, position_ % dataset_.size());
      const uint64_t draw =
          Draw(options_.seed, static_cast<uint64_t>(epoch), static_cast<uint64_t>(item));
      const absl::Status status = transformer_.Apply(
          item, options_.training ? transformer_.Random(draw) : transformer_.Centre(),
          batch.items.data() + n * transformer_.output_count());
      if (!status.ok()) return status;
      SetExpected(dataset_, item, n, batch);
    }
    return absl::OkStatus();
  }

  int64_t ItemAt(int64_t epoch, int64_t place) {
    if (!options_.shuffle) return place;
    if (epoch != ordered_epoch_) {
      order_ = ShuffledOrder(dataset_.size(), options_.seed, epoch);
      ordered_epoch_ = epoch;
    }
    return order_[static_cast<size_t>(place)];
  }

  const Dataset& dataset_;
  const LoaderOptions options_;
  // Of whoever makes batches: the thread, where there is one.
  Transformer transformer_;
  int64_t position_;
  std::vector<int64_t> order_;
  int64_t ordered_epoch_ = 0;
  // Of the caller.
  Batch current_;
  // Shared.
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Batch> ready_;
  std::vector<Batch> spare_;
  absl::Status status_;
  bool stop_ = false;
  std::thread thread_;
};

BatchLoader::BatchLoader(const Dataset& dataset, const LoaderOptions& options, int64_t position)
    : impl_(std::make_unique<Impl>(dataset, options, position)) {}

BatchLoader::~BatchLoader() = default;

absl::StatusOr<const Batch*> BatchLoader::Next() { return impl_->Next(); }

}  // namespace kiln
